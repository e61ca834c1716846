package room

import (
	"context"

	"github.com/sallyport/sallyport/enclave/internal/keys"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
)

// Export implements [mpc.Runner].
func (r *Rooms) Export(ctx context.Context, q *mpc.ExportRequest) (*keys.Secret, error) {
	if q.Share.Member(q.To) < 0 {
		return nil, mpc.Failf(mpc.CauseSetup, nil, "the recipient is not a party of this key")
	}
	tag := q.Share.KeyTag()
	var key *keys.Secret
	err := r.operate(ctx, plan{
		where: q.Where, self: q.Share.Self, candidates: memberIDs(q.Share), timeout: r.Times.Export,
		claim: claim{
			Operation: "export", Curve: uint8(q.Share.Curve), Key: tag[:], To: q.To.String(),
			Terms: q.Terms.Operation, Details: q.Terms.Details,
		},
	}, func(ctx context.Context, s *talk) (err error) {
		key, err = s.export(ctx, q)
		return err
	}, nil)
	if err != nil {
		key.Erase()
		return nil, err
	}
	return key, nil
}

// export sends this party's share, or receives those of the others. All of the
// room must have made their contribution durable before any share leaves.
func (s *talk) export(ctx context.Context, req *mpc.ExportRequest) (*keys.Secret, error) {
	if len(s.parties) < req.Share.Threshold {
		return nil, mpc.Failf(mpc.CauseSetup, nil, "the room is for %d parties and the key needs %d", len(s.parties), req.Share.Threshold)
	}
	to := -1
	for i, p := range s.parties {
		if p == req.To {
			to = i
		}
	}
	if to < 0 {
		return nil, mpc.Failf(mpc.CauseSetup, nil, "the recipient is not in the room")
	}
	if req.Contribute != nil {
		if err := req.Contribute(ctx); err != nil {
			return nil, err
		}
	}
	if err := s.confirmTag(ctx, s.id[:]); err != nil {
		return nil, err
	}
	if to != s.self {
		return nil, s.contribute(ctx, req.Share, to)
	}
	key, err := s.combine(ctx, req.Share)
	if err == nil {
		s.sendAll(&message{Kind: msgReveal}) // the contributors may answer their callers
	}
	return key, err
}

func (s *talk) contribute(ctx context.Context, share *mpc.Share, to int) error {
	s.send(to, &message{Kind: msgShare, Body: share.Secret.Expose()})
	_, _, err := s.queue.next(ctx, s, msgReveal)
	return err
}

// combine checks every share against its public share, which names who sent a
// wrong one, and the key made of them against the public key.
func (s *talk) combine(ctx context.Context, share *mpc.Share) (*keys.Secret, error) {
	got, err := s.collect(ctx, msgShare)
	if err != nil {
		return nil, err
	}
	defer func() {
		for _, m := range got {
			clear(m.Body)
		}
	}()
	points := []keys.Point{{X: share.Members[share.Member(share.Self)].X, Y: share.Secret}}
	for i, m := range got {
		member := share.Members[share.Member(s.parties[i])]
		y := keys.NewSecret(m.Body)
		defer y.Erase()
		public, err := keys.ScalarPublic(share.Curve, y)
		if err != nil || string(public) != string(member.Public) {
			return nil, mpc.Failf(mpc.CauseShare, []mpc.PartyID{member.Party}, "its share does not belong to its public share")
		}
		points = append(points, keys.Point{X: member.X, Y: y})
	}
	key, err := keys.CombinePoints(share.Curve, points[:share.Threshold], share.Public)
	if err != nil {
		return nil, mpc.Failf(mpc.CauseShare, nil, "the shares do not make the key")
	}
	return key, nil
}
