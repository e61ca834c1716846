package turnkey

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/enclave/wire"
)

// fake is an enclave that remembers what it was asked.
type fake struct {
	do     func(context.Context, *wire.Request) (*wire.Reply, error)
	status func() (*wire.Status, error)

	mu   sync.Mutex
	seen []*wire.Request
}

func (f *fake) Do(ctx context.Context, r *wire.Request) (*wire.Reply, error) {
	f.mu.Lock()
	f.seen = append(f.seen, r)
	f.mu.Unlock()
	if f.do == nil {
		return &wire.Reply{Status: 200, Body: []byte(`{"ok":true}`)}, nil
	}
	return f.do(ctx, r)
}

func (f *fake) Status(context.Context) (*wire.Status, error) {
	if f.status == nil {
		return &wire.Status{Phase: wire.PhaseReady}, nil
	}
	return f.status()
}

func (f *fake) requests() []*wire.Request {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.seen
}

// serve runs the handler behind the real server and returns its base URL.
func serve(t *testing.T, f *fake, c Config) string {
	t.Helper()
	url, _ := serveUntil(t, f, c)
	return url
}

// serveUntil also returns what stops the server, after its last log line.
func serveUntil(t *testing.T, f *fake, c Config, tune ...func(*http.Server)) (string, func()) {
	t.Helper()
	s := httptest.NewUnstartedServer(nil)
	s.Listener = Listener(s.Listener)
	s.Config = NewServer(New(f, c))
	for _, change := range tune {
		change(s.Config)
	}
	s.Start()
	t.Cleanup(s.Close)
	return s.URL, s.Close
}

type answer struct {
	status int
	header http.Header
	body   string
}

func do(t *testing.T, method, url, body string, header http.Header) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range header {
		r.Header[k] = v
	}
	res, err := http.DefaultTransport.RoundTrip(r) // follows no redirect
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, string(b)}
}

// wantEnvelope checks the one form of every answer that is not a 2xx.
func wantEnvelope(t *testing.T, a answer, status int, code int) {
	t.Helper()
	if a.status != status {
		t.Errorf("status %d, want %d (%s)", a.status, status, a.body)
	}
	if got := a.header["Content-Type"]; len(got) != 1 || got[0] != "application/json" {
		t.Errorf("Content-Type %q", got)
	}
	var e map[string]json.RawMessage
	if err := json.Unmarshal([]byte(a.body), &e); err != nil {
		t.Fatalf("body %q: %v", a.body, err)
	}
	var number int
	if err := json.Unmarshal(e["code"], &number); err != nil || number != code {
		t.Errorf("code %s, want %d", e["code"], code)
	}
	if len(e) != 3 || len(e["message"]) < 3 || len(e["details"]) < 2 || e["details"][0] != '[' {
		t.Errorf("body %s", a.body)
	}
}

func TestExactBytesCrossTheDoor(t *testing.T) {
	f := &fake{do: func(context.Context, *wire.Request) (*wire.Reply, error) {
		return &wire.Reply{Status: 200, Body: []byte("{\"a\" : 1}\n"), Proof: "prf"}, nil
	}}
	url := serve(t, f, Config{})
	body := "{ \"b\":null,\"b\":\"\xff\" }\n"
	a := do(t, "POST", url+"//public/v1/submit/sign_raw_payload?x=1", body, http.Header{
		"X-Stamp":           {"c3RhbXA"},
		"X-Sallyport-Nonce": {"000102030405060708090a0b0c0d0e0F"},
		"Content-Type":      nil,
	})
	if a.status != 200 || a.body != "{\"a\" : 1}\n" {
		t.Errorf("answer is %d %q", a.status, a.body)
	}
	for name, want := range map[string]string{
		"Content-Type": "application/json", "X-Sallyport-Proof": "prf", "Cache-Control": "no-store", "Content-Length": "10",
	} {
		if got := a.header[name]; len(got) != 1 || got[0] != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	want := []*wire.Request{{
		API: wire.APIActivity, Path: "/public/v1/submit/sign_raw_payload", Body: []byte(body),
		StampKind: wire.StampAPIKey, Stamp: []byte("c3RhbXA"),
		Nonce: []byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
	}}
	if diff := cmp.Diff(want, f.requests()); diff != "" {
		t.Error(diff)
	}
}

func TestStatusIsARequestLikeAnyOther(t *testing.T) {
	f := &fake{}
	a := do(t, "GET", serve(t, f, Config{})+"/sallyport/v1/status", "", nil)
	if a.status != 200 || a.body != `{"ok":true}` {
		t.Errorf("answer is %d %s", a.status, a.body)
	}
	if a.header["X-Sallyport-Proof"] != nil {
		t.Error("a proof without a nonce")
	}
	want := []*wire.Request{{API: wire.APISallyport, Path: "/sallyport/v1/status", Body: []byte{}}}
	if diff := cmp.Diff(want, f.requests()); diff != "" {
		t.Error(diff)
	}
}

func TestEveryAnswerOfTheEnclaveIsPassedOn(t *testing.T) {
	for _, status := range []int{200, 400, 401, 403, 404, 409, 429, 500, 501, 503} {
		f := &fake{do: func(context.Context, *wire.Request) (*wire.Reply, error) {
			return &wire.Reply{Status: status, Body: []byte(`{"as":"is"}`)}, nil
		}}
		a := do(t, "POST", serve(t, f, Config{})+"/public/v1/query/whoami", "{}", nil)
		if a.status != status || a.body != `{"as":"is"}` {
			t.Errorf("%d became %d %s", status, a.status, a.body)
		}
		if ct := a.header.Get("Content-Type"); ct != "application/json" {
			t.Errorf("%d: Content-Type %q", status, ct)
		}
		if retry := a.header.Get("Retry-After") != ""; retry != (status == 429 || status == 503) {
			t.Errorf("%d: Retry-After is %v", status, retry)
		}
	}
}

func TestLongAnswerIsPassedOn(t *testing.T) {
	want := strings.Repeat("0123456789abcdef", 20<<20/16)
	f := &fake{do: func(context.Context, *wire.Request) (*wire.Reply, error) {
		return &wire.Reply{Status: 200, Body: []byte(want)}, nil
	}}
	a := do(t, "POST", serve(t, f, Config{})+"/public/v1/query/list_private_keys", "{}", nil)
	if a.status != 200 || a.body != want || a.header.Get("Content-Length") != strconv.Itoa(len(want)) {
		t.Errorf("status %d, %d bytes", a.status, len(a.body))
	}
}

func TestAccessLogHoldsNothingThatACallerSent(t *testing.T) {
	var out syncBuffer
	f := &fake{}
	url, stop := serveUntil(t, f, Config{Log: slog.New(slog.NewTextHandler(&out, nil))})
	header := http.Header{"X-Stamp": {"SECRETSTAMP"}, "X-Sallyport-Nonce": {strings.Repeat("5e", 16)}, "X-Request-Id": {"SECRETID"}}
	a := do(t, "POST", url+"/public/v1/query/whoami?SECRETQUERY=1", `"SECRETBODY"`, header)
	if a.header.Get("X-Request-Id") == "" {
		t.Error("no request id in the answer")
	}
	do(t, "POST", url+"/x%0Alevel=ERROR%1B[2J%C2%9B"+strings.Repeat("y", 500), "", nil)
	stop()
	log := out.String()
	if strings.Contains(log, "SECRET") || strings.Contains(log, "5e5e") {
		t.Errorf("the log repeats what was sent: %s", log)
	}
	if !strings.Contains(log, "path=/public/v1/query/whoami status=200 us=") ||
		!strings.Contains(log, "id="+a.header.Get("X-Request-Id")) {
		t.Errorf("the log lacks what it should hold: %s", log)
	}
	lines := strings.Split(strings.TrimSuffix(log, "\n"), "\n")
	if len(lines) != 2 {
		t.Fatalf("%d lines for two requests: %q", len(lines), lines)
	}
	if len(lines[1]) > 400 {
		t.Errorf("a line of %d bytes", len(lines[1]))
	}
	for _, c := range []byte(lines[1]) {
		if c < 0x20 || c > 0x7e {
			t.Errorf("byte %#x in the log", c)
		}
	}
}

// syncBuffer is written by the server's goroutines and read by the test.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
