package room

import (
	"slices"
	"time"

	"github.com/sallyport/sallyport/enclave/internal/codec"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
)

// opener is what opens a peer's frames under a pair. It is made once.
func (s *talk) opener(p *peer, by Pair) (Opener, error) {
	if o := p.openers[by.ID()]; o != nil {
		return o, nil
	}
	o, err := by.Opener(s.id[:], p.seat.party.String(), s.plan.self.String())
	if err == nil {
		p.openers[by.ID()] = o
	}
	return o, err
}

// unseal opens a frame under the pair that it names, one of those with this peer.
func (s *talk) unseal(p *peer, body []byte) ([]byte, bool) {
	if len(body) < pairID {
		return nil, false
	}
	id := [pairID]byte(body)
	o := p.openers[id]
	if o == nil {
		by := s.rooms.Pairs.Common(p.seat.party.Node, [][pairID]byte{id})
		if by == nil {
			return nil, false
		}
		var err error
		if o, err = s.opener(p, by); err != nil {
			return nil, false
		}
	}
	plain, err := o.Open([]byte{frameSession}, body[pairID:])
	return plain, err == nil
}

// open takes a sealed packet. One that does not open was not made by the party.
func (s *talk) open(from int, p *peer, body []byte) {
	plain, ok := s.unseal(p, body)
	if !ok {
		return
	}
	var k packet
	if codec.Decode(plain, &k) != nil {
		s.fail(mpc.Failf(mpc.CauseMessage, []mpc.PartyID{p.seat.party}, "a packet that is not one"))
		return
	}
	s.mu.Lock()
	bodies := p.stream.take(&k, time.Now())
	s.mu.Unlock()
	for _, b := range bodies {
		m := new(message)
		if codec.Decode(b, m) != nil {
			s.fail(mpc.Failf(mpc.CauseMessage, []mpc.PartyID{p.seat.party}, "a message that is not one"))
			return
		}
		if m.Kind == msgDone {
			s.mu.Lock()
			p.done = true
			s.mu.Unlock()
		}
		select {
		case s.inbox <- delivery{from, m}:
		default:
			s.fail(mpc.Failf(mpc.CauseMessage, []mpc.PartyID{p.seat.party}, "more messages than any operation has"))
		}
	}
}

// flush sends what is due.
func (s *talk) flush() {
	now := time.Now()
	for _, p := range s.peers {
		if p == nil {
			continue
		}
		s.renew(p)
		s.mu.Lock()
		due := p.stream.due(now)
		s.mu.Unlock()
		for _, b := range due {
			s.port.send(p.seat.name, slices.Concat([]byte{frameSession}, p.by[:], p.sealer.Seal([]byte{frameSession}, b)))
			clear(b)
		}
	}
}

// renew goes on under the pair by which we said hello last: the other side had not
// the one before.
func (s *talk) renew(p *peer) {
	if p.by == p.seat.outBy {
		return
	}
	own := s.rooms.Pairs.Common(p.seat.party.Node, [][pairID]byte{p.seat.outBy})
	if own == nil {
		return
	}
	if sealer, err := own.Sealer(s.id[:], s.plan.self.String(), p.seat.party.String()); err == nil {
		p.by, p.sealer = p.seat.outBy, sealer
	}
}
