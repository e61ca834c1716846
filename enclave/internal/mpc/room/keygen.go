package room

import (
	"bytes"
	"context"
	"crypto/sha256"
	"slices"

	"github.com/sallyport/sallyport/enclave/internal/keys"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
)

// Keygen implements [mpc.Runner].
func (r *Rooms) Keygen(ctx context.Context, q *mpc.KeygenRequest) (*mpc.Share, error) {
	if int(q.Room[0]) != len(q.Parties) {
		return nil, mpc.Failf(mpc.CauseSetup, nil, "the room is for %d parties and the key for %d", q.Room[0], len(q.Parties))
	}
	parties := slices.SortedFunc(slices.Values(q.Parties), mpc.PartyID.Compare)
	var share *mpc.Share
	err := r.operate(ctx, plan{
		where: q.Where, self: q.Self, candidates: parties, timeout: r.Times.Keygen,
		claim: claim{
			Operation: "keygen", Curve: uint8(q.Curve), Threshold: q.Threshold, Parties: texts(parties),
			Terms: q.Terms.Operation, Details: q.Terms.Details,
		},
	}, func(ctx context.Context, s *talk) (err error) {
		share, err = s.keygen(ctx, q)
		return err
	}, nil)
	if err != nil {
		share.Erase()
		return nil, err
	}
	return share, nil
}

func (s *talk) keygen(ctx context.Context, req *mpc.KeygenRequest) (*mpc.Share, error) {
	setup := &mpc.Setup{
		Op: mpc.OpKeygen, Curve: req.Curve, Session: s.id, Parties: s.parties, Self: s.self, Threshold: req.Threshold,
	}
	for i := range s.parties {
		setup.Roles = append(setup.Roles, mpc.Role{Party: i, X: s.x(i)})
	}
	if err := s.takePreParams(ctx, setup); err != nil {
		return nil, err
	}
	defer setup.PreParams.Erase()
	chain, err := s.chainCode(ctx)
	if err != nil {
		return nil, err
	}
	result, err := s.engine(ctx, setup, func(r *run) { r.casts = newCasts(s) })
	if err != nil {
		return nil, err
	}
	result.Share.ChainCode = chain
	return result.Share, s.confirm(ctx, result.Share)
}

// takePreParams takes a fresh set, for the curves that need one.
func (s *talk) takePreParams(ctx context.Context, setup *mpc.Setup) (err error) {
	if setup.Curve == keys.Ed25519 {
		return nil
	}
	setup.PreParams, err = s.rooms.PreParams.Take(ctx)
	return err
}

// x is the fresh x coordinate of a party.
func (s *talk) x(i int) (x [32]byte) {
	if i == s.self {
		return [32]byte(s.mine.X)
	}
	return [32]byte(s.peers[i].seat.hello.X)
}

// chainCode makes 32 bytes to which every party has added some that it could
// not choose by those of others: all commit before any is shown.
func (s *talk) chainCode(ctx context.Context) ([]byte, error) {
	own := random(32)
	s.sendAll(&message{Kind: msgCommit, Body: s.commitment(s.self, own)})
	commits, err := s.collect(ctx, msgCommit)
	if err != nil {
		return nil, err
	}
	s.sendAll(&message{Kind: msgReveal, Body: own})
	reveals, err := s.collect(ctx, msgReveal)
	if err != nil {
		return nil, err
	}
	h := sha256.New()
	h.Write([]byte("sallyport chain code v1\x00"))
	h.Write(s.id[:])
	for i := range s.parties {
		part := own
		if i != s.self {
			part = reveals[i].Body
			if len(part) != 32 || !bytes.Equal(s.commitment(i, part), commits[i].Body) {
				return nil, mpc.Failf(mpc.CauseProtocol, []mpc.PartyID{s.parties[i]}, "its part of the chain code is not what it committed to")
			}
		}
		h.Write(part)
	}
	return h.Sum(nil), nil
}

func (s *talk) commitment(party int, part []byte) []byte {
	h := sha256.New()
	h.Write([]byte("sallyport chain code commitment v1\x00"))
	h.Write(s.id[:])
	h.Write([]byte(s.parties[party].String()))
	h.Write(part)
	return h.Sum(nil)
}

// confirm compares the new key between all parties: it counts when all have
// the same. A share is not to be kept before.
func (s *talk) confirm(ctx context.Context, share *mpc.Share) error {
	tag := share.KeyTag()
	return s.confirmTag(ctx, tag[:])
}

func (s *talk) confirmTag(ctx context.Context, tag []byte) error {
	s.sendAll(&message{Kind: msgConfirm, Body: tag})
	got, err := s.collect(ctx, msgConfirm)
	if err != nil {
		return err
	}
	for i, m := range got {
		if !bytes.Equal(m.Body, tag) {
			return mpc.Failf(mpc.CauseProtocol, []mpc.PartyID{s.parties[i]}, "it has another key than this party")
		}
	}
	return nil
}

// Agree implements [mpc.Runner].
func (r *Rooms) Agree(ctx context.Context, w mpc.Where, share *mpc.Share, t mpc.Terms) error {
	tag := share.KeyTag()
	return r.operate(ctx, plan{
		where: w, self: share.Self, candidates: memberIDs(share), timeout: r.Times.Export,
		claim: claim{Operation: "agree", Curve: uint8(share.Curve), Key: tag[:], Terms: t.Operation, Details: t.Details},
	}, func(ctx context.Context, s *talk) error {
		return s.confirmTag(ctx, s.id[:])
	}, nil)
}

func memberIDs(share *mpc.Share) (out []mpc.PartyID) {
	for _, m := range share.Members {
		out = append(out, m.Party)
	}
	return out
}

func texts(parties []mpc.PartyID) (out []string) {
	for _, p := range parties {
		out = append(out, p.String())
	}
	return out
}
