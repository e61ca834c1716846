package relay

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/sallyport/sallyport/enclave/wire"
	"github.com/sallyport/sallyport/host/internal/relay/server"
)

// A place is a room at a relay, or a party in it.
type place struct{ address, kind, room, party string }

func (p place) user() string { return p.kind + "." + p.room + "." + p.party }

// connect makes a connection as a user of a relay. It dials that address and no
// other, whatever the relay tells about servers besides.
func (r *Relay) connect(address, user string, more ...nats.Option) (*nats.Conn, error) {
	options := append([]nats.Option{
		nats.UserInfo(user, r.Token), nats.Name(r.seatName(address)), nats.Timeout(connectWait), nats.MaxReconnects(-1),
		nats.CustomReconnectDelay(reconnectDelay), nats.ReconnectBufSize(1 << 20), nats.NoEcho(), nats.PingInterval(10 * time.Second),
		nats.IgnoreAuthErrorAbort(), nats.IgnoreDiscoveredServers(),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			r.Log.Warn("relay", "relay", address, "err", err)
		}),
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
		return nil, wire.Errorf(wire.Unavailable, "", "the relay %s does not know the room or has no place in it, or refuses this host", address)
	case err != nil:
		r.Log.Warn("relay", "relay", address, "err", err)
		return nil, wire.Errorf(wire.Unavailable, "", "the relay %s does not answer", address)
	}
	return conn, nil
}

// reconnectDelay is 100 ms, and longer the longer a relay is away.
func reconnectDelay(attempts int) time.Duration {
	return min(100*time.Millisecond<<min(attempts, 5), 2*time.Second)
}

// seatName is by what a relay knows this host when it comes again. No relay
// learns the one for another.
func (r *Relay) seatName(address string) string {
	sum := sha256.Sum256([]byte(r.self + "\x00" + address))
	return hex.EncodeToString(sum[:16])
}

// CreateRoom implements [wire.Network].
func (r *Relay) CreateRoom(_ context.Context, p *wire.RelayPort, ttlMs uint64) error {
	address, err := r.allowed(p.Relay)
	if err != nil {
		return err
	}
	ttl := longestRoom
	if ttlMs < uint64(longestRoom.Milliseconds()) {
		ttl = time.Duration(ttlMs) * time.Millisecond
	}
	at := place{address: address, kind: server.Room, room: server.RoomName(p.Room)}
	if err := r.create(at, ttl); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.created) < maxCreated {
		r.created[at] = time.Now().Add(ttl)
	}
	return nil
}

// create makes a relay know a room. A NATS server that is no relay of ours has
// nobody who creates rooms, and needs nobody.
func (r *Relay) create(at place, ttl time.Duration) error {
	conn, err := r.connect(at.address, server.Control)
	if err != nil {
		return err
	}
	defer conn.Close()
	body, err := json.Marshal(server.CreateRequest{Room: at.room, TTLMs: ttl.Milliseconds()})
	if err != nil {
		return err
	}
	answer, err := conn.Request(server.Create, body, connectWait)
	switch {
	case errors.Is(err, nats.ErrNoResponders):
		return nil
	case err != nil:
		return wire.Errorf(wire.Unavailable, "", "the relay %s does not answer", at.address)
	case string(answer.Data) != "+OK":
		return wire.Errorf(wire.ResourceExhausted, "", "the relay %s refuses the room", at.address)
	}
	return nil
}

// remind tells a relay again of a room that this host has made there: one that
// started anew knows no rooms, and keeps all parties out until then.
func (r *Relay) remind(p *port) {
	at := place{address: p.at.address, kind: p.at.kind, room: p.at.room}
	for attempts := 0; ; attempts++ {
		select {
		case <-p.closed:
			return
		case <-time.After(reconnectDelay(attempts)):
		}
		r.mu.Lock()
		left := time.Until(r.created[at])
		r.mu.Unlock()
		if left < time.Millisecond || p.conn.IsConnected() || r.create(at, left) == nil {
			return
		}
	}
}
