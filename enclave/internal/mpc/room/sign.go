package room

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"strings"

	"github.com/sallyport/sallyport/enclave/internal/codec"
	"github.com/sallyport/sallyport/enclave/internal/keys"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
	"github.com/sallyport/sallyport/enclave/internal/mpc/presign"
)

// The last message round of signing: whoever has all of its messages has the
// signature.
const (
	lastECDSA = 9
	lastEdDSA = 3
)

// Half-done signatures that are made in the room of a signature that found
// one, and of one that found none.
const (
	aheadAfterWarm = 1
	aheadAfterCold = 2
)

// signExtra lists the half-done signatures that a party has set aside for this
// room, at most one of each quorum.
type signExtra struct {
	Held [][]byte `cbor:"1,keyasint"`
}

// A signing is one party's part in a signature.
type signing struct {
	rooms *Rooms
	req   *mpc.SignRequest
	tag   [32]byte
	set   map[presign.Key][16]byte // set aside, by quorum
	warm  bool
	sig   []byte
	share *mpc.Share // for the runs afterwards
}

// Sign implements [mpc.Runner].
func (r *Rooms) Sign(ctx context.Context, q *mpc.SignRequest) ([]byte, error) {
	g := &signing{rooms: r, req: q, tag: q.Share.KeyTag(), set: map[presign.Key][16]byte{}}
	defer g.putBack()
	extra := signExtra{Held: [][]byte{}}
	if g.ahead() {
		g.set = r.pool.PickEach(func(k presign.Key) bool {
			return k.Tag == g.tag && k.Path == hex.EncodeToString(q.Delta) && k.Policy == q.Presign
		})
		for _, id := range g.set {
			extra.Held = append(extra.Held, id[:])
		}
		g.share = cloneShare(q.Share)
	}
	var after operation
	if g.ahead() {
		after = g.refill
	}
	err := r.operate(ctx, plan{
		where: q.Where, self: q.Share.Self, candidates: memberIDs(q.Share), timeout: r.Times.Sign, extra: codec.Encode(extra),
		claim: claim{
			Operation: "sign", Curve: uint8(q.Share.Curve), Key: g.tag[:], Digest: q.Digest, Delta: q.Delta, Presign: q.Presign,
			Terms: q.Terms.Operation, Details: q.Terms.Details,
		},
	}, g.sign, after)
	if err != nil {
		g.share.Erase()
		return nil, err
	}
	return g.sig, nil
}

// ahead tells whether this signature uses and makes half-done ones.
func (g *signing) ahead() bool { return g.req.Presign != "" && g.req.Share.Curve != keys.Ed25519 }

// putBack gives back what was set aside and not used.
func (g *signing) putBack() {
	for _, id := range g.set {
		g.rooms.pool.Release(id)
	}
}

func (g *signing) sign(ctx context.Context, s *talk) error {
	if len(s.parties) < g.req.Share.Threshold {
		return mpc.Failf(mpc.CauseSetup, nil, "the room is for %d parties and the key needs %d", len(s.parties), g.req.Share.Threshold)
	}
	hold := uint8(lastECDSA)
	if g.req.Share.Curve == keys.Ed25519 {
		hold = lastEdDSA
	}
	arrange := func(r *run) { r.hold, r.contribute = hold, g.req.Contribute }
	result, err := g.finish(ctx, s, arrange)
	if err != nil {
		return err
	}
	g.sig = result.Signature
	return nil
}

// finish signs with a half-done signature if all have set aside the same one,
// else from the beginning.
func (g *signing) finish(ctx context.Context, s *talk, arrange func(*run)) (*mpc.Result, error) {
	if session, ok := g.take(s); ok {
		g.warm = true
		defer drain(session)
		if err := session.Finish(g.req.Digest); err != nil {
			return nil, err
		}
		r := &run{s: s, session: session}
		arrange(r)
		return r.carry(ctx)
	}
	return s.engine(ctx, s.signSetup(mpc.OpSign, g.req.Share, g.req.Digest, g.req.Delta), arrange)
}

// take takes the half-done signature of this quorum out of the pool, for good.
func (g *signing) take(s *talk) (mpc.Session, bool) {
	k := g.key(s)
	id, ok := g.set[k]
	if !ok {
		return nil, false
	}
	for _, p := range s.peers {
		if p != nil && !holds(p.seat.hello.Extra, id) {
			return nil, false
		}
	}
	delete(g.set, k)
	return g.rooms.pool.Take(id)
}

func holds(extra []byte, id [16]byte) bool {
	var e signExtra
	if codec.Decode(extra, &e) != nil {
		return false
	}
	for _, h := range e.Held {
		if bytes.Equal(h, id[:]) {
			return true
		}
	}
	return false
}

func (g *signing) key(s *talk) presign.Key {
	return presign.Key{
		Tag: g.tag, Quorum: strings.Join(texts(s.parties), ","), Path: hex.EncodeToString(g.req.Delta), Policy: g.req.Presign,
	}
}

// signSetup names the members that are here as signers.
func (s *talk) signSetup(op mpc.Op, share *mpc.Share, digest, delta []byte) *mpc.Setup {
	setup := &mpc.Setup{
		Op: op, Curve: share.Curve, Session: s.id, Parties: s.parties, Self: s.self, Threshold: share.Threshold,
		Public: share.Public, Share: share, Digest: digest, Delta: delta,
	}
	for i, p := range s.parties {
		m := share.Members[share.Member(p)] // candidates are members
		setup.Roles = append(setup.Roles, mpc.Role{Party: i, X: m.X, Public: m.Public})
	}
	return setup
}

// refill makes half-done signatures for the next time, in this room: all
// parties are here, and were asked for the same.
func (g *signing) refill(ctx context.Context, s *talk) error {
	defer g.share.Erase()
	n := aheadAfterCold
	if g.warm {
		n = aheadAfterWarm
	}
	for i := range n {
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
