package wire

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"
)

// job is a request that was read.
type job struct {
	method  method
	run     func(context.Context) (any, error)
	refused *Error // instead of run
	last    bool   // what follows cannot be read
	held    int    // of the server's budget, until the answer is out
}

// serverConn is one connection of a server, and one goroutine: it reads a
// call, carries it out, answers, and reads the next.
type serverConn struct {
	s      *server
	conn   net.Conn
	in     *frameReader
	ctx    context.Context // ends with the connection
	cancel context.CancelFunc
	watch  *watch

	mu       sync.Mutex
	busy     bool // a call is under way
	served   bool // there was a call
	since    time.Time
	stopping bool
}

func newServerConn(s *server, calls context.Context, conn net.Conn) *serverConn {
	c := &serverConn{s: s, conn: conn, in: newFrameReader(conn, s.limits), since: time.Now()}
	c.ctx, c.cancel = context.WithCancel(calls)
	c.in.share, c.in.waiting = s.share, c.waiting
	c.watch = newWatch(c.in, s.limits.watch, c.cancel)
	return c
}

// serve answers until the connection ends.
func (c *serverConn) serve() {
	defer c.s.remove(c)
	defer c.conn.Close()
	defer c.cancel()
	defer c.in.abandon()
	if c.in.start() != nil {
		return
	}
	for {
		j, ok := c.next()
		if !ok || !c.begin() {
			c.s.share.give(j.held)
			return
		}
		answered := c.answer(j)
		c.s.share.give(j.held)
		if !c.end() || !answered || j.last {
			return
		}
	}
}

// answer carries a job out and tells whether another may follow.
func (c *serverConn) answer(j job) bool {
	c.watch.start()
	a := c.s.answer(c.ctx, j)
	alive := c.watch.stop()
	defer c.s.share.give(a.held)
	defer recycle(a.frame)
	return alive && a.write(c.conn, c.s.limits) == nil
}

func (c *serverConn) next() (job, bool) {
	body, err := c.in.next()
	if e, ok := errors.AsType[*Error](err); ok {
		return job{refused: e, last: true}, true
	}
	if err != nil {
		return job{}, false
	}
	j := c.s.read(body)
	j.held = c.in.drop()
	return j, true
}

// waiting is how long the connection may stay without a frame.
func (c *serverConn) waiting() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.served {
		return c.since.Add(c.s.limits.idle)
	}
	return c.since.Add(c.s.limits.first)
}

// begin tells whether a call may still be carried out.
func (c *serverConn) begin() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.busy, c.served = !c.stopping, true
	return c.busy
}

// end tells whether another call may follow.
func (c *serverConn) end() bool {
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.busy, c.since = false, now
	return !c.stopping
}

// stop closes the connection, unless a call is under way and there is no hurry.
func (c *serverConn) stop(now bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopping = true
	if now || !c.busy {
		_ = c.conn.Close()
	}
}
