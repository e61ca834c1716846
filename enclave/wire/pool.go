package wire

import (
	"context"
	"errors"
	"net"
	"os"
	"sync"
	"time"
)

var errClosed = errors.New("client is closed")

// pool keeps the connections of a client. One call at a time is on each.
type pool struct {
	limits  limits
	connect func(context.Context) (net.Conn, error)

	mu     sync.Mutex
	idle   []*clientConn // longest unused first
	closed bool
}

type clientConn struct {
	conn   net.Conn
	in     *frameReader
	long   []byte // what came of an answer in parts
	reused bool
	broken bool
	since  time.Time // when it became idle
}

// exchange sends a frame and lets read look at the answer's body, which may
// come in parts when it may be long.
//
// A connection from the pool may have been closed by the other side meanwhile,
// for instance by a restart. A call that fails on one before any byte of an
// answer is sent once more on a new one, which the idempotence of all calls allows.
func (p *pool) exchange(ctx context.Context, frame []byte, long bool, read func(body []byte) error) error {
	c, err := p.get(ctx)
	if err != nil {
		return err
	}
	body, err := p.attempt(ctx, c, frame, long)
	if err != nil && c.reused && !c.begun() && ctx.Err() == nil {
		p.put(c)
		p.drain() // the others are as old
		if c, err = p.dial(ctx); err != nil {
			return err
		}
		body, err = p.attempt(ctx, c, frame, long)
	}
	defer p.put(c)
	if err != nil {
		return err
	}
	if err := read(body); err != nil {
		c.broken = true
		return err
	}
	return nil
}

// attempt sends a frame and returns the answer's body. The end of ctx closes
// the connection, which is how the other side learns of it.
func (p *pool) attempt(ctx context.Context, c *clientConn, frame []byte, long bool) ([]byte, error) {
	stop := context.AfterFunc(ctx, func() { _ = c.conn.Close() })
	body, err := c.call(frame, long, p.limits)
	if !stop() {
		c.broken = true
	}
	if err == nil {
		return body, nil
	}
	c.broken = true
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return nil, err
}

// call is done when the answer is there. A server that is full answers and
// closes at once, perhaps before the frame could be written.
func (c *clientConn) call(frame []byte, long bool, l limits) ([]byte, error) {
	unsent := writeFrame(c.conn, frame, l.write)
	if unsent == nil {
		return c.answer(long)
	}
	c.broken = true
	if errors.Is(unsent, os.ErrDeadlineExceeded) || c.conn.SetReadDeadline(time.Now().Add(l.frame)) != nil {
		return nil, unsent
	}
	if body, err := c.in.next(); err == nil {
		return body, nil
	}
	return nil, unsent
}

// get takes the connection that was used last, or makes one.
func (p *pool) get(ctx context.Context) (*clientConn, error) {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil, errClosed
	}
	p.prune()
	if n := len(p.idle); n > 0 {
		c := p.idle[n-1]
		p.idle[n-1] = nil
		p.idle = p.idle[:n-1]
		p.mu.Unlock()
		c.reused = true
		return c, nil
	}
	p.mu.Unlock()
	return p.dial(ctx)
}

// prune closes connections before the server does.
func (p *pool) prune() {
	stale := time.Now().Add(-p.limits.idle * 4 / 5)
	for len(p.idle) > 0 && p.idle[0].since.Before(stale) {
		_ = p.idle[0].conn.Close()
		p.idle[0] = nil
		p.idle = p.idle[1:]
	}
}

func (p *pool) dial(ctx context.Context) (*clientConn, error) {
	ctx, cancel := context.WithTimeout(ctx, p.limits.dial)
	defer cancel()
	conn, err := p.connect(ctx)
	if err != nil {
		return nil, err
	}
	return &clientConn{conn: conn, in: newFrameReader(conn, p.limits)}, nil
}

// put ends a call. A connection on which more came than the answer is not used
// again: the surplus would be taken for the answer to the next call.
func (p *pool) put(c *clientConn) {
	surplus := c.in.size != c.in.w
	c.in.abandon()
	clear(c.long)
	c.long = nil
	if c.broken || surplus || !p.keep(c) {
		_ = c.conn.Close()
	}
}

func (p *pool) keep(c *clientConn) bool {
	c.since = time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || len(p.idle) >= maxIdle {
		return false
	}
	p.idle = append(p.idle, c)
	return true
}

// drain closes all idle connections.
func (p *pool) drain() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.idle {
		_ = c.conn.Close()
	}
	p.idle = nil
}

func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.drain()
}
