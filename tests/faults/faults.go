// Package faults is a network that fails when a test says so: a TCP proxy in
// front of a relay, a host or a server. It stands in the tests' process and
// trusts nobody; what runs through it is sealed, or is a test's own.
package faults

import (
	"net"
	"sync"
	"testing"
	"time"
)

// A Proxy carries connections to a target until it is told to fail. All of its
// methods may be called at any time, from any goroutine.
type Proxy struct {
	ln   net.Listener
	done chan struct{}
	all  sync.WaitGroup

	mu      sync.Mutex
	now     weather
	changed chan struct{} // closed when now changes
	links   map[*link]struct{}
}

// weather is how the network is at a time.
type weather struct {
	target string
	paused bool
	lossy  bool
	closed bool // to new connections
	delay  time.Duration
}

// New starts a proxy to target ("host:port"), which ends with the test.
func New(t testing.TB, target string) *Proxy {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{
		ln: ln, done: make(chan struct{}), now: weather{target: target},
		changed: make(chan struct{}), links: map[*link]struct{}{},
	}
	p.all.Go(p.accept)
	t.Cleanup(p.Close)
	return p
}

// Addr is where the proxy listens, as "host:port".
func (p *Proxy) Addr() string { return p.ln.Addr().String() }

// Pause holds everything back, in both directions: connections stay and new
// ones are accepted, and nothing arrives until [Proxy.Resume].
func (p *Proxy) Pause() { p.become(func(w *weather) { w.paused = true }) }

// Resume lets go what was held back, in order.
func (p *Proxy) Resume() { p.become(func(w *weather) { w.paused = false }) }

// Drop loses everything until [Proxy.Heal], without a sign to either end. What
// follows a hole in a stream means nothing, so a connection that lost bytes
// breaks when the network heals.
func (p *Proxy) Drop() { p.become(func(w *weather) { w.lossy = true }) }

// Delay lets everything arrive later by d; 0 ends it.
func (p *Proxy) Delay(d time.Duration) { p.become(func(w *weather) { w.delay = d }) }

// Refuse turns new connections away until [Proxy.Heal]. Those that stand, stay.
func (p *Proxy) Refuse() { p.become(func(w *weather) { w.closed = true }) }

// Cut breaks all connections and turns new ones away, until [Proxy.Heal].
func (p *Proxy) Cut() {
	p.Refuse()
	p.breakLinks(func(*link) bool { return true })
}

// Heal ends every fault.
func (p *Proxy) Heal() {
	p.become(func(w *weather) { *w = weather{target: w.target} })
	p.breakLinks((*link).holed)
}

// Retarget leads new connections elsewhere.
func (p *Proxy) Retarget(target string) { p.become(func(w *weather) { w.target = target }) }

// Close breaks all connections and listens no more. It may be called twice.
func (p *Proxy) Close() {
	p.mu.Lock()
	select {
	case <-p.done:
	default:
		close(p.done)
		_ = p.ln.Close()
	}
	p.mu.Unlock()
	p.breakLinks(func(*link) bool { return true })
	p.all.Wait()
}

func (p *Proxy) become(change func(*weather)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(&p.now)
	close(p.changed)
	p.changed = make(chan struct{})
}

// weather says how it is, and what will be closed when that changes.
func (p *Proxy) weather() (weather, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now, p.changed
}

func (p *Proxy) breakLinks(which func(*link) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		if which(l) {
			l.end()
		}
	}
}

func (p *Proxy) accept() {
	for {
		conn, err := p.ln.Accept()
		if err != nil {
			return // closed
		}
		p.all.Go(func() { p.carry(conn) })
	}
}
