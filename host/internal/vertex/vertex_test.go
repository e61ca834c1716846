package vertex

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/enclave/wire"
	"github.com/sallyport/sallyport/host/internal/front"
	"github.com/sallyport/sallyport/host/internal/front/fronttest"
	"github.com/sallyport/sallyport/host/internal/turnkey"
)

const keyID = "0b8e7a52-31cf-4c2e-9d75-6a4a5d1f9e11"

// serve runs both faces, as the host does.
func serve(t *testing.T, f *fronttest.Enclave, c Config) string {
	t.Helper()
	url, _ := fronttest.Serve(t, front.New(f, front.Config{}, turnkey.Face(f, turnkey.Config{}), Face(c)))
	return url
}

func wantError(t *testing.T, a fronttest.Answer, status int, kind string) {
	t.Helper()
	var e map[string]json.RawMessage
	if err := json.Unmarshal([]byte(a.Body), &e); err != nil {
		t.Fatalf("body %q: %v", a.Body, err)
	}
	if a.Status != status || string(e["err_type"]) != `"`+kind+`"` || len(e["err_msg"]) < 3 {
		t.Errorf("got %d %s, want %d %s", a.Status, a.Body, status, kind)
	}
	if got := a.Header["Content-Type"]; len(got) != 1 || got[0] != "application/json" {
		t.Errorf("Content-Type %q", got)
	}
}

func TestExactBytesCrossTheDoor(t *testing.T) {
	f := &fronttest.Enclave{OnDo: func(context.Context, *wire.Request) (*wire.Reply, error) {
		return &wire.Reply{Status: 200, Body: []byte("{\"private_key\" : \"\"}\n"), Proof: "prf"}, nil
	}}
	body := "{ \"key_id\":null,\"key_id\":\"\xff\" }\n"
	a := fronttest.Do(t, "POST", serve(t, f, Config{})+"//ecdsa/export/full?a=%41&a=b;c", body, http.Header{
		"AUTHORIZATION":     {"token"},
		"X-Stamp":           {"c3RhbXA"},
		"X-Sallyport-Nonce": {"000102030405060708090a0b0c0d0e0f"},
	})
	if a.Status != 200 || a.Body != "{\"private_key\" : \"\"}\n" || a.Header.Get("X-Sallyport-Proof") != "prf" {
		t.Errorf("answer is %d %q", a.Status, a.Body)
	}
	want := []*wire.Request{{
		API: wire.APINode, Method: "POST", Path: "/ecdsa/export/full", Query: "a=%41&a=b;c", Body: []byte(body), Authorization: "token",
		StampKind: wire.StampAPIKey, Stamp: []byte("c3RhbXA"), Nonce: []byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
	}}
	if diff := cmp.Diff(want, f.Requests()); diff != "" {
		t.Error(diff)
	}
}

func TestActivityAPIHasNothingOfTheNodeAPI(t *testing.T) {
	f := &fronttest.Enclave{}
	fronttest.Do(t, "POST", serve(t, f, Config{})+"/public/v1/query/whoami?a=b", "{}", http.Header{"Authorization": {"token"}})
	if r := f.Requests()[0]; r.Method+r.Query+r.Authorization != "" {
		t.Errorf("crossed: %+v", r)
	}
}

func TestEveryEndpointCrossesWithEveryMethodItHas(t *testing.T) {
	f := &fronttest.Enclave{}
	url := serve(t, f, Config{})
	for path, route := range newTable(front.NewLane(1, time.Second), front.NewLane(1, time.Second)) {
		if path == DocumentPath {
			continue
		}
		if strings.HasSuffix(path, "/") {
			path += keyID
		}
		for _, method := range []string{"GET", "POST", "DELETE", "PUT", "PATCH", "HEAD", "OPTIONS", "BREW"} {
			before := len(f.Requests())
			a := fronttest.Do(t, method, url+path, "", nil)
			if strings.Contains(route.Allow, method) {
				if r := f.Requests(); a.Status != 200 || len(r) != before+1 || r[before].Method != method || r[before].Path != path {
					t.Errorf("%s %s: %d", method, path, a.Status)
				}
				continue
			}
			if method != "HEAD" {
				wantError(t, a, 404, "not_found")
			}
			if len(f.Requests()) != before {
				t.Errorf("%s %s crossed", method, path)
			}
		}
	}
}

func TestRequestsThatBreakARuleAreRefused(t *testing.T) {
	nonce := strings.Repeat("a5", 16)
	for _, tt := range []struct {
		name, method, path, body string
		header                   http.Header
		status                   int
		kind                     string
	}{
		{name: "unknown scheme", path: "/rsa/sign", status: 404},
		{name: "unknown operation", path: "/ecdsa/signs", status: 404, kind: "not_found"},
		{name: "nothing after the scheme", path: "/ecdsa/", status: 404, kind: "not_found"},
		{name: "scheme alone", path: "/ed25519", status: 404, kind: "not_found"},
		{name: "admin alone", path: "/admin", status: 404, kind: "not_found"},
		{name: "another name that begins so", path: "/administrator", status: 404},
		{name: "trailing slash", path: "/ecdsa/sign/", status: 404, kind: "not_found"},
		{name: "id where none belongs", path: "/ecdsa/sign/" + keyID, status: 404, kind: "not_found"},
		{name: "no id", method: "GET", path: "/ecdsa/export/exportId/", status: 404, kind: "not_found"},
		{name: "id of 65 bytes", method: "GET", path: "/ecdsa/export/exportId/" + strings.Repeat("a", 65), status: 404, kind: "not_found"},
		{name: "id with a dot", method: "GET", path: "/ecdsa/export/exportId/..", status: 404, kind: "not_found"},
		{name: "two ids", method: "GET", path: "/ecdsa/export/exportId/a/b", status: 404, kind: "not_found"},
		{name: "encoded letter", path: "/ecdsa/%73ign", status: 404, kind: "not_found"},
		{name: "encoded slash", path: "/ecdsa%2Fsign", status: 404, kind: "not_found"},
		{name: "three slashes", path: "///ecdsa/sign", status: 404},
		{name: "inner doubled slash", path: "/ecdsa//sign", status: 404, kind: "not_found"},
		{name: "upper case", path: "/ECDSA/sign", status: 404},
		{name: "wrong method", method: "GET", path: "/ecdsa/sign", status: 404, kind: "not_found"},
		{name: "method override", method: "GET", path: "/ecdsa/sign", header: http.Header{"X-Http-Method-Override": {"POST"}}, status: 404, kind: "not_found"},

		{name: "gzip", path: "/ecdsa/sign", header: http.Header{"Content-Encoding": {"gzip"}}, status: 400, kind: "bad_request_params"},
		{name: "two stamps", path: "/ecdsa/sign", header: http.Header{"X-Stamp": {"a", "a"}}, status: 400, kind: "bad_request_params"},
		{name: "empty stamp", path: "/ecdsa/sign", header: http.Header{"X-Stamp": {""}}, status: 401, kind: "access_denied"},
		{name: "two keys", path: "/ecdsa/sign", header: http.Header{"Authorization": {"a", "a"}}, status: 400, kind: "bad_request_params"},
		{name: "key with a space", path: "/ecdsa/sign", header: http.Header{"Authorization": {"Bearer a"}}, status: 401, kind: "access_denied"},
		{name: "key of 513 bytes", path: "/ecdsa/sign", header: http.Header{"Authorization": {strings.Repeat("a", 513)}}, status: 401, kind: "access_denied"},
		{name: "long query", path: "/ecdsa/sign?" + strings.Repeat("a", 4097), status: 400, kind: "bad_request_params"},
		{name: "two nonces", path: "/ecdsa/sign", header: http.Header{"X-Sallyport-Nonce": {nonce, nonce}}, status: 400, kind: "bad_request_params"},
		{name: "short nonce", path: "/ecdsa/sign", header: http.Header{"X-Sallyport-Nonce": {nonce[2:]}}, status: 400, kind: "bad_request_params"},
		{name: "long body", path: "/ecdsa/sign", body: strings.Repeat("x", front.MaxBody+1), status: 400, kind: "bad_request_params"},
		{name: "body in a GET", method: "GET", path: "/ecdsa/create", body: "{}", status: 400, kind: "bad_request_params"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := &fronttest.Enclave{}
			if tt.method == "" {
				tt.method = "POST"
			}
			a := fronttest.Do(t, tt.method, serve(t, f, Config{})+tt.path, tt.body, tt.header)
			if tt.kind != "" {
				wantError(t, a, tt.status, tt.kind)
			} else if a.Status != tt.status || !strings.HasPrefix(a.Body, `{"code":`) {
				t.Errorf("got %d %s, want the other API's %d", a.Status, a.Body, tt.status)
			}
			if len(f.Requests()) != 0 {
				t.Error("it crossed the door")
			}
		})
	}
}

func TestFailuresOfTheDoorAreOfAPublishedType(t *testing.T) {
	for _, tt := range []struct {
		name   string
		err    error
		status int
		kind   string
		text   string
	}{
		{"no answer", wire.Errorf(wire.Unavailable, "NO_ANSWER", "no answer from the enclave"), 500, "internal_problem", "no answer"},
		{"reason of the door", wire.Errorf(wire.InvalidArgument, "LENGTH", "too long"), 400, "bad_request_params", "too long"},
		{"reason of the API", wire.Errorf(wire.InvalidArgument, "executor_result", "ended"), 400, "executor_result", "ended"},
		{"busy", wire.Errorf(wire.ResourceExhausted, "", "full"), 500, "internal_problem", "full"},
		{"a defect", errors.New("SECRET"), 500, "internal_problem", "incident "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := &fronttest.Enclave{OnDo: func(context.Context, *wire.Request) (*wire.Reply, error) { return nil, tt.err }}
			a := fronttest.Do(t, "POST", serve(t, f, Config{})+"/ecdsa/sign", "{}", nil)
			wantError(t, a, tt.status, tt.kind)
			if !strings.Contains(a.Body, tt.text) || strings.Contains(a.Body, "SECRET") {
				t.Errorf("body %s", a.Body)
			}
		})
	}
}

func TestLeavingClientCancelsItsOperation(t *testing.T) {
	f := &fronttest.Enclave{}
	if err := f.CancelledByClient(t, serve(t, f, Config{})+"/ecdsa/keygen"); !errors.Is(err, context.Canceled) {
		t.Errorf("the operation ended with %v", err)
	}
}

func TestOperationsHaveTheirOwnTimeAndBound(t *testing.T) {
	entered := make(chan struct{}, 1)
	f := &fronttest.Enclave{OnDo: func(ctx context.Context, r *wire.Request) (*wire.Reply, error) {
		if r.Path != "/ecdsa/keygen" {
			return &wire.Reply{Status: 200, Body: []byte(`{}`)}, nil
		}
		entered <- struct{}{}
		<-ctx.Done()
		return nil, ctx.Err()
	}}
	url := serve(t, f, Config{MaxOperations: 1, OperationTimeout: 300 * time.Millisecond})
	done := make(chan fronttest.Answer)
	go func() { done <- fronttest.Do(t, "POST", url+"/ecdsa/keygen", "{}", nil) }()
	<-entered
	wantError(t, fronttest.Do(t, "POST", url+"/ed25519/sign", "{}", nil), 500, "internal_problem")
	if a := fronttest.Do(t, "GET", url+"/identity-pubkey", "", nil); a.Status != 200 {
		t.Errorf("a call that needs nobody was answered %d", a.Status)
	}
	if a := fronttest.Do(t, "POST", url+"/public/v1/query/whoami", "{}", nil); a.Status != 200 {
		t.Errorf("the activity API answered %d", a.Status)
	}
	wantError(t, <-done, 500, "internal_problem")
}

func TestSlowOperationOutlivesTheServersDeadlines(t *testing.T) {
	f := &fronttest.Enclave{OnDo: func(context.Context, *wire.Request) (*wire.Reply, error) {
		time.Sleep(200 * time.Millisecond)
		return &wire.Reply{Status: 200, Body: []byte(`{}`)}, nil
	}}
	h := front.New(f, front.Config{}, Face(Config{}))
	url, _ := fronttest.Serve(t, h, func(s *http.Server) { s.ReadTimeout, s.WriteTimeout = 50*time.Millisecond, 100*time.Millisecond })
	if a := fronttest.Do(t, "POST", url+"/ecdsa/keygen", "{}", nil); a.Status != 200 {
		t.Errorf("%d %s", a.Status, a.Body)
	}
}

func TestLogHasNoCredentials(t *testing.T) {
	out := new(fronttest.Log)
	f := &fronttest.Enclave{}
	url, stop := fronttest.Serve(t, front.New(f, front.Config{Log: slog.New(slog.NewTextHandler(out, nil))}, Face(Config{})))
	fronttest.Do(t, "DELETE", url+"/admin/revoke-api-key?api_key=SECRET", `"SECRET"`, http.Header{"Authorization": {"SECRET"}, "X-Stamp": {"SECRET"}})
	stop()
	if log := out.String(); strings.Contains(log, "SECRET") || !strings.Contains(log, "path=/admin/revoke-api-key status=200") {
		t.Errorf("log: %s", log)
	}
}
