package relay

import (
	"context"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/sallyport/sallyport/enclave/wire"
	"github.com/sallyport/sallyport/host/internal/relay/server"
)

// A port is one party's connection to one room.
type port struct {
	at     place
	conn   *nats.Conn
	in     *queue
	closed chan struct{}

	mu      sync.Mutex
	used    time.Time // when the enclave last asked
	waiting int       // calls that wait for messages
}

// use marks a call; its result marks the end.
func (p *port) use() func() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.used = time.Now()
	p.waiting++
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.used = time.Now()
		p.waiting--
	}
}

// idle is how long the enclave has not asked for the port.
func (p *port) idle(now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.waiting > 0 {
		return 0
	}
	return now.Sub(p.used)
}

// close is called once, by who takes the port off the table.
func (p *port) close() {
	close(p.closed)
	p.conn.Close()
	p.in.close()
}

var errFull = wire.Errorf(wire.ResourceExhausted, "", "this host is in %d rooms already", maxPorts)

// reserve takes a party's place for a port that is about to open. One that an
// enclave left behind, as it does when it starts again, makes room.
func (r *Relay) reserve(at place) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for n, p := range r.ports {
		if p.at != at {
			continue
		}
		if p.idle(time.Now()) < abandoned {
			return wire.Errorf(wire.Unavailable, "", "this host is in the room as that party already")
		}
		p.close()
		delete(r.ports, n)
	}
	switch {
	case r.ended():
		return wire.Errorf(wire.Unavailable, "", "the host is stopping")
	case r.opening[at]:
		return wire.Errorf(wire.Unavailable, "", "this host is in the room as that party already")
	case len(r.ports)+len(r.opening) >= maxPorts:
		return errFull
	}
	r.opening[at] = true
	return nil
}

// OpenPort implements [wire.Network].
func (r *Relay) OpenPort(_ context.Context, spec *wire.RelayPort) (uint64, error) {
	address, err := r.allowed(spec.Relay)
	if err != nil {
		return 0, err
	}
	at := place{address, server.Room, server.RoomName(spec.Room), spec.Party}
	if spec.Inbox {
		at.kind = server.Inbox
	}
	if err := r.reserve(at); err != nil {
		return 0, err
	}
	p, err := r.join(at)
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.opening, at)
	if err != nil {
		return 0, err
	}
	if r.ended() {
		p.close()
		return 0, wire.Errorf(wire.Unavailable, "", "the host is stopping")
	}
	r.last++
	r.ports[r.last] = p
	return r.last, nil
}

// join connects to a room. The connection finds back to the relay by itself.
func (r *Relay) join(at place) (*port, error) {
	p := &port{at: at, in: newQueue(&r.held), closed: make(chan struct{}), used: time.Now()}
	var err error
	p.conn, err = r.connect(at.address, at.user(), nats.DisconnectErrHandler(func(*nats.Conn, error) { r.lost(p) }),
		nats.ReconnectHandler(func(*nats.Conn) { r.Log.Info("relay reached again", "relay", at.address) }))
	if err != nil {
		return nil, err
	}
	if _, err = p.conn.Subscribe(at.user()+".*", func(m *nats.Msg) { p.take(m) }); err == nil {
		err = p.conn.FlushTimeout(connectWait)
	}
	if err != nil {
		p.conn.Close()
		return nil, wire.Errorf(wire.Unavailable, "", "the relay %s does not answer", at.address)
	}
	return p, nil
}

// lost is called when a connection broke.
func (r *Relay) lost(p *port) {
	select {
	case <-p.closed:
		return
	default:
	}
	r.Log.Warn("relay lost", "relay", p.at.address)
	if p.at.kind == server.Room {
		go r.remind(p)
	}
}

// take keeps a message for the enclave, with the sender out of its subject: a
// relay of ours has checked that, and the enclave does not believe it.
func (p *port) take(m *nats.Msg) {
	prefix := len(p.at.user()) + 1
	if len(m.Subject) > prefix && len(m.Data) > 0 && len(m.Data) <= wire.MaxRelayMessage && wire.ValidParty(m.Subject[prefix:]) {
		p.in.push(wire.RelayMessage{Party: m.Subject[prefix:], Body: m.Data})
	}
}

func (r *Relay) port(number uint64) (*port, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p := r.ports[number]; p != nil {
		return p, nil
	}
	return nil, notOpen()
}

func notOpen() error { return wire.Errorf(wire.NotFound, "", "the port is not open") }

// SendPort implements [wire.Network].
func (r *Relay) SendPort(_ context.Context, number uint64, list []wire.RelayMessage) error {
	p, err := r.port(number)
	if err != nil {
		return err
	}
	defer p.use()()
	for _, m := range list {
		if err := p.conn.Publish(p.at.kind+"."+p.at.room+"."+m.Party+"."+p.at.party, m.Body); err != nil {
			return wire.Errorf(wire.Unavailable, "", "the relay takes no messages now")
		}
	}
	return nil
}

// ReceivePort implements [wire.Network].
func (r *Relay) ReceivePort(ctx context.Context, number, waitMs uint64) ([]wire.RelayMessage, error) {
	p, err := r.port(number)
	if err != nil {
		return nil, err
	}
	defer p.use()()
	timer := time.NewTimer(time.Duration(min(waitMs, wire.MaxReceiveWait)) * time.Millisecond)
	defer timer.Stop()
	for {
		if out := p.in.pop(); len(out) > 0 {
			return out, nil
		}
		select {
		case <-ctx.Done():
			return nil, wire.Errorf(wire.Unavailable, "", "the call was cancelled")
		case <-p.closed:
			return nil, notOpen()
		case <-timer.C:
			return nil, nil
		case <-p.in.some:
		}
	}
}

// ClosePort implements [wire.Network].
func (r *Relay) ClosePort(_ context.Context, number uint64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p := r.ports[number]; p != nil {
		p.close()
		delete(r.ports, number)
	}
	return nil
}
