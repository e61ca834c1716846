// Package relay is the host's side of a relay: it carries the enclave's sealed
// messages to the rooms of NATS servers, and its questions to rule servers. It
// dials only what the operator allows.
package relay

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/sallyport/sallyport/enclave/wire"
	"github.com/sallyport/sallyport/host/internal/relay/server"
)

// Bounds of what a host holds for its enclave.
const (
	maxPorts    = 1024
	maxQueue    = 2048 // messages of one port that the enclave has not received
	idlePort    = 2 * time.Minute
	connectWait = 5 * time.Second
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

	mu    sync.Mutex
	last  uint64
	ports map[uint64]*port
	done  chan struct{}
}

var _ wire.Network = (*Relay)(nil)

// A port is one party's connection to one room.
type port struct {
	conn  *nats.Conn
	kind  string
	room  string
	party string
	in    chan *nats.Msg
	inbox bool
	used  time.Time // when the enclave last asked; guarded by Relay.mu
}

// New makes a relay client. It connects when ports are opened.
func New(c Config) *Relay {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	r := &Relay{Config: c, rules: newRuleClient(c.RulesAllowPrivate), ports: map[uint64]*port{}, done: make(chan struct{})}
	go r.sweep()
	return r
}

// Close leaves all rooms.
func (r *Relay) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	select {
	case <-r.done:
		return nil
	default:
		close(r.done)
	}
	for n, p := range r.ports {
		p.conn.Close()
		delete(r.ports, n)
	}
	return nil
}

// sweep leaves rooms that the enclave has forgotten.
func (r *Relay) sweep() {
	tick := time.NewTicker(idlePort / 4)
	defer tick.Stop()
	for {
		select {
		case <-r.done:
			return
		case <-tick.C:
		}
		r.mu.Lock()
		for n, p := range r.ports {
			if !p.inbox && time.Since(p.used) > idlePort {
				p.conn.Close()
				delete(r.ports, n)
			}
		}
		r.mu.Unlock()
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
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return "", wire.Errorf(wire.InvalidArgument, "", "relay_address must be host:port")
	}
	if ip := net.ParseIP(host); r.AllowLoopback && (host == "localhost" || (ip != nil && ip.IsLoopback())) {
		return address, nil
	}
	return "", wire.Errorf(wire.PermissionDenied, "", "the operator does not allow the relay %s", address)
}

// connect makes a connection as a user of a relay.
func (r *Relay) connect(address, user string, more ...nats.Option) (*nats.Conn, error) {
	options := append([]nats.Option{
		nats.UserInfo(user, ""), nats.Timeout(connectWait), nats.MaxReconnects(-1), nats.ReconnectWait(200 * time.Millisecond),
		nats.ReconnectJitter(50*time.Millisecond, 50*time.Millisecond), nats.ReconnectBufSize(1 << 20), nats.NoEcho(),
		nats.PingInterval(15 * time.Second), nats.IgnoreAuthErrorAbort(),
	}, more...)
	if r.Token != "" {
		options = append(options, nats.Token(r.Token))
	}
	if r.TLS != nil {
		options = append(options, nats.Secure(r.TLS))
	}
	conn, err := nats.Connect("nats://"+address, options...)
	switch {
	case errors.Is(err, nats.ErrAuthorization):
		return nil, wire.Errorf(wire.Unavailable, "", "the relay %s does not know the room, or refuses this host", address)
	case err != nil:
		return nil, wire.Errorf(wire.Unavailable, "", "the relay %s does not answer", address)
	}
	return conn, nil
}

// CreateRoom implements [wire.Network]. A NATS server that is no relay of ours has
// nobody who creates rooms, and needs nobody.
func (r *Relay) CreateRoom(_ context.Context, p *wire.RelayPort, ttlMs uint64) error {
	address, err := r.allowed(p.Relay)
	if err != nil {
		return err
	}
	conn, err := r.connect(address, server.Control)
	if err != nil {
		return err
	}
	defer conn.Close()
	body, err := json.Marshal(server.CreateRequest{Room: server.RoomName(p.Room), TTLMs: int64(ttlMs)})
	if err != nil {
		return err
	}
	answer, err := conn.Request(server.Create, body, connectWait)
	switch {
	case errors.Is(err, nats.ErrNoResponders):
		return nil
	case err != nil:
		return wire.Errorf(wire.Unavailable, "", "the relay %s does not answer", address)
	case string(answer.Data) != "+OK":
		return wire.Errorf(wire.ResourceExhausted, "", "the relay %s refuses the room", address)
	}
	return nil
}

// OpenPort implements [wire.Network].
func (r *Relay) OpenPort(_ context.Context, spec *wire.RelayPort) (uint64, error) {
	address, err := r.allowed(spec.Relay)
	if err != nil {
		return 0, err
	}
	p := &port{kind: server.Room, room: server.RoomName(spec.Room), party: spec.Party, inbox: spec.Inbox, in: make(chan *nats.Msg, maxQueue)}
	if spec.Inbox {
		p.kind = server.Inbox
	}
	r.mu.Lock()
	full := len(r.ports) >= maxPorts
	r.mu.Unlock()
	if full {
		return 0, wire.Errorf(wire.ResourceExhausted, "", "this host is in %d rooms already", maxPorts)
	}
	if p.conn, err = r.connect(address, p.kind+"."+p.room+"."+p.party); err != nil {
		return 0, err
	}
	// A slow enclave loses messages, which their senders send again.
	if _, err := p.conn.ChanSubscribe(p.kind+"."+p.room+"."+p.party+".*", p.in); err == nil {
		err = p.conn.FlushTimeout(connectWait)
	}
	if err != nil {
		p.conn.Close()
		return 0, wire.Errorf(wire.Unavailable, "", "the relay %s does not answer", address)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last++
	p.used = time.Now()
	r.ports[r.last] = p
	return r.last, nil
}

func (r *Relay) port(number uint64) (*port, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.ports[number]
	if p == nil || p.conn.IsClosed() {
		delete(r.ports, number)
		return nil, wire.Errorf(wire.NotFound, "", "the port is not open")
	}
	p.used = time.Now()
	return p, nil
}

// SendPort implements [wire.Network].
func (r *Relay) SendPort(_ context.Context, number uint64, list []wire.RelayMessage) error {
	p, err := r.port(number)
	if err != nil {
		return err
	}
	for _, m := range list {
		if err := p.conn.Publish(p.kind+"."+p.room+"."+m.Party+"."+p.party, m.Body); err != nil {
			return wire.Errorf(wire.Unavailable, "", "the relay takes no messages now")
		}
	}
	return nil
}

// ReceivePort implements [wire.Network].
func (r *Relay) ReceivePort(ctx context.Context, number, waitMs uint64) (out []wire.RelayMessage, _ error) {
	p, err := r.port(number)
	if err != nil {
		return nil, err
	}
	timer := time.NewTimer(time.Duration(waitMs) * time.Millisecond)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return nil, wire.Errorf(wire.Unavailable, "", "the call was cancelled")
	case <-r.done:
		return nil, wire.Errorf(wire.NotFound, "", "the port is not open")
	case <-timer.C:
		return nil, nil
	case m := <-p.in:
		out = p.add(out, m)
	}
	for size := 0; len(out) < wire.MaxRelayMessages; {
		if len(out) > 0 {
			size += len(out[len(out)-1].Body)
		}
		if size > wire.MaxRelayBatch-wire.MaxRelayMessage {
			return out, nil
		}
		select {
		case m := <-p.in:
			out = p.add(out, m)
		default:
			return out, nil
		}
	}
	return out, nil
}

// add takes the sender out of a message's subject; the relay has checked it,
// and the enclave does not believe it.
func (p *port) add(out []wire.RelayMessage, m *nats.Msg) []wire.RelayMessage {
	prefix := len(p.kind) + len(p.room) + len(p.party) + 3
	if len(m.Subject) <= prefix || len(m.Data) == 0 || len(m.Data) > wire.MaxRelayMessage {
		return out
	}
	return append(out, wire.RelayMessage{Party: m.Subject[prefix:], Body: m.Data})
}

// ClosePort implements [wire.Network].
func (r *Relay) ClosePort(_ context.Context, number uint64) error {
	r.mu.Lock()
	p := r.ports[number]
	delete(r.ports, number)
	r.mu.Unlock()
	if p != nil {
		p.conn.Close()
	}
	return nil
}
