package turnkey

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/enclave/wire"
	"github.com/sallyport/sallyport/host/internal/front/fronttest"
)

// serve runs the face behind the real server and returns its base URL.
func serve(t *testing.T, f *fronttest.Enclave, c Config) string {
	t.Helper()
	url, _ := fronttest.Serve(t, New(f, c))
	return url
}

// wantEnvelope checks the one form of every answer that is not a 2xx.
func wantEnvelope(t *testing.T, a fronttest.Answer, status int, code int) {
	t.Helper()
	if a.Status != status {
		t.Errorf("status %d, want %d (%s)", a.Status, status, a.Body)
	}
	if got := a.Header["Content-Type"]; len(got) != 1 || got[0] != "application/json" {
		t.Errorf("Content-Type %q", got)
	}
	var e map[string]json.RawMessage
	if err := json.Unmarshal([]byte(a.Body), &e); err != nil {
		t.Fatalf("body %q: %v", a.Body, err)
	}
	var number int
	if err := json.Unmarshal(e["code"], &number); err != nil || number != code {
		t.Errorf("code %s, want %d", e["code"], code)
	}
	if len(e) != 3 || len(e["message"]) < 3 || len(e["details"]) < 2 || e["details"][0] != '[' {
		t.Errorf("body %s", a.Body)
	}
}

func TestExactBytesCrossTheDoor(t *testing.T) {
	f := &fronttest.Enclave{OnDo: func(context.Context, *wire.Request) (*wire.Reply, error) {
		return &wire.Reply{Status: 200, Body: []byte("{\"a\" : 1}\n"), Proof: "prf"}, nil
	}}
	url := serve(t, f, Config{})
	body := "{ \"b\":null,\"b\":\"\xff\" }\n"
	a := fronttest.Do(t, "POST", url+"//public/v1/submit/sign_raw_payload?x=1", body, http.Header{
		"X-Stamp":           {"c3RhbXA"},
		"X-Sallyport-Nonce": {"000102030405060708090a0b0c0d0e0F"},
		"Content-Type":      nil,
	})
	if a.Status != 200 || a.Body != "{\"a\" : 1}\n" {
		t.Errorf("answer is %d %q", a.Status, a.Body)
	}
	for name, want := range map[string]string{
		"Content-Type": "application/json", "X-Sallyport-Proof": "prf", "Cache-Control": "no-store", "Content-Length": "10",
	} {
		if got := a.Header[name]; len(got) != 1 || got[0] != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	want := []*wire.Request{{
		API: wire.APIActivity, Path: "/public/v1/submit/sign_raw_payload", Body: []byte(body),
		StampKind: wire.StampAPIKey, Stamp: []byte("c3RhbXA"),
		Nonce: []byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
	}}
	if diff := cmp.Diff(want, f.Requests()); diff != "" {
		t.Error(diff)
	}
}

func TestStatusIsARequestLikeAnyOther(t *testing.T) {
	f := &fronttest.Enclave{}
	a := fronttest.Do(t, "GET", serve(t, f, Config{})+"/sallyport/v1/status", "", nil)
	if a.Status != 200 || a.Body != `{"ok":true}` {
		t.Errorf("answer is %d %s", a.Status, a.Body)
	}
	if a.Header["X-Sallyport-Proof"] != nil {
		t.Error("a proof without a nonce")
	}
	want := []*wire.Request{{API: wire.APISallyport, Path: "/sallyport/v1/status", Body: []byte{}}}
	if diff := cmp.Diff(want, f.Requests()); diff != "" {
		t.Error(diff)
	}
}

func TestEveryAnswerOfTheEnclaveIsPassedOn(t *testing.T) {
	for _, status := range []int{200, 400, 401, 403, 404, 409, 429, 500, 501, 503} {
		f := &fronttest.Enclave{OnDo: func(context.Context, *wire.Request) (*wire.Reply, error) {
			return &wire.Reply{Status: status, Body: []byte(`{"as":"is"}`)}, nil
		}}
		a := fronttest.Do(t, "POST", serve(t, f, Config{})+"/public/v1/query/whoami", "{}", nil)
		if a.Status != status || a.Body != `{"as":"is"}` {
			t.Errorf("%d became %d %s", status, a.Status, a.Body)
		}
		if ct := a.Header.Get("Content-Type"); ct != "application/json" {
			t.Errorf("%d: Content-Type %q", status, ct)
		}
		if retry := a.Header.Get("Retry-After") != ""; retry != (status == 429 || status == 503) {
			t.Errorf("%d: Retry-After is %v", status, retry)
		}
	}
}

func TestLongAnswerIsPassedOn(t *testing.T) {
	want := strings.Repeat("0123456789abcdef", 20<<20/16)
	f := &fronttest.Enclave{OnDo: func(context.Context, *wire.Request) (*wire.Reply, error) {
		return &wire.Reply{Status: 200, Body: []byte(want)}, nil
	}}
	a := fronttest.Do(t, "POST", serve(t, f, Config{})+"/public/v1/query/list_private_keys", "{}", nil)
	if a.Status != 200 || a.Body != want || a.Header.Get("Content-Length") != strconv.Itoa(len(want)) {
		t.Errorf("status %d, %d bytes", a.Status, len(a.Body))
	}
}

func TestAccessLogHoldsNothingThatACallerSent(t *testing.T) {
	var out fronttest.Log
	f := &fronttest.Enclave{}
	url, stop := fronttest.Serve(t, New(f, Config{Log: slog.New(slog.NewTextHandler(&out, nil))}))
	header := http.Header{"X-Stamp": {"SECRETSTAMP"}, "X-Sallyport-Nonce": {strings.Repeat("5e", 16)}, "X-Request-Id": {"SECRETID"}}
	a := fronttest.Do(t, "POST", url+"/public/v1/query/whoami?SECRETQUERY=1", `"SECRETBODY"`, header)
	if a.Header.Get("X-Request-Id") == "" {
		t.Error("no request id in the answer")
	}
	fronttest.Do(t, "POST", url+"/x%0Alevel=ERROR%1B[2J%C2%9B"+strings.Repeat("y", 500), "", nil)
	stop()
	log := out.String()
	if strings.Contains(log, "SECRET") || strings.Contains(log, "5e5e") {
		t.Errorf("the log repeats what was sent: %s", log)
	}
	if !strings.Contains(log, "path=/public/v1/query/whoami status=200 us=") ||
		!strings.Contains(log, "id="+a.Header.Get("X-Request-Id")) {
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
