// Package faults is a network that fails when a test says so: a TCP proxy in
// front of a relay or another server. It stands for everything between two
// machines, which may be slow, silent, closed or gone.
package faults

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// A Proxy passes connections on to its target, and fails as it is told to.
type Proxy struct {
	target  string
	ln      net.Listener
	running sync.WaitGroup

	mu     sync.Mutex
	closed bool
	cut    bool          // new connections are closed at once
	gate   chan struct{} // closed while bytes may pass
	delay  time.Duration
	pairs  map[*pair]struct{}
}

// A pair is one connection and its continuation.
type pair struct {
	in, out net.Conn
	ended   chan struct{}
	end     func()
}

// New makes a proxy on a free port of 127.0.0.1, in front of HOST:PORT.
func New(target string) (*Proxy, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Proxy{target: target, ln: ln, gate: make(chan struct{}), pairs: map[*pair]struct{}{}}
	close(p.gate)
	p.running.Go(p.accept)
	return p, nil
}

// Addr is where the proxy listens: HOST:PORT.
func (p *Proxy) Addr() string { return p.ln.Addr().String() }

// Pause holds all bytes back, those under way too; connections stay open and
// new ones are taken. It is how a network is silent.
func (p *Proxy) Pause() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open() {
		p.gate = make(chan struct{})
	}
}

// Resume ends Pause: what was held back passes, in order.
func (p *Proxy) Resume() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.open() {
		close(p.gate)
	}
}

// open tells whether bytes may pass. p.mu is held.
func (p *Proxy) open() bool {
	select {
	case <-p.gate:
		return true
	default:
		return false
	}
}

// Cut resets all connections. New ones are taken: it is how a network loses
// its state.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cutAll()
}

// Refuse resets all connections, and each new one at once, until Heal.
func (p *Proxy) Refuse() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = true
	p.cutAll()
}

// Heal ends Refuse, Pause and Delay.
func (p *Proxy) Heal() {
	p.mu.Lock()
	p.cut, p.delay = false, 0
	p.mu.Unlock()
	p.Resume()
}

// Delay holds back each piece of bytes for that long, in both directions.
func (p *Proxy) Delay(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay = d
}

// Close ends the proxy and all connections, and waits for them.
func (p *Proxy) Close() error {
	p.mu.Lock()
	p.closed = true
	p.cutAll()
	p.mu.Unlock()
	err := p.ln.Close()
	p.running.Wait()
	return err
}

// cutAll resets connections; p.mu is held.
func (p *Proxy) cutAll() {
	for c := range p.pairs {
		c.end()
	}
}

func (p *Proxy) accept() {
	for {
		in, err := p.ln.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil {
			p.running.Go(func() { p.pass(in) })
		}
	}
}

// pass carries one connection until an end of it closes or it is cut.
func (p *Proxy) pass(in net.Conn) {
	if p.refuses() {
		reset(in)
		return
	}
	out, err := net.DialTimeout("tcp", p.target, 5*time.Second)
	if err != nil {
		reset(in)
		return
	}
	c := &pair{in: in, out: out, ended: make(chan struct{})}
	c.end = sync.OnceFunc(func() {
		close(c.ended)
		reset(in)
		reset(out)
	})
	if !p.keep(c) {
		c.end()
		return
	}
	var both sync.WaitGroup
	both.Go(func() { p.copy(c, out, in) })
	both.Go(func() { p.copy(c, in, out) })
	both.Wait()
	_, _ = in.Close(), out.Close()
	p.mu.Lock()
	delete(p.pairs, c)
	p.mu.Unlock()
}

func (p *Proxy) refuses() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cut || p.closed
}

// keep takes a connection up, unless it came too late.
func (p *Proxy) keep(c *pair) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cut || p.closed {
		return false
	}
	p.pairs[c] = struct{}{}
	return true
}

// copy carries one direction. Its end is passed on as such, so that a half
// that is closed stays one.
func (p *Proxy) copy(c *pair, to, from net.Conn) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 && (!p.wait(c) || !wrote(to.Write(buffer[:n]))) {
			c.end()
			return
		}
		switch {
		case errors.Is(err, io.EOF):
			if t, ok := to.(*net.TCPConn); ok && p.wait(c) {
				_ = t.CloseWrite() // it may be gone already
			}
			return
		case err != nil:
			c.end()
			return
		}
	}
}

func wrote(_ int, err error) bool { return err == nil }

// wait returns when bytes may pass: after the delay, and not while paused. It
// is false when the connection was cut.
func (p *Proxy) wait(c *pair) bool {
	p.mu.Lock()
	delay := p.delay
	p.mu.Unlock()
	if delay > 0 {
		select {
		case <-c.ended:
			return false
		case <-time.After(delay):
		}
	}
	p.mu.Lock()
	gate := p.gate
	p.mu.Unlock()
	select {
	case <-c.ended:
		return false
	case <-gate:
		return true
	}
}

// reset closes a connection so that its peer sees an error and not an end.
func reset(c net.Conn) {
	if t, ok := c.(*net.TCPConn); ok {
		_ = t.SetLinger(0) // it may be gone already
	}
	_ = c.Close()
}
