package room

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"slices"

	"github.com/sallyport/sallyport/enclave/internal/codec"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
	"github.com/sallyport/sallyport/enclave/internal/mpc/presign"
)

// Half-done signatures that are made in the room of a signature that found
// one, and of one that found none.
const (
	aheadAfterWarm = 1
	aheadAfterCold = 2
)

// signExtra lists the half-done signatures that a party has set aside for this
// room, at most one of each quorum, and all that it has of this key and path.
type signExtra struct {
	Held [][]byte `cbor:"1,keyasint"`
	Have [][]byte `cbor:"2,keyasint"`
}

// signExtras are what the others said of their half-done signatures.
func (s *talk) signExtras() (out []signExtra) {
	for _, p := range s.peers {
		if p != nil {
			var e signExtra
			_ = codec.Decode(p.seat.hello.Extra, &e) // nothing, then
			out = append(out, e)
		}
	}
	return out
}

// tidy drops what another party has lost, as by a restart: it would be offered for
// nothing, and hold a place. All parties count the rest alike.
func (g *signing) tidy(k presign.Key, others []signExtra) {
	var lost []presign.ID
	left := presignLimits.PerKey
	for id, key := range g.have {
		switch {
		case key != k:
		case every(others, func(e signExtra) bool { return listed(e.Have, id) }):
			left--
		default:
			lost = append(lost, id)
		}
	}
	if id, ok := g.set[k]; ok && slices.Contains(lost, id) {
		delete(g.set, k)
		g.rooms.pool.Release(id)
	}
	g.rooms.pool.DropAmong(lost)
	g.want = min(left, aheadAfterCold)
}

// take takes the half-done signature of this quorum out of the pool, for good; nil
// when not all have set aside the same one.
func (g *signing) take(k presign.Key, others []signExtra) (mpc.Session, error) {
	id, ok := g.set[k]
	if !ok || !every(others, func(e signExtra) bool { return listed(e.Held, id) }) {
		return nil, nil
	}
	delete(g.set, k)
	g.want = aheadAfterWarm
	session, ok := g.rooms.pool.Take(id)
	if !ok { // the others go on with it: it is too late for another way
		return nil, mpc.Failf(mpc.CauseEngine, nil, "the half-done signature of this room has just been dropped")
	}
	return session, nil
}

func every[T any](list []T, is func(T) bool) bool {
	return !slices.ContainsFunc(list, func(v T) bool { return !is(v) })
}

func listed(ids [][]byte, id presign.ID) bool {
	return slices.ContainsFunc(ids, func(h []byte) bool { return bytes.Equal(h, id[:]) })
}

// waits tells whether a half-done signature waits for its digest: one whose engine
// has died has said so.
func waits(s mpc.Session) bool {
	select {
	case <-s.Events():
		return false
	default:
		return true
	}
}

// refill makes half-done signatures for the next time, in this room: all
// parties are here, and were asked for the same.
func (g *signing) refill(ctx context.Context, s *talk) error {
	defer g.share.Erase()
	for i := range g.want {
		if err := g.makeAhead(ctx, s, uint64(i+1)); err != nil {
			return err
		}
	}
	return nil
}

func (g *signing) makeAhead(ctx context.Context, s *talk, number uint64) error {
	setup := s.signSetup(mpc.OpPresign, g.share, nil, g.req.Delta)
	setup.Session = aheadSession(s.id, number)
	session, err := s.rooms.Engine.Start(s.rooms.ctx, setup)
	if err != nil {
		return err
	}
	r := &run{s: s, session: session, ahead: number}
	if _, err := r.carry(ctx); err != nil {
		drain(session)
		return err
	}
	if err := g.rooms.pool.Put(g.key(s), [16]byte(setup.Session[:16]), session); err != nil {
		drain(session)
		return err
	}
	return nil
}

func aheadSession(session [32]byte, number uint64) [32]byte {
	b := append([]byte("sallyport ahead v1\x00"), session[:]...)
	return sha256.Sum256(binary.BigEndian.AppendUint64(b, number))
}
