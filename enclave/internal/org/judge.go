package org

import (
	"github.com/sallyport/sallyport/enclave/internal/codec"
	"github.com/sallyport/sallyport/enclave/wire"
)

// A step is what judge found.
type step struct {
	known    *activity // recorded already: nothing to do
	decision decision
	plan     any
	failure  *failure
}

// judge decides a submission against the state as it is, at a time; the caller
// holds the lock. An error is a refusal that is not recorded.
func (s *Service) judge(sub *submission, nowMs int64) (step, error) {
	if err := sub.stillValid(nowMs); err != nil {
		return step{}, err
	}
	own := vote{user: sub.user.id, reject: sub.reject, created: nowMs}
	if known := sub.org.recorded(sub.made, sub.user.id); known != nil {
		return step{known: known}, nil
	}
	if a := sub.org.byBody[sub.made]; a != nil && a.fingerprint == sub.made && a.status == statusPending {
		sub.target, sub.of = a, a.content.asked // the same body from another user is that user's approval
	}
	if _, isVote := sub.of.intent.(*voteIntent); isVote {
		return step{decision: deny}, nil // aim found no right to vote
	}
	if sub.target == nil {
		plan, err := sub.of.kind.check(sub.org, sub.of.intent)
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
	plan, err := sub.of.kind.check(sub.org, sub.of.intent)
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
	ev := sub.event(st)
	if ev.Status != statusCompleted {
		result = nil // not to be released, nor proven
	}
	return s.write(sub, ev, st.plan, result)
}

// event is what a submission leads to.
func (sub *submission) event(st step) *event {
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
	if sub.target != nil && st.decision != deny {
		target := sub.target.fingerprint
		ev.Target = &target
	}
	return ev
}

func (s *Service) write(sub *submission, ev *event, plan, result any) (*activity, error) {
	j := job{org: sub.org.id, fingerprint: sub.made}
	if ev.Target != nil {
		j.fingerprint = *ev.Target
	}
	t, err := s.propose(EntryActivity, func(index uint64, timeMs int64) ([]byte, error) {
		if record := sub.of.kind.record; result != nil && record != nil {
			var err error
			if result, err = record(s, j, sub.of.intent, plan, result, position{index, timeMs}); err != nil {
				return nil, err
			}
		}
		if ev.Status == statusCompleted {
			ev.Result = codec.Encode(result)
		}
		return codec.Encode(ev), nil
	})
	if err != nil {
		return nil, err
	}
	if err := s.applyEvent(ev, sub.own, t.TimeMs, entryRef{index: t.Index, leaf: t.Leaf}); err != nil {
		return nil, err
	}
	return sub.org.recorded(sub.made, sub.user.id), nil
}
