package room

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/sallyport/sallyport/enclave/internal/codec"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
	"github.com/sallyport/sallyport/enclave/wire"
)

// maxHello bounds a hello; its extra holds the members of a key at most.
const maxHello = 16 << 10

// handshakeKnocks is how many knocks long a handshake may take before another is begun.
const handshakeKnocks = 8

// knock asks all who have not said hello. Where there is a channel, ours goes with
// the first knock: parties that come at once meet within one delay.
func (t *table) knock() {
	for _, s := range t.seats {
		if s.hello == nil {
			if pair := t.rooms.Pairs.Common(s.party.Node, t.rooms.Pairs.IDs(s.party.Node)); s.out == nil && pair != nil {
				t.sayHello(s, pair)
			}
			t.knockAt(s, false)
		} else if s.out != nil {
			t.port.send(s.name, s.out) // ours may have been lost
		}
	}
}

func (t *table) knockAt(s *seat, reply bool) {
	t.port.send(s.name, encodeKnock(t.plan.self.String(), t.rooms.Pairs.IDs(s.party.Node), reply))
}

// take handles what comes before a session, and from those who are not there yet.
// What is not well formed is dropped: anybody may have sent it.
func (t *table) take(ctx context.Context, m wire.RelayMessage) {
	if len(m.Body) < 2 {
		return
	}
	kind, body := m.Body[0], m.Body[1:]
	switch kind {
	case frameKnock:
		t.takeKnock(ctx, m.Party, body)
	case frameHandshake:
		t.takeHandshake(ctx, m.Party, body)
	case frameHello:
		t.takeHello(m.Party, body)
	}
}

// takeKnock answers with a hello where there is a channel, else with a handshake.
func (t *table) takeKnock(ctx context.Context, name string, body []byte) {
	text, ids, reply, err := decodeKnock(body)
	if err != nil || relayName(text) != name {
		return
	}
	party, err := mpc.ParsePartyID(text)
	if err != nil || party == t.plan.self {
		return
	}
	s, ok := t.seats[name]
	if !ok {
		if !t.plan.open || !t.rooms.Pairs.Knows(party.Node) || len(t.seats) >= 2*mpc.MaxParties {
			return
		}
		s = t.seat(party)
	}
	t.greet(ctx, s, ids, reply)
}

func (t *table) greet(ctx context.Context, s *seat, ids [][8]byte, reply bool) {
	pair := t.rooms.Pairs.Common(s.party.Node, ids)
	switch {
	case s.out != nil && slices.Contains(ids, s.outBy):
		t.port.send(s.name, s.out) // always the same: both sides go on under its pair
	case pair != nil:
		t.sayHello(s, pair)
	case t.rooms.Pairs.Self().String() < s.party.Node.String():
		t.shake(ctx, s)
	case !reply:
		t.knockAt(s, true) // the other side begins, when it knows which pairs we have
	}
}

// shake begins a handshake; of two nodes the smaller one does.
func (t *table) shake(ctx context.Context, s *seat) {
	if now := time.Now(); now.Sub(s.began) > handshakeKnocks*t.rooms.Times.Knock {
		s.began = now
		if out, err := t.rooms.Pairs.Initiate(ctx, s.party.Node); err == nil {
			t.port.send(s.name, append([]byte{frameHandshake}, out...))
		}
	}
}

// takeHandshake passes a message on. One that is refused may be of anybody and
// ends nothing; it is the reason that is given when a party does not come.
func (t *table) takeHandshake(ctx context.Context, name string, body []byte) {
	out, err := t.rooms.Pairs.Handle(ctx, body)
	s := t.seats[name]
	switch {
	case s == nil:
	case err != nil:
		t.rooms.Log.Warn("handshake refused", "party", s.party.String(), "cause", err.Error())
		if f, ok := errors.AsType[*mpc.Failure](err); ok {
			s.refused = f
		}
	default:
		if out != nil {
			t.port.send(name, append([]byte{frameHandshake}, out...))
		}
		s.began = time.Time{}
		t.knockAt(s, false) // there may be a pair now
	}
}

// helloContext binds a hello to the room and to who says it to whom.
func (t *table) helloContext() []byte {
	return append([]byte("sallyport room hello v1\x00"), t.plan.where.Room[:]...)
}

// sayHello seals our hello under a pair and sends it.
func (t *table) sayHello(s *seat, pair Pair) {
	id := pair.ID()
	sealer, err := pair.Sealer(t.helloContext(), t.plan.self.String(), s.party.String())
	if err != nil {
		return // said already under this pair, or the pair has just ended
	}
	sealed := sealer.Seal([]byte{frameHello}, codec.Encode(t.mine))
	s.out, s.outBy = append(append([]byte{frameHello}, id[:]...), sealed...), id
	t.port.send(s.name, s.out)
}

// takeHello opens what a party says. The first hello counts.
func (t *table) takeHello(name string, body []byte) {
	s := t.seats[name]
	if s == nil || s.hello != nil || len(body) < pairID || len(body) > maxHello {
		return
	}
	id := [8]byte(body[:pairID])
	pair := t.rooms.Pairs.Common(s.party.Node, [][8]byte{id})
	if pair == nil {
		t.knockAt(s, true)
		return
	}
	at := string(id[:]) + name
	opener := t.opened[at]
	if opener == nil {
		var err error
		if opener, err = pair.Opener(t.helloContext(), s.party.String(), t.plan.self.String()); err != nil {
			return
		}
		t.opened[at] = opener
	}
	raw, err := opener.Open([]byte{frameHello}, body[pairID:])
	if err != nil {
		return
	}
	var h hello
	if codec.Decode(raw, &h) != nil || !h.valid(s.party) {
		return
	}
	s.hello, s.raw, s.pair = &h, raw, pair
	if s.out == nil {
		t.sayHello(s, pair) // under a pair that the other side surely has
	}
}
