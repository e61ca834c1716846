package org

import (
	"github.com/sallyport/sallyport/attestation/strictjson"
	"github.com/sallyport/sallyport/enclave/wire"
)

// applyEvent changes the state by one event, at commit and at replay; the
// caller holds the lock. What the event's body says may be known already.
func (s *Service) applyEvent(ev *event, known *parsed, timeMs int64, ref entryRef) error {
	o := s.orgs[ev.Organization]
	if o == nil {
		return wire.Errorf(wire.Internal, "", "journal entry %d: no such organization", ref.index)
	}
	made_ := fingerprintOf(ev.Body)
	a, err := o.activityOf(ev, known, made_, timeMs)
	if err != nil {
		return wire.Errorf(wire.Internal, "", "journal entry %d: %v", ref.index, err)
	}
	if ev.Status != statusDenied || o.byBody[made_] == nil {
		o.byBody[made_] = a // a denial does not stand in the way of others with the same body
	}
	a.content.fold(ev, timeMs)
	a.status, a.updated = ev.Status, timeMs
	a.entries = append(a.entries, ref)
	if a.status == statusAllowed {
		a.kind.begin(o, a.content.asked.intent)
		s.allowed[flight{o.id, a.fingerprint}] = &allowed{activity: a}
		return nil
	}
	if a.status != statusPending {
		s.recent.add(a)
	}
	if a.status != statusCompleted {
		return nil
	}
	return a.kind.apply(o, made{a.fingerprint, timeMs}, a.content.asked.intent, ev.Result)
}

// activityOf finds the activity of an event, or makes it.
func (o *organization) activityOf(ev *event, asked *parsed, made fingerprint, timeMs int64) (*activity, error) {
	if ev.Target != nil {
		a := o.byBody[*ev.Target]
		if a == nil || a.content == nil {
			return nil, bad("vote on an activity that is not pending")
		}
		return a, nil
	}
	if asked == nil {
		var err error
		if asked, err = parseBody(ev.Body); err != nil {
			return nil, err
		}
	}
	aid := objectID("activity", o.id, made, 0)
	if ev.Status == statusDenied {
		aid = deniedID(o.id, ev.User, made)
	}
	a := &activity{
		id: aid, fingerprint: made, kind: asked.kind, typ: asked.typ,
		created: timeMs, content: &content{asked: asked},
	}
	o.activities = append(o.activities, a)
	o.byID[a.id] = a
	return a, nil
}

// A parsed body is what an activity asks for.
type parsed struct {
	kind       *kind
	typ        string
	parameters strictjson.Raw
	intent     any
}

// parse reads the parameters of an activity of this kind.
func (k *kind) parse(env *envelope) (*parsed, error) {
	intent, err := k.decode(env.Type, env.Parameters)
	return &parsed{kind: k, typ: env.Type, parameters: env.Parameters, intent: intent}, err
}

// parseBody reads a body that was recorded.
func parseBody(body []byte) (*parsed, error) {
	var env envelope
	if err := strictjson.DecodeRequest(body, &env); err != nil {
		return nil, err
	}
	k := kindOf[env.Type]
	if k == nil {
		return nil, bad("activity type %q is not of this release", env.Type)
	}
	return k.parse(&env)
}
