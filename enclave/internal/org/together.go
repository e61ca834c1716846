package org

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/sallyport/sallyport/enclave/internal/keys"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
	"github.com/sallyport/sallyport/enclave/wire"
)

// quorumTries is how many quorums are tried for one task before it is given up for now.
const quorumTries = 3

// A yield is what a task gave at this member.
type yield struct {
	signature []byte
	secret    *keys.Secret // of an export, at its recipient
	share     *mpc.Share   // of a keygen; without secrets
}

func (y *yield) erase() {
	if y != nil {
		y.secret.Erase()
	}
}

// together does a task with as many others as it takes, with another quorum when
// one fails.
func (s *Service) together(ctx context.Context, t task) (*yield, error) {
	need := s.Group.threshold - 1
	if t.Operation == opCreate {
		need = len(s.Group.members) - 1
	}
	without := map[mpc.NodeID]bool{}
	var last error
	for range quorumTries {
		t.Slots, t.Digest = s.order.State()
		p, err := s.part(&t)
		if err != nil {
			return nil, err
		}
		crew, err := s.muster(ctx, t, need, without)
		if err != nil {
			if last != nil {
				err = last // what went wrong says more than that nobody else is left
			}
			return nil, err
		}
		out, err := s.assemble(ctx, p, crew)
		if err == nil {
			return out, nil
		}
		last = err
		s.blame(err, crew, without)
		if ctx.Err() != nil || errors.Is(err, errFinished) {
			break
		}
	}
	return nil, last
}

// blame leaves out whom a failure names; when it names nobody, one of the others,
// so that another quorum is tried while there is one.
func (s *Service) blame(err error, crew []mpc.NodeID, without map[mpc.NodeID]bool) {
	named := false
	mark := func(n mpc.NodeID) {
		if n != s.Group.self {
			without[n], named = true, true
		}
	}
	if f, ok := errors.AsType[*mpc.Failure](err); ok {
		for _, c := range f.Culprits {
			mark(c.Node)
		}
	}
	if m, ok := errors.AsType[*memberError](err); ok {
		mark(m.node)
	}
	if !named {
		mark(crew[0])
	}
	if len(s.Group.members)-len(without) < s.Group.threshold {
		clear(without) // there is no other quorum: the same may do better
	}
}

// A memberError is what a member has refused to contribute with.
type memberError struct {
	node mpc.NodeID
	why  error
}

func (e *memberError) Error() string { return e.why.Error() }

// Unwrap gives the error as that member made it.
func (e *memberError) Unwrap() error { return e.why }

// assemble does a task with a crew, in a new room.
func (s *Service) assemble(ctx context.Context, p *part, others []mpc.NodeID) (*yield, error) {
	crew := append([]mpc.NodeID{s.Group.self}, others...)
	slices.SortFunc(crew, func(a, b mpc.NodeID) int { return bytes.Compare(a[:], b[:]) })
	where, err := s.Group.Room(ctx, len(crew))
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	c := &contribution{Task: p.task, Room: where.Room, Relay: where.Relay, Crew: crew}
	var asked sync.WaitGroup
	for _, n := range others {
		asked.Go(func() {
			if err := s.watch(ctx, n, c); err != nil {
				cancel(&memberError{n, err}) // it would be waited for in vain
			}
		})
	}
	out, err := s.contribute(ctx, p, s.Group.self, c)
	if err != nil {
		if m, ok := errors.AsType[*memberError](context.Cause(ctx)); ok {
			err = m
		}
	}
	cancel(nil)
	asked.Wait()
	if err != nil {
		out.erase()
		return nil, err
	}
	return out, nil
}

// How a member of a room is watched: a room waits for its parties until its deadline,
// and one that has gone should not be waited for so long.
const (
	watchEvery  = time.Second
	watchGrace  = 300 * time.Millisecond // for this member to learn by itself what went wrong: that names the culprit
	watchMisses = 2                      // calls without an answer, after which it is taken for gone
)

// watch asks a member to take part in a room, and how that goes, until its part is
// done. An error says why it is not.
func (s *Service) watch(ctx context.Context, n mpc.NodeID, c *contribution) error {
	for misses := 0; ; {
		a, err := callMember[partAnswer](ctx, s, n, methodContribute, c)
		e, refused := errors.AsType[*wire.Error](err)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			if misses++; misses >= watchMisses || refused && e.Code != wire.Unavailable {
				return err
			}
		case a.Failed != "":
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(watchGrace):
			}
			return wire.Errorf(wire.Unavailable, "", "node %s could not contribute: %s", n, a.Failed)
		case !a.Working:
			return nil
		default:
			misses = 0
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(watchEvery):
		}
	}
}

// contribute is this member's part in a task.
func (s *Service) contribute(ctx context.Context, p *part, leader mpc.NodeID, c *contribution) (*yield, error) {
	where := mpc.Where{Room: c.Room, Relay: c.Relay}
	terms := p.terms(leader)
	if p.Operation == opCreate {
		share, err := s.makeShare(ctx, p, where, terms)
		return &yield{share: share}, err
	}
	share, err := s.loadShare(ctx, p)
	if err != nil {
		return nil, err
	}
	defer share.Erase()
	ctx, cancel := context.WithTimeout(ctx, mpc.JoinTimeout+mpc.SignTimeout)
	defer cancel()
	out := &yield{}
	if p.Operation == opSign {
		out.signature, err = s.Group.Runner.Sign(ctx, &mpc.SignRequest{
			Where: where, Share: share, Digest: p.payload, Terms: terms, Contribute: s.gate(p, c), Presign: s.warmUp(p),
		})
		return out, err
	}
	to := slices.IndexFunc(share.Members, func(m mpc.Member) bool { return m.Party.Node == leader })
	if to < 0 {
		return nil, wire.Errorf(wire.FailedPrecondition, "", "node %s is no party of private key %s", leader, p.keyID)
	}
	out.secret, err = s.Group.Runner.Export(ctx, &mpc.ExportRequest{
		Where: where, Share: share, To: share.Members[to].Party, Terms: terms, Contribute: s.gate(p, c),
	})
	return out, err
}
