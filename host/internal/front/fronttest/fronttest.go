// Package fronttest is what tests of the host's faces share: an enclave that
// remembers what it was asked, and a client that follows no redirect and hides
// nothing of an answer.
package fronttest

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/enclave/wire"
	"github.com/sallyport/sallyport/host/internal/front"
)

// Enclave answers as it is told to and remembers what it was asked.
type Enclave struct {
	OnDo     func(context.Context, *wire.Request) (*wire.Reply, error) // nil: 200 {"ok":true}
	OnStatus func() (*wire.Status, error)                              // nil: Ready

	mu   sync.Mutex
	seen []*wire.Request
}

// Do implements [wire.Enclave].
func (e *Enclave) Do(ctx context.Context, r *wire.Request) (*wire.Reply, error) {
	e.mu.Lock()
	e.seen = append(e.seen, r)
	e.mu.Unlock()
	if e.OnDo == nil {
		return &wire.Reply{Status: 200, Body: []byte(`{"ok":true}`)}, nil
	}
	return e.OnDo(ctx, r)
}

// Status implements [wire.Enclave].
func (e *Enclave) Status(context.Context) (*wire.Status, error) {
	if e.OnStatus == nil {
		return &wire.Status{Phase: wire.PhaseReady}, nil
	}
	return e.OnStatus()
}

// Requests returns what has crossed the door.
func (e *Enclave) Requests() []*wire.Request {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.seen
}

// Serve runs a handler behind the real server. It returns the base URL, and
// what stops the server after its last log line.
func Serve(t *testing.T, h *front.Handler, tune ...func(*http.Server)) (url string, stop func()) {
	t.Helper()
	s := httptest.NewUnstartedServer(nil)
	s.Listener = front.Listener(s.Listener)
	s.Config = front.NewServer(h)
	for _, change := range tune {
		change(s.Config)
	}
	s.Start()
	t.Cleanup(s.Close)
	return s.URL, s.Close
}

// Answer is what came back.
type Answer struct {
	Status int
	Header http.Header
	Body   string
}

// Do makes one request.
func Do(t *testing.T, method, url, body string, header http.Header) Answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range header {
		r.Header[k] = v
	}
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return Answer{res.StatusCode, res.Header, string(b)}
}

// Raw sends bytes as they are. Closed says that the server ended the connection
// after its answer.
func Raw(t *testing.T, url, request string) (a Answer, closed bool) {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(c)
	res, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, _ := io.ReadAll(res.Body)
	if err := c.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if res.Close {
		_, err = r.ReadByte()
		closed = errors.Is(err, io.EOF)
	}
	return Answer{res.StatusCode, res.Header, string(b)}, closed
}

// CancelledByClient calls url, leaves as soon as the enclave has the request,
// and returns how the call in the enclave ended. It sets OnDo.
func (e *Enclave) CancelledByClient(t *testing.T, url string) error {
	t.Helper()
	called, ended := make(chan struct{}), make(chan error, 1)
	e.OnDo = func(ctx context.Context, _ *wire.Request) (*wire.Reply, error) {
		close(called)
		<-ctx.Done()
		ended <- ctx.Err()
		return nil, ctx.Err()
	}
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		<-called
		cancel()
	}()
	if res, err := http.DefaultTransport.RoundTrip(r); err == nil {
		res.Body.Close()
		t.Fatal("an answer came")
	}
	return <-ended
}

// Log is written by the server's goroutines and read by the test.
type Log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
