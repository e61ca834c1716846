package org

import (
	"context"
	"errors"
	"time"

	"github.com/sallyport/sallyport/enclave/internal/mpc"
	"github.com/sallyport/sallyport/enclave/wire"
)

// An activity of a key group is allowed first, by all members; then one of them,
// the one where the deciding request came, has it carried out; and its result
// is put into the order again, where the first one counts. So whatever fails in
// between can be tried again, by others too, and a fingerprint has one result.

// Times of carrying out.
const (
	errandTimeout = 15 * time.Minute // the longest request makes ten keys
	askAgain      = 500 * time.Millisecond
	sweepEvery    = 5 * time.Second
	takeOverAfter = time.Minute // that others wait for the member that ought to do it
	restAfter     = 20 * time.Second
)

// An errand is one try of this member to have an activity carried out.
type errand struct {
	done   chan struct{}
	cancel context.CancelFunc
	err    error // set before done is closed
	ended  time.Time
}

// carriedOut waits until an activity is carried out, if it is to be. A caller that goes
// away sees it pending, and it goes on.
func (s *Service) carriedOut(ctx context.Context, f flight) error {
	e := s.begin(f, 0)
	if e == nil {
		return nil
	}
	select {
	case <-e.done:
		return e.err
	case <-ctx.Done():
		return nil
	}
}

// begin starts an errand unless one is under way, or one has failed within rest. It
// returns nil when the activity is finished.
func (s *Service) begin(f flight, rest time.Duration) *errand {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.allowed[f]
	if a == nil {
		return nil
	}
	if e := s.errands[f]; e != nil && (e.ended.IsZero() || time.Since(e.ended) < rest) {
		return e
	}
	ctx, cancel := context.WithTimeout(s.ctx, errandTimeout)
	e := &errand{done: make(chan struct{}), cancel: cancel}
	s.errands[f] = e
	node := a.node
	started := s.spawn(func() {
		defer cancel()
		err := s.run(ctx, f, node)
		s.mu.Lock()
		defer s.mu.Unlock()
		e.ended = time.Now()
		if s.allowed[f] != nil && err != nil {
			e.err = soften(err)
			s.Log.Warn("carrying out an activity", "activity", f.fingerprint.String(), "error", err.Error())
		} else {
			delete(s.errands, f)
		}
		close(e.done)
	})
	if !started {
		cancel()
		e.err = wire.Errorf(wire.Unavailable, "", "the enclave is stopping; repeat the same request")
		close(e.done)
	}
	return e
}

// soften makes an error that says: not yet. Only what stands in the order is final.
func soften(err error) error {
	if e, ok := errors.AsType[*wire.Error](err); ok && e.Code != wire.Internal {
		return e
	}
	if f, ok := errors.AsType[*mpc.Failure](err); ok {
		e := wire.Errorf(wire.Unavailable, "", "the members could not carry the activity out: %v; repeat the same request", f)
		e.Cause = string(f.Cause)
		for _, p := range f.Culprits {
			e.Culprits = append(e.Culprits, p.String())
		}
		return e
	}
	return wire.Errorf(wire.Unavailable, "", "the activity was not carried out yet; repeat the same request")
}

// run has an activity carried out, by the member that ought to or else here.
func (s *Service) run(ctx context.Context, f flight, node mpc.NodeID) error {
	if node != s.Group.self && s.leaveTo(ctx, f, node) {
		return nil
	}
	done, err := s.execute(ctx, f)
	if err != nil || done == nil {
		return err
	}
	_, err = s.putInOrder(ctx, order{Finish: done})
	return err
}

// leaveTo waits as long as another member is at work on an activity.
func (s *Service) leaveTo(ctx context.Context, f flight, node mpc.NodeID) bool {
	for {
		q := executeCall{Organization: f.org, Fingerprint: f.fingerprint}
		q.Slots, q.Digest = s.order.State()
		a, err := callMember[executeAnswer](ctx, s, node, methodExecute, q)
		if err != nil || !a.Working {
			_ = s.order.Refresh(ctx) // it may be finished, and not yet known here
			return ctx.Err() != nil || s.finished(f)
		}
		select {
		case <-ctx.Done():
			return true
		case <-time.After(askAgain):
		}
		if s.finished(f) {
			return true
		}
	}
}

func (s *Service) finished(f flight) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.allowed[f] == nil
}

// executeCall asks a member to carry out what came to it.
type (
	executeCall struct {
		Organization id          `cbor:"1,keyasint"`
		Fingerprint  fingerprint `cbor:"2,keyasint"`
		Slots        uint64      `cbor:"3,keyasint"` // that the asker has applied
		Digest       [32]byte    `cbor:"4,keyasint"`
	}
	executeAnswer struct {
		Working bool `cbor:"1,keyasint"`
	}
)

func (s *Service) onExecute(ctx context.Context, from mpc.NodeID, q *executeCall) (*executeAnswer, error) {
	if err := s.order.At(ctx, from, q.Slots, q.Digest); err != nil {
		return nil, err
	}
	f := flight{q.Organization, q.Fingerprint}
	s.mu.RLock()
	a := s.allowed[f]
	s.mu.RUnlock()
	if a == nil || a.node != s.Group.self {
		return &executeAnswer{}, nil
	}
	e := s.begin(f, restAfter)
	if e == nil {
		return &executeAnswer{}, nil
	}
	select {
	case <-e.done:
		return &executeAnswer{}, nil // it has failed not long ago: the other may try
	default:
		return &executeAnswer{Working: true}, nil
	}
}

// execute carries an activity out with other members. A refusal by the state as it is
// now is final; all else is an error.
func (s *Service) execute(ctx context.Context, f flight) (*finish, error) {
	s.mu.RLock()
	a := s.allowed[f]
	if a == nil {
		s.mu.RUnlock()
		return nil, nil
	}
	o, asked := s.orgs[f.org], a.content.asked
	plan, err := a.kind.check(o, asked.intent)
	s.mu.RUnlock()
	out := &finish{Organization: f.org, Fingerprint: f.fingerprint}
	if refusal, ok := err.(*wire.Error); ok {
		out.Failure = failureOf(refusal)
		return out, nil
	}
	out.Result, err = a.kind.joint(ctx, s, task{Organization: f.org, Fingerprint: f.fingerprint}, asked.intent, plan)
	return out, err
}

// sweep carries out what a restart or a failure has left undone.
func (s *Service) sweep() {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-tick.C:
		}
		late := millis(s.Now().Add(-takeOverAfter))
		var todo []flight
		s.mu.RLock()
		for f, a := range s.allowed {
			if a.node == s.Group.self || a.updated < late {
				todo = append(todo, f)
			}
		}
		s.mu.RUnlock()
		for _, f := range todo {
			s.begin(f, restAfter)
		}
	}
}
