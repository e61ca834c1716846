package room

import (
	"context"
	"crypto/ed25519"
	"slices"
	"sync"
	"time"

	"github.com/sallyport/sallyport/enclave/internal/codec"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
	"github.com/sallyport/sallyport/enclave/wire"
)

// A talk is a session: a complete room whose parties exchange messages that
// arrive once and in order.
type talk struct {
	*table
	id      [32]byte // the session
	parties []mpc.PartyID
	self    int
	peers   []*peer // by index of parties; nil for self
	inbox   chan delivery
	queue   queue

	mu    sync.Mutex
	over  error // why nothing more comes
	ended chan struct{}
	wake  chan struct{}
}

// A peer is another party of a session.
type peer struct {
	seat   *seat
	sealer Sealer
	by     [pairID]byte // the pair of the sealer
	// openers are by pair: the other side goes on under the one by which it said
	// hello last, and an old knock may have made it say so again.
	openers map[[pairID]byte]Opener
	stream  *stream
	key     ed25519.PublicKey
	done    bool // it has said that it is finished: its silence is no failure
}

type delivery struct {
	from int
	msg  *message
}

// inboxSize bounds what an operation has not looked at.
const inboxSize = 4096

// talk starts the session of a complete room. It goes on until ctx ends.
func (t *table) talk(ctx context.Context) (*talk, error) {
	s := &talk{
		table: t, id: t.session(), inbox: make(chan delivery, inboxSize),
		ended: make(chan struct{}), wake: make(chan struct{}, 1),
	}
	s.parties = []mpc.PartyID{t.plan.self}
	here := t.present()
	for _, seat := range here {
		s.parties = append(s.parties, seat.party)
	}
	slices.SortFunc(s.parties, mpc.PartyID.Compare)
	s.self = slices.Index(s.parties, t.plan.self)
	s.peers = make([]*peer, len(s.parties))
	now := time.Now()
	for _, seat := range here {
		p := &peer{seat: seat, by: seat.outBy, openers: map[[pairID]byte]Opener{}, stream: newStream(t.rooms.Times, now), key: seat.hello.Key}
		var err error
		// Each direction runs under the pair by which its sender said hello, which
		// every frame names: two may exist.
		own := t.rooms.Pairs.Common(seat.party.Node, [][8]byte{seat.outBy})
		if own == nil {
			return nil, mpc.Failf(mpc.CauseTimeout, nil, "a channel ended while the room was filling")
		}
		if p.sealer, err = own.Sealer(s.id[:], t.plan.self.String(), seat.party.String()); err != nil {
			return nil, err
		}
		if _, err = s.opener(p, seat.pair); err != nil { // now: the pair may end before its first frame comes
			return nil, err
		}
		s.peers[slices.Index(s.parties, seat.party)] = p
	}
	t.rooms.running.Go(func() { s.run(ctx) })
	return s, nil
}

// run moves packets until the context ends.
func (s *talk) run(ctx context.Context) {
	defer close(s.ended)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		case <-tick.C:
			s.watch()
		case m, ok := <-s.port.in:
			if !ok {
				return
			}
			s.dispatch(ctx, m)
		}
		s.flush()
	}
}

// dispatch takes one relay message.
func (s *talk) dispatch(ctx context.Context, m wire.RelayMessage) {
	if len(m.Body) < 2 || m.Body[0] != frameSession {
		s.take(ctx, m) // from those who are not as far
		return
	}
	for i, p := range s.peers {
		if p != nil && p.seat.name == m.Party {
			s.open(i, p, m.Body[1:])
			return
		}
	}
}

// watch finds parties that have gone silent.
func (s *talk) watch() {
	now := time.Now()
	var gone []mpc.PartyID
	s.mu.Lock()
	for _, p := range s.peers {
		if p != nil && !p.done && now.Sub(p.stream.heard) > s.rooms.Times.Silence {
			gone = append(gone, p.seat.party)
		}
	}
	s.mu.Unlock()
	if len(gone) > 0 {
		s.fail(mpc.Failf(mpc.CauseTimeout, gone, "nothing was heard for %v", s.rooms.Times.Silence))
	}
}

// fail ends the session for this party's operation. The first failure counts.
func (s *talk) fail(err error) {
	s.mu.Lock()
	first := s.over == nil
	if first {
		s.over = err
	}
	s.mu.Unlock()
	if first {
		select {
		case s.inbox <- delivery{from: -1}:
		default: // full: who reads it looks at over at every message
		}
	}
}

// send queues a message to one party.
func (s *talk) send(to int, m *message) {
	p := s.peers[to]
	if p == nil {
		return
	}
	s.mu.Lock()
	ok := p.stream.push(codec.Encode(m), time.Now())
	s.mu.Unlock()
	if !ok {
		s.fail(mpc.Failf(mpc.CauseTimeout, []mpc.PartyID{p.seat.party}, "it acknowledges nothing"))
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// sendAll queues a message to all others.
func (s *talk) sendAll(m *message) {
	for i, p := range s.peers {
		if p != nil {
			s.send(i, m)
		}
	}
}

// failed returns what ended the session, if anything did.
func (s *talk) failed() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.over
}

// settled tells whether all have acknowledged everything.
func (s *talk) settled() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.peers {
		if p != nil && !p.stream.settled() {
			return false
		}
	}
	return true
}
