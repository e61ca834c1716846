package org

import (
	"context"

	"github.com/sallyport/sallyport/enclave/wire"
)

// A submission is one stamped request on its way to being recorded: a new
// activity, or a vote on one.
type submission struct {
	*caller
	body   []byte
	stamp  []byte
	made   fingerprint // of body
	own    *parsed     // what body says
	of     *parsed     // what the activity asks for: own, or that of the target
	target *activity   // nil makes a new activity
	reject bool
}

// submit takes a stamped activity to its decision.
func (s *Service) submit(ctx context.Context, req *wire.Request, path string) ([]byte, error) {
	k := kinds[path]
	if k == nil {
		return nil, notFound("no such activity: %q", path)
	}
	if req.StampKind == wire.StampNone {
		_, err := s.authenticate(req, "")
		return nil, err
	}
	var env envelope
	if err := checkSize(req.Body, maxSubmission); err != nil {
		return nil, err
	}
	if err := decodeBody(req.Body, &env); err != nil {
		return nil, err
	}
	if s.ordered(env.OrganizationID) {
		return s.submitOrdered(ctx, req, k, &env)
	}
	c, err := s.authenticate(req, env.OrganizationID)
	if err != nil {
		return nil, err
	}
	if err := k.belongs(&env); err != nil {
		return nil, err
	}
	sub := &submission{
		caller: c, body: req.Body, stamp: req.Stamp, made: fingerprintOf(req.Body),
	}
	proposed := s.journal.Announce()
	a, err := s.take(ctx, sub, k, &env)
	proposed()
	if err != nil {
		return nil, err
	}
	if err := s.durable(ctx); err != nil {
		return nil, err
	}
	return s.activityReply(ctx, a, c, req.Nonce)
}

// belongs refuses a type of another path.
func (k *kind) belongs(env *envelope) error {
	if _, ok := k.types[env.Type]; !ok {
		return bad("bad request body: type %q does not belong to /public/v1/submit/%s", env.Type, k.path)
	}
	return nil
}

// take finds or makes the activity of a submission.
func (s *Service) take(ctx context.Context, sub *submission, k *kind, env *envelope) (*activity, error) {
	if !s.seen(sub) {
		if err := checkTimestamp(env.TimestampMs, s.Now()); err != nil {
			return nil, err
		}
	}
	var err error
	if sub.own, err = k.parse(env); err != nil {
		return nil, err
	}
	sub.of = sub.own
	if v, ok := sub.own.intent.(*voteIntent); ok {
		if err := s.aim(sub, v); err != nil {
			return nil, err
		}
	}
	return s.advance(ctx, sub)
}

// seen tells whether this exact body of this user was recorded before. A
// repeated body gets its recorded answer however old its timestamp is.
func (s *Service) seen(sub *submission) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return sub.org.recorded(sub.made, sub.user.id) != nil
}

// recorded finds the activity that answers a user's body because that is
// recorded already: the user stamped it before, or it has led to its end. The
// body of a pending activity from another user is not recorded: it is a vote,
// to be judged with all the rules of a new request, the time window included.
// Nor is a body that only others were denied: what they may not do says
// nothing of this user.
func (o *organization) recorded(made fingerprint, user id) *activity {
	a := o.byBody[made]
	if a == nil {
		return nil
	}
	if denial := o.byID[deniedID(o.id, user, made)]; denial != nil {
		return denial
	}
	switch {
	case a.status == statusDenied:
		return nil
	case a.status == statusPending && !hasStamped(a.content.votes, user, made):
		return nil
	}
	return a
}

// advance decides, carries out and records a submission, one at a time for
// each activity.
func (s *Service) advance(ctx context.Context, sub *submission) (*activity, error) {
	f := flight{sub.org.id, sub.made}
	if sub.target != nil {
		f.fingerprint = sub.target.fingerprint
	}
	if err := s.takeOff(ctx, f); err != nil {
		return nil, err
	}
	defer s.land(f)

	s.mu.Lock()
	st, err := s.judge(sub, millis(s.Now()))
	if err != nil || st.known != nil || st.decision != allow || st.failure != nil || sub.of.kind.execute == nil {
		defer s.mu.Unlock()
		if err != nil || st.known != nil {
			return st.known, err
		}
		return s.record(sub, st, nil)
	}
	s.mu.Unlock()

	j := job{org: sub.org.id, fingerprint: f.fingerprint}
	result, execErr := sub.of.kind.execute(ctx, s, j, sub.of.intent, st.plan)

	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conclude(sub, result, execErr)
}

// conclude records an executed submission, unless the world has moved on
// while it ran; the caller holds the lock.
func (s *Service) conclude(sub *submission, result any, execErr error) (*activity, error) {
	if execErr != nil && !isFinal(execErr) {
		return nil, execErr
	}
	st, err := s.judge(sub, millis(s.Now()))
	if err != nil || st.known != nil {
		return st.known, err
	}
	if execErr != nil && st.decision == allow && st.failure == nil {
		st.failure = failureOf(execErr.(*wire.Error))
	}
	return s.record(sub, st, result)
}

// isFinal tells a failure that repetition would not mend from one that it
// might, such as a host that does not answer.
func isFinal(err error) bool {
	e, ok := err.(*wire.Error)
	return ok && e.Code != wire.Unavailable && e.Code != wire.Internal
}

// takeOff waits until nobody else is at work on the same activity.
func (s *Service) takeOff(ctx context.Context, f flight) error {
	for {
		s.mu.Lock()
		busy := s.flights[f]
		if busy == nil {
			s.flights[f] = make(chan struct{})
			s.mu.Unlock()
			return nil
		}
		s.mu.Unlock()
		select {
		case <-busy:
		case <-ctx.Done():
			return wire.Errorf(wire.Unavailable, "", "the same activity is under way; repeat the same request")
		}
	}
}

func (s *Service) land(f flight) {
	s.mu.Lock()
	close(s.flights[f])
	delete(s.flights, f)
	s.mu.Unlock()
}
