package room

import (
	"bytes"
	"context"
	"slices"

	"github.com/sallyport/sallyport/enclave/internal/mpc"
)

// Reshare implements [mpc.Runner].
func (r *Rooms) Reshare(ctx context.Context, q *mpc.ReshareRequest) (*mpc.Share, error) {
	h := &resharing{req: q}
	defer h.erase()
	self, err := h.prepare()
	if err != nil {
		return nil, err
	}
	news := slices.SortedFunc(slices.Values(q.New), mpc.PartyID.Compare)
	p := plan{
		where: q.Where, self: self, candidates: h.candidates(), open: q.Old == nil && len(q.OldParties) == 0 && q.Import == nil,
		timeout: r.Times.Reshare, extra: h.extra,
		claim: claim{
			Operation: "reshare", Curve: uint8(q.Curve), Threshold: q.NewThreshold, Parties: texts(news),
			Terms: q.Terms.Operation, Details: q.Terms.Details,
		},
	}
	err = r.operate(ctx, p, h.run, nil)
	if err != nil {
		h.share.Erase()
		return nil, err
	}
	return h.share, nil
}

// A resharing is one party's part in a reshare, refresh or import.
type resharing struct {
	req   *mpc.ReshareRequest
	own   *oldExtra   // nil: not of the old committee
	olds  []oldSecret // the shares that this party speaks for
	extra []byte
	share *mpc.Share
}

func (h *resharing) erase() {
	for _, o := range h.olds {
		o.secret.Erase()
		o.state.Erase()
	}
}

// candidates are the new parties, and the old ones by the name they go by.
func (h *resharing) candidates() []mpc.PartyID {
	out := slices.Clone(h.req.New)
	for _, old := range h.req.OldParties {
		if !slices.ContainsFunc(h.req.New, func(n mpc.PartyID) bool { return n.Node == old.Node }) {
			out = append(out, old)
		}
	}
	return out
}

func (h *resharing) run(ctx context.Context, s *talk) error {
	setup, chain, err := h.setup(s)
	if err != nil {
		return err
	}
	if slices.Contains(h.req.New, s.plan.self) {
		if err := s.takePreParams(ctx, setup); err != nil {
			return err
		}
		defer setup.PreParams.Erase()
	}
	result, err := s.engine(ctx, setup, func(r *run) { r.casts = newCasts(s) })
	if err != nil {
		return err
	}
	if result.Share != nil {
		result.Share.ChainCode = chain
		h.share = result.Share
	}
	return h.confirm(ctx, s)
}

// confirm waits until all new members have the same key. Parties of the old
// committee only do not know its public shares and say nothing of them; they
// wait for the new ones, which must agree with each other.
func (h *resharing) confirm(ctx context.Context, s *talk) error {
	tag := []byte{}
	if h.share != nil {
		t := h.share.KeyTag()
		tag = t[:]
	}
	s.sendAll(&message{Kind: msgConfirm, Body: tag})
	got, err := s.collect(ctx, msgConfirm)
	if err != nil {
		return err
	}
	for i, p := range s.parties {
		if i == s.self || !slices.Contains(h.req.New, p) {
			continue
		}
		if len(tag) == 0 {
			tag = got[i].Body
		}
		if len(tag) != 32 || !bytes.Equal(tag, got[i].Body) {
			return mpc.Failf(mpc.CauseProtocol, []mpc.PartyID{p}, "it has another key than the other new parties")
		}
	}
	return nil
}
