// Package relay is the host's side of a relay: it carries the enclave's sealed
// messages to the rooms of NATS servers, and its questions to rule servers. It
// dials only what the operator allows.
package relay

import (
	"crypto/rand"
	"crypto/tls"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/enclave/wire"
)

// Bounds of what a host holds for its enclave.
const (
	maxPorts    = 1024
	maxCreated  = 4096 // rooms that are remembered
	idlePort    = 2 * time.Minute
	abandoned   = 2 * time.Second // after which an enclave that started again may have its place
	connectWait = 5 * time.Second
	longestRoom = 15 * time.Minute
)

// Config says which relays and rule servers may be dialled.
type Config struct {
	Default           string   // "host:port" of the relay for rooms that name none
	Allow             []string // further relays
	AllowLoopback     bool     // any relay on this machine
	Token             string   // shown to relays
	TLS               *tls.Config
	RulesAllowPrivate bool // rule servers on private and loopback addresses, and over plain HTTP
	Log               *slog.Logger
}

// A Relay implements [wire.Network].
type Relay struct {
	Config
	rules *ruleClient
	self  string       // random, see seatName
	held  atomic.Int64 // bytes of all queues
	done  chan struct{}

	mu      sync.Mutex
	last    uint64
	ports   map[uint64]*port
	opening map[place]bool
	created map[place]time.Time // rooms that this host has made, and until when
}

var _ wire.Network = (*Relay)(nil)

// New makes a relay client. It connects when ports are opened.
func New(c Config) *Relay {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	r := &Relay{
		Config: c, rules: newRuleClient(c.RulesAllowPrivate), self: rand.Text(), done: make(chan struct{}),
		ports: map[uint64]*port{}, opening: map[place]bool{}, created: map[place]time.Time{},
	}
	go r.sweep()
	return r
}

// Close leaves all rooms.
func (r *Relay) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended() {
		return nil
	}
	close(r.done)
	for n, p := range r.ports {
		p.close()
		delete(r.ports, n)
	}
	return nil
}

func (r *Relay) ended() bool {
	select {
	case <-r.done:
		return true
	default:
		return false
	}
}

func (r *Relay) sweep() {
	tick := time.NewTicker(idlePort / 4)
	defer tick.Stop()
	for {
		select {
		case <-r.done:
			return
		case now := <-tick.C:
			r.forget(now)
		}
	}
}

// forget leaves what the enclave has forgotten: it asks for each of its ports
// all the time, and opens one again that is gone.
func (r *Relay) forget(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for n, p := range r.ports {
		if p.idle(now) > idlePort {
			p.close()
			delete(r.ports, n)
		}
	}
	for at, until := range r.created {
		if now.After(until) {
			delete(r.created, at)
		}
	}
}

// allowed decides over an address; empty is the default relay.
func (r *Relay) allowed(address string) (string, error) {
	if address == "" {
		address = r.Default
	}
	if address == "" {
		return "", wire.Errorf(wire.Unavailable, "", "no relay is configured, and the request names none")
	}
	if address == r.Default || slices.Contains(r.Allow, address) {
		return address, nil
	}
	host, text, err := net.SplitHostPort(address)
	if port, bad := strconv.ParseUint(text, 10, 16); err != nil || bad != nil || port == 0 {
		return "", wire.Errorf(wire.InvalidArgument, "", "relay_address must be host:port")
	}
	if ip := net.ParseIP(host); r.AllowLoopback && (host == "localhost" || (ip != nil && ip.IsLoopback())) {
		return address, nil
	}
	return "", wire.Errorf(wire.PermissionDenied, "", "the operator does not allow the relay %s", address)
}
