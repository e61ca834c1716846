package faults

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

const (
	chunkSize = 32 << 10
	inTransit = 64 // chunks of one direction that are under way
	dialWait  = 5 * time.Second
)

// A link is one connection through the proxy.
type link struct {
	near, far net.Conn
	ended     chan struct{}
	once      sync.Once
	hole      atomic.Bool // it lost bytes
}

func (l *link) holed() bool { return l.hole.Load() }

// end resets both connections, as a network does that lost them.
func (l *link) end() { l.close(true) }

// close ends both connections. Without a reset, what was written still arrives.
func (l *link) close(reset bool) {
	l.once.Do(func() {
		close(l.ended)
		for _, c := range []net.Conn{l.near, l.far} {
			if tcp, ok := c.(*net.TCPConn); ok && reset {
				_ = tcp.SetLinger(0)
			}
			_ = c.Close()
		}
	})
}

// carry joins a client to the target.
func (p *Proxy) carry(near net.Conn) {
	w, _ := p.weather()
	if w.closed {
		_ = near.Close()
		return
	}
	far, err := net.DialTimeout("tcp", w.target, dialWait)
	if err != nil {
		_ = near.Close()
		return
	}
	l := &link{near: near, far: far, ended: make(chan struct{})}
	if !p.add(l) {
		l.end()
		return
	}
	var both sync.WaitGroup
	both.Go(func() { p.pump(l, far, near) })
	both.Go(func() { p.pump(l, near, far) })
	both.Wait()
	l.close(false)
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.links, l)
}

// add keeps a link to be broken, unless that should have happened while it was
// being made.
func (p *Proxy) add(l *link) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.done:
		return false
	default:
	}
	if p.now.closed {
		return false
	}
	p.links[l] = struct{}{}
	return true
}

// A chunk is bytes under way; none is the end of what a side sends.
type chunk struct {
	bytes []byte
	sent  time.Time
}

// pump carries one direction. An error ends both; an orderly end passes on, if
// it is not lost.
func (p *Proxy) pump(l *link, to, from net.Conn) {
	way := make(chan chunk, inTransit)
	var reader sync.WaitGroup
	reader.Go(func() {
		defer close(way)
		for {
			b := make([]byte, chunkSize)
			n, err := from.Read(b)
			select {
			case way <- chunk{b[:n], time.Now()}:
			case <-l.ended:
				return
			}
			if err != nil {
				return
			}
		}
	})
	for c := range way {
		if !p.deliver(l, to, c) {
			l.end()
			break
		}
	}
	reader.Wait()
	if tcp, ok := to.(*net.TCPConn); ok && !l.holed() {
		_ = tcp.CloseWrite()
	}
}

// deliver writes a chunk when the network lets it arrive, and says whether the
// link goes on.
func (p *Proxy) deliver(l *link, to net.Conn, c chunk) bool {
	for {
		w, changed := p.weather()
		if p.lose(l) {
			return true
		}
		wait := time.Until(c.sent.Add(w.delay))
		if !w.paused && wait <= 0 {
			break
		}
		if !l.sleep(w.paused, wait, changed) {
			return false
		}
	}
	if len(c.bytes) == 0 {
		return true
	}
	if l.holed() {
		return false // the network heals, and has not come to this link yet
	}
	_, err := to.Write(c.bytes)
	return err == nil
}

// lose marks a link whose bytes are lost now, in one step with how the network
// is: [Proxy.Heal] finds every mark.
func (p *Proxy) lose(l *link) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.now.lossy {
		l.hole.Store(true)
	}
	return p.now.lossy
}

// sleep waits for a time, or without end, or until the weather changes; it
// says whether the link still stands.
func (l *link) sleep(endless bool, d time.Duration, changed <-chan struct{}) bool {
	var due <-chan time.Time
	if !endless {
		timer := time.NewTimer(d)
		defer timer.Stop()
		due = timer.C
	}
	select {
	case <-due:
	case <-changed:
	case <-l.ended:
		return false
	}
	return true
}
