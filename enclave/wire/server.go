package wire

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"sync"
	"syscall"
	"time"
)

// ServeEnclave answers calls to e on the listener's connections until ctx ends.
//
// Then the listener is closed, calls under way get three seconds to finish,
// and those that do not are cancelled. It returns nil after that, or an error
// when the listener failed or a call would not stop. A call's context ends when
// its connection closes.
func ServeEnclave(ctx context.Context, ln net.Listener, e Enclave, log *slog.Logger) error {
	return newServer(enclaveCodec, enclaveHandlers(e), log, doorLimits()).serve(ctx, ln)
}

// ServeHost answers calls to h, as [ServeEnclave] does for an enclave; if h is
// a [Network], a [ManifestSource] or a [KeyService] too, also those.
func ServeHost(ctx context.Context, ln net.Listener, h Host, log *slog.Logger) error {
	handlers := hostHandlers(h)
	if n, ok := h.(Network); ok {
		maps.Copy(handlers, networkHandlers(n))
	}
	if m, ok := h.(ManifestSource); ok {
		maps.Copy(handlers, manifestHandlers(m))
	}
	if k, ok := h.(KeyService); ok {
		maps.Copy(handlers, keyServiceHandlers(k))
	}
	return newServer(hostCodec, handlers, log, doorLimits()).serve(ctx, ln)
}

// server is one side of the door.
type server struct {
	limits   limits
	codec    codec
	handlers map[method]handler
	log      *slog.Logger
	share    *budget

	running sync.WaitGroup // goroutines of connections

	mu   sync.Mutex
	open map[*serverConn]struct{}
}

func newServer(c codec, handlers map[method]handler, log *slog.Logger, l limits) *server {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &server{
		limits: l, codec: c, handlers: handlers, log: log,
		share: newBudget(l.memory), open: make(map[*serverConn]struct{}),
	}
}

func (s *server) serve(ctx context.Context, ln net.Listener) error {
	defer context.AfterFunc(ctx, func() { _ = ln.Close() })()
	// Calls outlive ctx by the grace that they get.
	calls, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	err := s.accept(ctx, calls, ln)
	_ = ln.Close()
	return errors.Join(err, s.stop(cancel))
}

// accept takes connections until the listener ends. Running out of files or
// memory is waited out: it is what the connection's sender wants to be fatal.
func (s *server) accept(ctx, calls context.Context, ln net.Listener) error {
	const longest = time.Second
	pause := 5 * time.Millisecond
	for {
		conn, err := ln.Accept()
		switch {
		case err == nil:
			pause = 5 * time.Millisecond
			s.admit(calls, conn)
		case ctx.Err() != nil:
			return nil
		case !passing(err):
			return fmt.Errorf("accepting connections: %w", err)
		default:
			s.log.Warn("accepting connections", "cause", err, "pause", pause)
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(pause):
			}
			pause = min(2*pause, longest)
		}
	}
}

// passing tells errors of Accept that go away by themselves.
func passing(err error) bool {
	for _, e := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED, syscall.EINTR} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// admit starts a connection, or tells it that the door is full.
func (s *server) admit(calls context.Context, conn net.Conn) {
	if s.full() {
		s.turnAway(conn)
		return
	}
	c := newServerConn(s, calls, conn)
	s.mu.Lock()
	s.open[c] = struct{}{}
	s.mu.Unlock()
	s.running.Go(c.serve)
}

func (s *server) full() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.open) >= s.limits.conns
}

// turnAway does not wait for the peer, which could hold up everybody.
func (s *server) turnAway(conn net.Conn) {
	frame := s.refusal(Errorf(Unavailable, ReasonBusy, "too many connections"))
	_ = writeFrame(conn, frame.Bytes(), 50*time.Millisecond)
	recycle(frame)
	_ = conn.Close()
}

func (s *server) remove(c *serverConn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, c)
}

// stop ends all connections, those with a call under way after a while.
func (s *server) stop(cancel context.CancelFunc) error {
	s.each(func(c *serverConn) { c.stop(false) })
	done := make(chan struct{})
	go func() { s.running.Wait(); close(done) }()
	if within(done, s.limits.grace) {
		return nil
	}
	cancel()
	s.each(func(c *serverConn) { c.stop(true) })
	if within(done, s.limits.abort) {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return fmt.Errorf("%d calls did not stop when they were cancelled", len(s.open))
}

func (s *server) each(do func(*serverConn)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.open {
		do(c)
	}
}

func within(done <-chan struct{}, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-timer.C:
		return false
	}
}

// read turns a request's body into what is to be done. Nothing of the body is
// kept.
func (s *server) read(body []byte) (j job) {
	defer func() {
		if r := recover(); r != nil {
			j = job{run: func(context.Context) (any, error) { return nil, panicked(r) }}
		}
	}()
	m, params, err := s.codec.request(body)
	if err != nil {
		return job{refused: err}
	}
	h, ok := s.handlers[m]
	if !ok {
		return job{refused: Errorf(Unimplemented, ReasonMethod, "method %d does not exist here", m)}
	}
	run, err := h(params)
	return job{method: m, run: run, refused: err}
}

// answer carries out a job and returns its answer.
func (s *server) answer(ctx context.Context, j job) answer {
	if j.refused != nil {
		s.log.Warn("frame refused", "reason", j.refused.Reason, "cause", j.refused)
		return answer{frame: s.refusal(j.refused)}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	result, err := contain(ctx, j.run)
	if err == nil {
		var a answer
		if a, err = s.encode(j.method, result); err == nil {
			return a
		}
	}
	return answer{frame: s.refusal(outward(ctx, s.log, j.method, err))}
}

func (s *server) encode(m method, result any) (answer, error) {
	size := weight(result)
	if size > MaxBody && m.mayBeLong() {
		return s.encodeLong(result, size)
	}
	frame, err := encode(resultHead, result, size)
	return answer{frame: frame}, err
}

func (s *server) refusal(e *Error) *bytes.Buffer {
	frame, err := encode(errorHead, e, weight(e))
	if err != nil {
		panic("internal error: " + err.Error()) // its size is bounded by fit
	}
	return frame
}
