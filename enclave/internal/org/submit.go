package org

import (
	"context"

	"github.com/sallyport/sallyport/attestation/strictjson"
	"github.com/sallyport/sallyport/enclave/wire"
)

// A submission is one stamped request on its way to being recorded: a new
// activity, or a vote on one.
type submission struct {
	*caller
	body   []byte
	stamp  []byte
	made   fingerprint // of body
	kind   *kind       // of the activity that it makes or votes on
	typ    string
	intent any
	target *activity // nil makes a new activity
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
	c, err := s.authenticate(req, env.OrganizationID)
	if err != nil {
		return nil, err
	}
	if _, ok := k.types[env.Type]; !ok {
		return nil, bad("bad request body: type %q does not belong to /public/v1/submit/%s", env.Type, path)
	}
	sub := &submission{
		caller: c, body: req.Body, stamp: req.Stamp, made: fingerprintOf(req.Body),
		kind: k, typ: env.Type,
	}
	a, err := s.take(ctx, sub, &env)
	if err != nil {
		return nil, err
	}
	if err := s.durable(ctx); err != nil {
		return nil, err
	}
	return s.activityReply(ctx, a, c, req.Nonce)
}

// take finds or makes the activity of a submission.
func (s *Service) take(ctx context.Context, sub *submission, env *envelope) (*activity, error) {
	if !s.seen(sub) {
		if err := checkTimestamp(env.TimestampMs, s.Now()); err != nil {
			return nil, err
		}
	}
	intent, err := sub.kind.decode(env.Type, env.Parameters)
	if err != nil {
		return nil, err
	}
	sub.intent = intent
	if v, ok := intent.(*voteIntent); ok {
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
	st, err := s.judge(sub)
	if err != nil || st.known != nil || st.decision != allow || st.failure != nil || sub.kind.execute == nil {
		defer s.mu.Unlock()
		if err != nil || st.known != nil {
			return st.known, err
		}
		return s.record(sub, st, nil)
	}
	s.mu.Unlock()

	j := job{org: sub.org.id, fingerprint: f.fingerprint}
	result, execErr := sub.kind.execute(ctx, s, j, sub.intent, st.plan)

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
	st, err := s.judge(sub)
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

// A step is what judge found.
type step struct {
	known    *activity // recorded already: nothing to do
	decision decision
	plan     any
	failure  *failure
}

// judge decides a submission against the state as it is now; the caller holds
// the lock. An error is a refusal that is not recorded.
func (s *Service) judge(sub *submission) (step, error) {
	nowMs := millis(s.Now())
	if err := sub.stillValid(nowMs); err != nil {
		return step{}, err
	}
	own := vote{user: sub.user.id, reject: sub.reject, created: nowMs}
	if known := sub.org.recorded(sub.made, sub.user.id); known != nil {
		return step{known: known}, nil
	}
	if a := sub.org.byBody[sub.made]; a != nil && a.fingerprint == sub.made && a.status == statusPending {
		sub.target = a // the same body from another user is that user's approval
	}
	if _, isVote := sub.intent.(*voteIntent); isVote {
		return step{decision: deny}, nil // aim found no right to vote
	}
	if sub.target == nil {
		plan, err := sub.kind.check(sub.org, sub.intent)
		return step{decision: sub.org.decide([]vote{own}), plan: plan}, err
	}
	return sub.judgeVote(own, nowMs)
}

// judgeVote decides a vote on a pending activity.
func (sub *submission) judgeVote(own vote, nowMs int64) (step, error) {
	a := sub.target
	if a.status != statusPending {
		return step{}, bad("activity %s is %s and takes no more votes", a.id, a.status.text())
	}
	if !sub.org.quorum.has(sub.user.id) {
		return step{decision: deny}, nil
	}
	votes := liveVotes(a.content.votes, nowMs)
	if hasVoted(votes, sub.user.id) && !sub.reject {
		return step{known: a}, nil
	}
	if sizeOf(a.content.votes)+len(sub.body) > maxVoteBodies {
		return step{}, bad("the votes on activity %s are too long for one more copy of its body: vote by its fingerprint", a.id)
	}
	st := step{decision: sub.org.decide(append(votes[:len(votes):len(votes)], own))}
	if st.decision != allow {
		return st, nil
	}
	plan, err := sub.kind.check(sub.org, sub.intent)
	if refusal, ok := err.(*wire.Error); ok {
		st.failure = failureOf(refusal)
	}
	st.plan = plan
	return st, nil
}

// record writes the submission's event and applies it; the caller holds the
// lock. A vote that counts for nothing is recorded as a denied activity of
// its own, so that the activity it was aimed at stays as it was.
func (s *Service) record(sub *submission, st step, result any) (*activity, error) {
	ev := &event{
		Organization: sub.org.id, Body: sub.body, Stamp: sub.stamp, User: sub.user.id,
		Reject: sub.reject, Failure: st.failure,
	}
	ev.Status = map[decision]status{
		deny: statusDenied, pending: statusPending, reject: statusRejected, allow: statusCompleted,
	}[st.decision]
	switch {
	case st.decision == deny:
		ev.Failure = failureOf(denied())
	case st.failure != nil:
		ev.Status = statusFailed
	}
	if ev.Status != statusCompleted {
		result = nil // not to be released, nor proven
	}
	if sub.target != nil && st.decision != deny {
		target := sub.target.fingerprint
		ev.Target = &target
	}
	return s.write(sub, ev, st.plan, result)
}

func (s *Service) write(sub *submission, ev *event, plan, result any) (*activity, error) {
	j := job{org: sub.org.id, fingerprint: sub.made}
	if ev.Target != nil {
		j.fingerprint = *ev.Target
	}
	t, err := s.propose(EntryActivity, func(index uint64, timeMs int64) ([]byte, error) {
		if result != nil && sub.kind.record != nil {
			var err error
			if result, err = sub.kind.record(s, j, sub.intent, plan, result, position{index, timeMs}); err != nil {
				return nil, err
			}
		}
		if ev.Status == statusCompleted {
			ev.Result = encode(result)
		}
		return encode(ev), nil
	})
	if err != nil {
		return nil, err
	}
	if err := s.applyEvent(ev, t.TimeMs, entryRef{t.Index, t.Leaf}); err != nil {
		return nil, err
	}
	return sub.org.recorded(sub.made, sub.user.id), nil
}

// applyEvent changes the state by one event, at commit and at replay; the
// caller holds the lock.
func (s *Service) applyEvent(ev *event, timeMs int64, ref entryRef) error {
	o := s.orgs[ev.Organization]
	if o == nil {
		return wire.Errorf(wire.Internal, "", "journal entry %d: no such organization", ref.index)
	}
	made_ := fingerprintOf(ev.Body)
	a, err := o.activityOf(ev, made_, timeMs)
	if err != nil {
		return wire.Errorf(wire.Internal, "", "journal entry %d: %v", ref.index, err)
	}
	if ev.Status != statusDenied || o.byBody[made_] == nil {
		o.byBody[made_] = a // a denial does not stand in the way of others with the same body
	}
	a.content.fold(ev, timeMs)
	a.status, a.updated = ev.Status, timeMs
	a.entries = append(a.entries, ref)
	if a.status != statusPending {
		s.recent.add(a)
	}
	if a.status != statusCompleted {
		return nil
	}
	intent, err := a.intent()
	if err != nil {
		return err
	}
	return a.kind.apply(o, made{a.fingerprint, timeMs}, intent, ev.Result)
}

// activityOf finds the activity of an event, or makes it.
func (o *organization) activityOf(ev *event, made fingerprint, timeMs int64) (*activity, error) {
	if ev.Target != nil {
		a := o.byBody[*ev.Target]
		if a == nil || a.content == nil {
			return nil, bad("vote on an activity that is not pending")
		}
		return a, nil
	}
	var env envelope
	if err := strictjson.Decode(ev.Body, &env); err != nil {
		return nil, err
	}
	k := kindOf[env.Type]
	if k == nil {
		return nil, bad("activity type %q is not of this release", env.Type)
	}
	aid := objectID("activity", o.id, made, 0)
	if ev.Status == statusDenied {
		aid = deniedID(o.id, ev.User, made)
	}
	a := &activity{
		id: aid, fingerprint: made, kind: k, typ: env.Type,
		created: timeMs, content: &content{},
	}
	o.activities = append(o.activities, a)
	o.byID[a.id] = a
	return a, nil
}

// intent reads the activity's parameters from its body.
func (a *activity) intent() (any, error) {
	var env envelope
	if err := strictjson.Decode(a.content.body, &env); err != nil {
		return nil, err
	}
	return a.kind.decode(a.typ, env.Parameters)
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
