package wire

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// enclaveFuncs is an enclave made of functions.
type enclaveFuncs struct {
	status func(context.Context) (*Status, error)
	do     func(context.Context, *Request) (*Reply, error)
}

func (e enclaveFuncs) Status(ctx context.Context) (*Status, error)        { return e.status(ctx) }
func (e enclaveFuncs) Do(ctx context.Context, r *Request) (*Reply, error) { return e.do(ctx, r) }
func doing(do func(context.Context, *Request) (*Reply, error)) enclaveFuncs {
	return enclaveFuncs{do: do}
}

// blockUntilCancelled tells on started when a call began, and on stopped why it ended.
func blockUntilCancelled(started chan struct{}, stopped chan error) enclaveFuncs {
	return doing(func(ctx context.Context, _ *Request) (*Reply, error) {
		close(started)
		<-ctx.Done()
		stopped <- ctx.Err()
		return nil, ctx.Err()
	})
}

// memoryHost is a host that keeps everything in memory.
type memoryHost struct {
	mu      sync.Mutex
	records [][]byte
	blobs   map[string][]byte
}

func (h *memoryHost) Append(_ context.Context, index uint64, records [][]byte) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if index != uint64(len(h.records)) {
		return Errorf(Conflict, "LENGTH", "journal has %d entries", len(h.records))
	}
	h.records = append(h.records, records...)
	return nil
}

func (h *memoryHost) ReadRange(_ context.Context, index uint64, limit int) ([][]byte, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	from := min(index, uint64(len(h.records)))
	return h.records[from:min(from+uint64(limit), uint64(len(h.records)))], nil
}

func (h *memoryHost) PutBlobs(_ context.Context, blobs [][]byte) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, b := range blobs {
		h.blobs[string(nameOf(b))] = b
	}
	return nil
}

func (h *memoryHost) GetBlobs(_ context.Context, names [][]byte) ([][]byte, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var out [][]byte
	for _, n := range names {
		b, ok := h.blobs[string(n)]
		if !ok {
			return nil, Errorf(NotFound, "", "no such blob")
		}
		out = append(out, b)
	}
	return out, nil
}

// pipes is a listener whose connections are net.Pipe, so that time can be
// that of testing/synctest.
type pipes struct {
	accepted chan net.Conn
	closed   chan struct{}
	once     sync.Once
	dialled  int
}

func newPipes() *pipes {
	return &pipes{accepted: make(chan net.Conn), closed: make(chan struct{})}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.accepted:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

func (p *pipes) dial(ctx context.Context) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case p.accepted <- there:
		p.dialled++
		return here, nil
	case <-p.closed:
		return nil, errors.New("connection refused")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// served is a server of e behind pipes, until the test ends or stop is called.
type served struct {
	*pipes
	server *server
	log    *bytes.Buffer // read it after stop
	stop   func() error
}

func serveEnclave(t *testing.T, e Enclave, l limits) served {
	return serveHandlers(t, enclaveCodec, enclaveHandlers(e), l)
}

func serveHandlers(t *testing.T, c codec, h map[method]handler, l limits) served {
	t.Helper()
	log := new(bytes.Buffer)
	s := served{pipes: newPipes(), log: log}
	s.server = newServer(c, h, slog.New(slog.NewTextHandler(log, nil)), l)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.server.serve(ctx, s.pipes) }()
	s.stop = sync.OnceValue(func() error { cancel(); return <-done })
	t.Cleanup(func() { _ = s.stop() })
	return s
}

func (s served) client(t *testing.T) *EnclaveClient {
	c := &EnclaveClient{client{pool: &pool{limits: s.server.limits, connect: s.dial}, codec: hostCodec, peer: "enclave"}}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// raw is a connection on which a test speaks bytes.
func (s served) raw(t *testing.T) net.Conn {
	t.Helper()
	conn, err := s.dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// whoami is a valid request.
func whoami() *Request {
	return &Request{API: APIActivity, Path: "/public/v1/query/whoami", Body: []byte(`{}`)}
}

// frameOf returns the frame of a value under a head.
func frameOf(t testing.TB, head []byte, v any) []byte {
	t.Helper()
	frame, err := encode(head, v, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer recycle(frame)
	return bytes.Clone(frame.Bytes())
}

// bodyFrame puts any bytes into a well-formed frame.
func bodyFrame(body []byte) []byte {
	var frame bytes.Buffer
	frame.Write(make([]byte, headerSize))
	frame.Write(body)
	sealFrame(&frame)
	return frame.Bytes()
}

func doFrame(t testing.TB) []byte { return frameOf(t, requestHead(methodDo), whoami()) }

func send(t *testing.T, conn net.Conn, b []byte) {
	t.Helper()
	if _, err := conn.Write(b); err != nil {
		t.Fatal(err)
	}
}

// receive reads one answer into result, or returns the error that it holds.
func receive(t *testing.T, conn net.Conn, result any) *Error {
	t.Helper()
	return receiveFrom(t, newFrameReader(conn, doorLimits()), result)
}

func receiveFrom(t *testing.T, in *frameReader, result any) *Error {
	t.Helper()
	body, err := in.next()
	if err != nil {
		t.Fatalf("reading an answer: %v", err)
	}
	refusal, err := hostCodec.answer(body, result)
	if err != nil {
		t.Fatalf("decoding an answer: %v", err)
	}
	in.drop()
	return refusal
}

// wantClosed fails unless the other side closes within a minute.
func wantClosed(t *testing.T, conn net.Conn) {
	t.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
	if n, err := conn.Read(make([]byte, 1)); n != 0 || err == nil || isTimeout(err) {
		t.Fatalf("read = %d, %v; want the connection closed", n, err)
	}
}

func isTimeout(err error) bool {
	e, ok := errors.AsType[net.Error](err)
	return ok && e.Timeout()
}

func wantReason(t *testing.T, e *Error, code Code, reason string) {
	t.Helper()
	if e == nil || e.Code != code || e.Reason != reason {
		t.Fatalf("got %#v, want code %d, reason %q", e, code, reason)
	}
}
