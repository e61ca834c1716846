package wire

import (
	"errors"
	"strings"
	"testing"
)

func TestRequestMustHaveItsForm(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Request)
		want   string
	}{
		{"ordinary", func(*Request) {}, ""},
		{"empty body", func(r *Request) { r.Body = nil }, ""},
		{"stamped", func(r *Request) { r.StampKind, r.Stamp = StampWebAuthn, []byte("x") }, ""},
		{"shortest nonce", func(r *Request) { r.Nonce = make([]byte, 16) }, ""},
		{"longest nonce", func(r *Request) { r.Nonce = make([]byte, 64) }, ""},
		{"no API", func(r *Request) { r.API = 0 }, "API is unknown"},
		{"unknown API", func(r *Request) { r.API = 4 }, "API is unknown"},
		{"no path", func(r *Request) { r.Path = "" }, "path must"},
		{"relative path", func(r *Request) { r.Path = "public" }, "path must"},
		{"long path", func(r *Request) { r.Path = "/" + strings.Repeat("x", maxPath) }, "path must"},
		{"path with a line break", func(r *Request) { r.Path = "/a\nb" }, "path must"},
		{"path that is not ASCII", func(r *Request) { r.Path = "/é" }, "path must"},
		{"path that is not UTF-8", func(r *Request) { r.Path = "/\xff" }, "path must"},
		{"unknown stamp kind", func(r *Request) { r.StampKind, r.Stamp = 3, []byte("x") }, "stamp kind is unknown"},
		{"stamp without kind", func(r *Request) { r.Stamp = []byte("x") }, "come together"},
		{"kind without stamp", func(r *Request) { r.StampKind = StampAPIKey }, "come together"},
		{"node request", func(r *Request) { r.API, r.Method, r.Query, r.Authorization = APINode, "GET", "name=a", "0a" }, ""},
		{"node request without method", func(r *Request) { r.API = APINode }, "method must"},
		{"node request with another method", func(r *Request) { r.API, r.Method = APINode, "PATCH" }, "method must"},
		{"method of another API", func(r *Request) { r.Method = "GET" }, "node API only"},
		{"query with a line break", func(r *Request) { r.API, r.Method, r.Query = APINode, "GET", "a\n" }, "query must"},
		{"long query", func(r *Request) { r.API, r.Method, r.Query = APINode, "GET", strings.Repeat("a", maxQuery+1) }, "query must"},
		{"long authorization", func(r *Request) {
			r.API, r.Method, r.Authorization = APINode, "GET", strings.Repeat("a", maxAuthorization+1)
		}, "authorization must"},
		{"short nonce", func(r *Request) { r.Nonce = make([]byte, 15) }, "16 to 64"},
		{"long nonce", func(r *Request) { r.Nonce = make([]byte, 65) }, "16 to 64"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := whoami()
			test.change(r)
			err := r.Valid()
			if test.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if !errors.Is(err, &Error{Code: InvalidArgument}) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
			if _, err := NewEnclaveClient("unix:/nowhere").Do(t.Context(), r); !errors.Is(err, &Error{Code: InvalidArgument}) {
				t.Errorf("client lets it out: %v", err)
			}
		})
	}
}

func TestMethodNumbersFitAndHaveNames(t *testing.T) {
	all := enclaveHandlers(nil)
	for _, more := range []map[method]handler{hostHandlers(nil), networkHandlers(nil), manifestHandlers(nil), keyServiceHandlers(nil)} {
		for m, h := range more {
			if all[m] != nil {
				t.Errorf("method %d means something on both sides", m)
			}
			all[m] = h
		}
	}
	for m := range all {
		if m > 255 || methodNames[m] == "" {
			t.Errorf("method %d: name %q", m, methodNames[m])
		}
	}
	if len(all) != len(methodNames) {
		t.Errorf("%d methods, %d names", len(all), len(methodNames))
	}
}
