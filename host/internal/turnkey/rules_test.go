package turnkey

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/enclave/wire"
	"github.com/sallyport/sallyport/host/internal/front"
	"github.com/sallyport/sallyport/host/internal/front/fronttest"
)

const whoami = "/public/v1/query/whoami"

func TestRequestsThatBreakARuleAreRefused(t *testing.T) {
	nonce := strings.Repeat("a5", 16)
	for _, tt := range []struct {
		name, method, path, body string
		header                   http.Header
		status, code             int
		message                  string
	}{
		{name: "the root", method: "GET", path: "/", status: 404, code: 5},
		{name: "unknown path", method: "POST", path: "/public/v1/other/whoami", status: 404, code: 5},
		{name: "no name", method: "POST", path: "/public/v1/query/", status: 404, code: 5},
		{name: "no slash", method: "POST", path: "/public/v1/query", status: 404, code: 5},
		{name: "name with a slash", method: "POST", path: whoami + "/", status: 404, code: 5},
		{name: "name in upper case", method: "POST", path: "/public/v1/query/Whoami", status: 404, code: 5},
		{name: "name of 65 bytes", method: "POST", path: "/public/v1/query/" + strings.Repeat("a", 65), status: 404, code: 5},
		{name: "three slashes", method: "POST", path: "//" + whoami, status: 404, code: 5},
		{name: "inner doubled slash", method: "POST", path: "/public//v1/query/whoami", status: 404, code: 5},
		{name: "dots", method: "POST", path: "/public/v1/query/../query/whoami", status: 404, code: 5},
		{name: "encoded slash", method: "POST", path: "/public/v1/query%2Fwhoami", status: 404, code: 5},
		{name: "encoded letter", method: "POST", path: "/public/v1/query/%77hoami", status: 404, code: 5},
		{name: "encoded NUL", method: "POST", path: whoami + "%00", status: 404, code: 5},
		{name: "own API, unknown", method: "POST", path: "/sallyport/v1/other", status: 404, code: 5},
		{name: "own API, trailing slash", method: "POST", path: "/sallyport/v1/organizations/", status: 404, code: 5},
		{name: "unknown path, odd method", method: "BREW", path: "/x", status: 404, code: 5},

		{name: "GET of a query", method: "GET", path: whoami, status: 405, code: 12, message: "method: must be POST"},
		{name: "PUT of an activity", method: "PUT", path: "/public/v1/submit/x", status: 405, code: 12},
		{name: "OPTIONS, as browsers ask", method: "OPTIONS", path: whoami, status: 405, code: 12},
		{name: "method override", method: "GET", path: whoami, header: http.Header{"X-Http-Method-Override": {"POST"}}, status: 405, code: 12},
		{name: "GET of organizations", method: "GET", path: "/sallyport/v1/organizations", status: 405, code: 12},
		{name: "POST of status", method: "POST", path: "/sallyport/v1/status", status: 405, code: 12, message: "method: must be GET"},
		{name: "POST of health", method: "POST", path: "/healthz", status: 405, code: 12, message: "method: must be GET, HEAD"},

		{name: "gzip", method: "POST", path: whoami, header: http.Header{"Content-Encoding": {"gzip"}}, status: 415, code: 3},
		{name: "identity encoding", method: "POST", path: whoami, header: http.Header{"Content-Encoding": {"identity"}}, status: 415, code: 3},
		{name: "two stamps", method: "POST", path: whoami, header: http.Header{"X-Stamp": {"a", "a"}}, status: 400, code: 3},
		{name: "two passkey stamps", method: "POST", path: whoami, header: http.Header{"X-Stamp-Webauthn": {"a", "b"}}, status: 400, code: 3},
		{name: "both stamps", method: "POST", path: whoami, header: http.Header{"X-Stamp": {"a"}, "X-Stamp-Webauthn": {"b"}}, status: 400, code: 3},
		{name: "empty stamp", method: "POST", path: whoami, header: http.Header{"X-Stamp": {""}}, status: 401, code: 16},
		{name: "empty passkey stamp", method: "POST", path: whoami, header: http.Header{"X-Stamp-Webauthn": {""}}, status: 401, code: 16},
		{name: "two nonces", method: "POST", path: whoami, header: http.Header{"X-Sallyport-Nonce": {nonce, nonce}}, status: 400, code: 3},
		{name: "empty nonce", method: "POST", path: whoami, header: http.Header{"X-Sallyport-Nonce": {""}}, status: 400, code: 3},
		{name: "nonce of 15 bytes", method: "POST", path: whoami, header: http.Header{"X-Sallyport-Nonce": {nonce[2:]}}, status: 400, code: 3},
		{name: "nonce of 65 bytes", method: "POST", path: whoami, header: http.Header{"X-Sallyport-Nonce": {strings.Repeat("a5", 65)}}, status: 400, code: 3},
		{name: "nonce of odd length", method: "POST", path: whoami, header: http.Header{"X-Sallyport-Nonce": {nonce + "a"}}, status: 400, code: 3},
		{name: "nonce not hex", method: "POST", path: whoami, header: http.Header{"X-Sallyport-Nonce": {"x" + nonce[1:]}}, status: 400, code: 3},
		{name: "nonce on status too", method: "GET", path: "/sallyport/v1/status", header: http.Header{"X-Sallyport-Nonce": {"00"}}, status: 400, code: 3},
		{name: "body one byte too long", method: "POST", path: whoami, body: strings.Repeat("x", front.MaxBody+1), status: 413, code: 3},
		{name: "body in a GET", method: "GET", path: "/sallyport/v1/status", body: "{}", status: 400, code: 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := &fronttest.Enclave{}
			a := fronttest.Do(t, tt.method, serve(t, f, Config{})+tt.path, tt.body, tt.header)
			wantEnvelope(t, a, tt.status, tt.code)
			if !strings.Contains(a.Body, tt.message) {
				t.Errorf("body %s, want %q in it", a.Body, tt.message)
			}
			if (tt.status == 405) != (a.Header.Get("Allow") != "") {
				t.Errorf("Allow is %q", a.Header.Get("Allow"))
			}
			if len(f.Requests()) != 0 {
				t.Error("it crossed the door")
			}
			for name := range a.Header {
				if strings.HasPrefix(name, "Access-Control-") {
					t.Errorf("header %s", name)
				}
			}
		})
	}
}

func TestStampsAndBodiesAtTheirLimitsCross(t *testing.T) {
	for _, tt := range []struct {
		name   string
		body   string
		header http.Header
		kind   wire.StampKind
	}{
		{name: "no stamp, empty body"},
		{name: "passkey", body: "{}", header: http.Header{"X-Stamp-Webauthn": {`{"a":"b"}`}}, kind: wire.StampWebAuthn},
		{name: "nonce of 64 bytes", header: http.Header{"X-Sallyport-Nonce": {strings.Repeat("a5", 64)}}},
		{name: "body at the first read", body: strings.Repeat("x", front.FirstRead)},
		{name: "body past the first read", body: strings.Repeat("x", front.FirstRead+1)},
		{name: "largest body", body: strings.Repeat("x", front.MaxBody)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := &fronttest.Enclave{}
			s := New(f, Config{})
			a := fronttest.Do(t, "POST", serveHandler(t, s)+whoami, tt.body, tt.header)
			if a.Status != 200 {
				t.Fatalf("answer is %d %s", a.Status, a.Body)
			}
			got := f.Requests()[0]
			if string(got.Body) != tt.body || got.StampKind != tt.kind {
				t.Errorf("%d bytes with stamp kind %d crossed", len(got.Body), got.StampKind)
			}
		})
	}
}

func serveHandler(t *testing.T, h *front.Handler) string {
	t.Helper()
	url, _ := fronttest.Serve(t, h)
	return url
}

func TestAmbiguousFramingIsRefusedAndTheConnectionClosed(t *testing.T) {
	for _, tt := range []struct{ name, headers, body string }{
		{"Content-Length and Transfer-Encoding", "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", "2\r\n{}\r\n0\r\n\r\n"},
		{"chunked", "Transfer-Encoding: chunked\r\n", "2\r\n{}\r\n0\r\n\r\n"},
		{"two lengths", "Content-Length: 2\r\nContent-Length: 3\r\n", "{}"},
		{"negative length", "Content-Length: -1\r\n", "{}"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := &fronttest.Enclave{}
			a, closed := fronttest.Raw(t, serve(t, f, Config{}), "POST "+whoami+" HTTP/1.1\r\nHost: x\r\n"+tt.headers+"\r\n"+tt.body)
			if !closed || len(f.Requests()) != 0 {
				t.Errorf("closed %v, %d crossed: %s", closed, len(f.Requests()), a.Body)
			}
			wantEnvelope(t, a, 400, 3)
		})
	}
}

func TestHugeHeadersAreRefused(t *testing.T) {
	f := &fronttest.Enclave{}
	a, closed := fronttest.Raw(t, serve(t, f, Config{}),
		"POST "+whoami+" HTTP/1.1\r\nHost: x\r\nX-Stamp: "+strings.Repeat("a", 100<<10)+"\r\n\r\n")
	if !closed || len(f.Requests()) != 0 {
		t.Errorf("closed %v, %d crossed", closed, len(f.Requests()))
	}
	wantEnvelope(t, a, 431, 3)
}

func TestWhatIsNotHTTPIsRefusedInJSON(t *testing.T) {
	for name, tt := range map[string]struct {
		request string
		status  int
	}{
		"no version":            {"POST " + whoami + "\r\n\r\n", 400},
		"space in a name":       {"POST " + whoami + " HTTP/1.1\r\nHost: x\r\nContent-Length : 4\r\n\r\nabcd", 400},
		"no host":               {"POST " + whoami + " HTTP/1.1\r\n\r\n", 400},
		"unknown expectation":   {"POST " + whoami + " HTTP/1.1\r\nHost: x\r\nExpect: miracles\r\nContent-Length: 0\r\n\r\n", 417},
		"version of the future": {"POST " + whoami + " HTTP/3.0\r\nHost: x\r\n\r\n", 505},
	} {
		t.Run(name, func(t *testing.T) {
			a, _ := fronttest.Raw(t, serve(t, &fronttest.Enclave{}, Config{}), tt.request)
			if a.Status != tt.status || a.Header.Get("Content-Type") != "application/json" || !strings.HasPrefix(a.Body, `{"code":`) {
				t.Errorf("status %d, %s: %s", a.Status, a.Header.Get("Content-Type"), a.Body)
			}
		})
	}
}

func TestOptionsStarIsAnUnknownPath(t *testing.T) {
	a, _ := fronttest.Raw(t, serve(t, &fronttest.Enclave{}, Config{}), "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n")
	wantEnvelope(t, a, 404, 5)
}

func TestSlowBodyEndsAtTheReadDeadline(t *testing.T) {
	f := &fronttest.Enclave{}
	url, _ := fronttest.Serve(t, New(f, Config{}), func(s *http.Server) { s.ReadTimeout = 50 * time.Millisecond })
	a, closed := fronttest.Raw(t, url, "POST "+whoami+" HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{")
	wantEnvelope(t, a, 408, 3)
	if !closed || len(f.Requests()) != 0 {
		t.Errorf("closed %v, %d crossed", closed, len(f.Requests()))
	}
}

func TestSlowCallOutlivesTheReadDeadline(t *testing.T) {
	f := &fronttest.Enclave{OnDo: func(ctx context.Context, _ *wire.Request) (*wire.Reply, error) {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(200 * time.Millisecond):
			return &wire.Reply{Status: 200, Body: []byte(`{}`)}, nil
		}
	}}
	url, _ := fronttest.Serve(t, New(f, Config{}), func(s *http.Server) { s.ReadTimeout = 50 * time.Millisecond })
	for _, tt := range []struct{ method, path, body string }{
		{"POST", whoami, "{}"}, {"POST", whoami, ""}, {"GET", "/sallyport/v1/status", ""},
	} {
		if a := fronttest.Do(t, tt.method, url+tt.path, tt.body, nil); a.Status != 200 {
			t.Errorf("%s %s: %d %s", tt.method, tt.path, a.Status, a.Body)
		}
	}
}
