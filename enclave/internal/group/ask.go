package group

import (
	"context"
	"errors"

	"github.com/sallyport/sallyport/enclave/internal/mpc"
	"github.com/sallyport/sallyport/enclave/wire"
)

// A ballotAnswer is what one member said.
type ballotAnswer struct {
	node mpc.NodeID
	vote *vote
	err  error
}

// ask asks all members at once, this one too, and returns when a quorum of them, this one
// among them, has agreed.
func (g *Group) ask(ctx context.Context, method string, m *ballotMessage) ([]*vote, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	answers := make(chan ballotAnswer, len(g.Members))
	q := *m // the caller changes its own afterwards
	for _, p := range g.peers {
		go func() {
			v, err := call[vote](ctx, g, p, method, q)
			answers <- ballotAnswer{p, v, err}
		}()
	}
	own := g.onPrepare
	if method == methodAccept {
		own = g.onAccept
	}
	v, err := own(ctx, g.Self, m)
	if err != nil {
		return nil, err
	}
	if !v.OK {
		return nil, errOutbid
	}
	t := tally{g: g, m: m, votes: []*vote{v}}
	for range g.peers {
		if len(t.votes) >= g.quorum {
			break
		}
		t.take(<-answers)
	}
	if len(t.votes) >= g.quorum {
		return t.votes, nil
	}
	return nil, t.verdict(ctx)
}

// A refusal is what another member refused with, and will again.
type refusal struct{ why *wire.Error }

func (r *refusal) Error() string { return r.why.Message }

// Unwrap gives the error as that member made it.
func (r *refusal) Unwrap() error { return r.why }

// A tally counts answers.
type tally struct {
	g       *Group
	m       *ballotMessage
	votes   []*vote
	ahead   *mpc.NodeID // has applied more
	outbid  bool
	refusal *refusal
}

func (t *tally) take(a ballotAnswer) {
	switch {
	case a.err != nil:
		if e, ok := errors.AsType[*wire.Error](a.err); ok && e.Code != wire.Unavailable && t.refusal == nil {
			t.refusal = &refusal{e}
		}
	case a.vote.OK:
		t.votes = append(t.votes, a.vote)
	default:
		t.outbid = true
		if a.vote.Applied > t.m.Slot {
			t.ahead = &a.node
		}
		t.g.mu.Lock()
		t.g.seen = max(t.g.seen, a.vote.Promised)
		t.g.mu.Unlock()
	}
}

// verdict says why there was no quorum.
func (t *tally) verdict(ctx context.Context) error {
	switch {
	case t.ahead != nil:
		if err := t.g.fetchFrom(ctx, *t.ahead); err != nil {
			return err
		}
		return errOutbid
	case t.outbid:
		return errOutbid
	case t.refusal != nil:
		return t.refusal
	}
	return wire.Errorf(wire.Unavailable, "", "%d of the %d members of the key group answer and %d are needed; repeat the same request",
		len(t.votes), len(t.g.Members), t.g.quorum)
}
