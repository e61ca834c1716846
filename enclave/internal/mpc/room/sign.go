package room

import (
	"context"
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

// A signing is one party's part in a signature.
type signing struct {
	rooms *Rooms
	req   *mpc.SignRequest
	tag   [32]byte
	set   map[presign.Key]presign.ID // set aside, by quorum
	have  map[presign.ID]presign.Key // all there were when this began
	want  int                        // half-done signatures to make in this room
	sig   []byte
	share *mpc.Share // for the runs afterwards
}

// Sign implements [mpc.Runner].
func (r *Rooms) Sign(ctx context.Context, q *mpc.SignRequest) ([]byte, error) {
	g := &signing{rooms: r, req: q, tag: q.Share.KeyTag()}
	defer g.putBack()
	var after operation
	if g.ahead() {
		matches := func(k presign.Key) bool {
			return k.Tag == g.tag && k.Path == hex.EncodeToString(q.Delta) && k.Policy == q.Presign
		}
		g.have, g.set = r.pool.List(matches), r.pool.PickEach(matches, q.Room[:])
		g.share, after = cloneShare(q.Share), g.refill
	}
	err := r.operate(ctx, plan{
		where: q.Where, self: q.Share.Self, candidates: memberIDs(q.Share), timeout: r.Times.Sign, extra: codec.Encode(g.extra()),
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

func (g *signing) extra() signExtra {
	e := signExtra{Held: [][]byte{}, Have: [][]byte{}}
	for _, id := range g.set {
		e.Held = append(e.Held, id[:])
	}
	for id := range g.have {
		e.Have = append(e.Have, id[:])
	}
	return e
}

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
	extras := s.signExtras()
	if g.ahead() {
		g.tidy(g.key(s), extras)
	}
	session, err := g.take(g.key(s), extras)
	if err != nil {
		return nil, err
	}
	if session != nil {
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
