package turnkey

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/enclave/wire"
	"github.com/sallyport/sallyport/host/internal/front"
	"github.com/sallyport/sallyport/host/internal/front/fronttest"
)

func TestFailuresOfTheDoorHaveTheEnvelope(t *testing.T) {
	for _, tt := range []struct {
		name         string
		err          error
		status, code int
		message      string
		retry        bool
	}{
		{name: "the door's own error", err: fmt.Errorf("x: %w", wire.Errorf(wire.FailedPrecondition, "R", "not now")), status: 400, code: 9, message: "not now"},
		{name: "busy", err: wire.Errorf(wire.ResourceExhausted, "", "full"), status: 429, code: 8, retry: true},
		{name: "no answer", err: &noAnswer{wire.Errorf(wire.Unavailable, "NO_ANSWER", "no answer from the enclave")}, status: 503, code: 14, message: "no answer from the enclave", retry: true},
		{name: "a defect", err: errors.New("SECRET"), status: 500, code: 13, message: "incident "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := &fronttest.Enclave{OnDo: func(context.Context, *wire.Request) (*wire.Reply, error) { return nil, tt.err }}
			a := fronttest.Do(t, "POST", serve(t, f, Config{})+whoami, "{}", nil)
			wantEnvelope(t, a, tt.status, tt.code)
			if !strings.Contains(a.Body, tt.message) || strings.Contains(a.Body, "SECRET") {
				t.Errorf("body %s", a.Body)
			}
			if (a.Header.Get("Retry-After") != "") != tt.retry {
				t.Errorf("Retry-After %q", a.Header.Get("Retry-After"))
			}
		})
	}
}

// noAnswer has a text for the log and an error for the caller, as the door's.
type noAnswer struct{ shown *wire.Error }

func (n *noAnswer) Error() string { return "dial unix /SECRET: connection refused" }
func (n *noAnswer) Unwrap() error { return n.shown }

func TestImpossibleRepliesAreIncidents(t *testing.T) {
	for name, do1 := range map[string]func(context.Context, *wire.Request) (*wire.Reply, error){
		"nil":       func(context.Context, *wire.Request) (*wire.Reply, error) { return nil, nil },
		"status 0":  func(context.Context, *wire.Request) (*wire.Reply, error) { return &wire.Reply{}, nil },
		"status 99": func(context.Context, *wire.Request) (*wire.Reply, error) { return &wire.Reply{Status: 99}, nil },
		"a panic":   func(context.Context, *wire.Request) (*wire.Reply, error) { panic("SECRET") },
	} {
		t.Run(name, func(t *testing.T) {
			var out fronttest.Log
			url, stop := fronttest.Serve(t, New(&fronttest.Enclave{OnDo: do1}, Config{Log: slog.New(slog.NewTextHandler(&out, nil))}))
			a := fronttest.Do(t, "POST", url+whoami, "{}", nil)
			wantEnvelope(t, a, 500, 13)
			stop()
			_, number, _ := strings.Cut(a.Body, "incident ")
			number, _, _ = strings.Cut(number, `"`)
			if len(number) != 16 || !strings.Contains(out.String(), "incident="+number) {
				t.Errorf("incident %q is not in the log: %s", number, out.String())
			}
			if strings.Contains(out.String(), "SECRET") {
				t.Error("the log quotes the panic")
			}
		})
	}
}

func TestLeavingClientCancelsItsCall(t *testing.T) {
	f := &fronttest.Enclave{}
	if err := f.CancelledByClient(t, serve(t, f, Config{})+whoami); !errors.Is(err, context.Canceled) {
		t.Errorf("the call ended with %v", err)
	}
}

func TestUnansweredCallEnds(t *testing.T) {
	f := &fronttest.Enclave{OnDo: func(ctx context.Context, _ *wire.Request) (*wire.Reply, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}}
	a := fronttest.Do(t, "POST", serve(t, f, Config{CallTimeout: 20 * time.Millisecond})+whoami, "{}", nil)
	wantEnvelope(t, a, 503, 14)
}

func TestRequestsBeyondTheBoundAreShedAtOnce(t *testing.T) {
	entered, release := make(chan struct{}, 2), make(chan struct{})
	f := &fronttest.Enclave{OnDo: func(context.Context, *wire.Request) (*wire.Reply, error) {
		entered <- struct{}{}
		<-release
		return &wire.Reply{Status: 200, Body: []byte(`{}`)}, nil
	}}
	url := serve(t, f, Config{MaxInFlight: 2})
	done := make(chan fronttest.Answer, 2)
	for range 2 {
		go func() { done <- fronttest.Do(t, "POST", url+whoami, "{}", nil) }()
		<-entered
	}
	a := fronttest.Do(t, "POST", url+whoami, "{}", nil)
	wantEnvelope(t, a, 429, 8)
	if a.Header.Get("Retry-After") != "1" {
		t.Errorf("Retry-After %q", a.Header.Get("Retry-After"))
	}
	if a := fronttest.Do(t, "GET", url+"/readyz", "", nil); a.Status != 200 {
		t.Errorf("readyz says %d while busy", a.Status)
	}
	close(release)
	for range 2 {
		if a := <-done; a.Status != 200 {
			t.Errorf("a request that was let in got %d", a.Status)
		}
	}
	if a := fronttest.Do(t, "POST", url+whoami, "{}", nil); a.Status != 200 {
		t.Errorf("afterwards: %d", a.Status)
	}
}

func TestLargeBodiesHaveABudget(t *testing.T) {
	f := &fronttest.Enclave{}
	url := serveHandler(t, front.New(f, front.Config{BodyBytes: front.FirstRead + 1}, Face(f, Config{})))
	for range 2 { // what was taken is given back
		wantEnvelope(t, fronttest.Do(t, "POST", url+whoami, strings.Repeat("x", front.MaxBody), nil), 429, 8)
		if a := fronttest.Do(t, "POST", url+whoami, strings.Repeat("x", front.FirstRead), nil); a.Status != 200 {
			t.Errorf("a small body got %d", a.Status)
		}
		if a := fronttest.Do(t, "POST", url+whoami, strings.Repeat("x", front.FirstRead+1), nil); a.Status != 200 {
			t.Errorf("a body of the budget got %d", a.Status)
		}
	}
}

func TestHealthPages(t *testing.T) {
	for _, tt := range []struct {
		name   string
		status func() (*wire.Status, error)
		want   int
		text   string
	}{
		{"ready", func() (*wire.Status, error) { return &wire.Status{Phase: wire.PhaseReady}, nil }, 200, `{"status":"ready"}`},
		{"waiting", func() (*wire.Status, error) { return &wire.Status{Phase: wire.PhaseAwaitingRoot}, nil }, 503, "the enclave is AwaitingRoot"},
		{"gone", func() (*wire.Status, error) { return nil, io.EOF }, 503, "cannot be reached"},
		{"nothing", func() (*wire.Status, error) { return nil, nil }, 503, "cannot be reached"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			url := serve(t, &fronttest.Enclave{OnStatus: tt.status}, Config{})
			a := fronttest.Do(t, "GET", url+"/readyz", "", nil)
			if a.Status != tt.want || !strings.Contains(a.Body, tt.text) {
				t.Errorf("readyz: %d %s", a.Status, a.Body)
			}
			if tt.want != 200 {
				wantEnvelope(t, a, 503, 14)
			}
			for _, method := range []string{"GET", "HEAD"} {
				if a := fronttest.Do(t, method, url+"/healthz", "", nil); a.Status != 200 {
					t.Errorf("%s healthz: %d", method, a.Status)
				}
			}
		})
	}
}

func TestReadyPageAsksTheEnclaveOnceForMany(t *testing.T) {
	asked := 0
	f := &fronttest.Enclave{OnStatus: func() (*wire.Status, error) { asked++; return &wire.Status{Phase: wire.PhaseReady}, nil }}
	ready := &readiness{enclave: f, until: time.Now().Add(time.Hour)} // nothing was asked yet: the zero answer is ready
	face := &front.Face{Find: newTable(front.NewLane(1, time.Second), ready).find, Voice: voice}
	url := serveHandler(t, front.New(f, front.Config{}, face))
	for range 5 {
		fronttest.Do(t, "GET", url+"/readyz", "", nil)
	}
	if asked != 0 {
		t.Errorf("asked %d times", asked)
	}
}
