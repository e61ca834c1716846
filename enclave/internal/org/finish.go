package org

import (
	"github.com/sallyport/sallyport/enclave/internal/group"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
	"github.com/sallyport/sallyport/enclave/wire"
)

// A finish orders the result of an allowed activity.
type finish struct {
	Organization id          `cbor:"1,keyasint"`
	Fingerprint  fingerprint `cbor:"2,keyasint"`
	Result       []byte      `cbor:"3,keyasint,omitempty"`
	Failure      *failure    `cbor:"4,keyasint,omitempty"`
}

// An ended is what came of it.
type ended struct {
	Status  status   `cbor:"1,keyasint"`
	Failure *failure `cbor:"2,keyasint,omitempty"`
}

// applyFinish ends an activity: with its first result, which every member verifies.
func (s *Service) applyFinish(p group.Place, by mpc.NodeID, in *finish, number uint16) (*ledger, *activity, error) {
	o := s.orgs[in.Organization]
	if o == nil || o.byBody[in.Fingerprint] == nil {
		return nil, nil, notFound("no such activity")
	}
	a := s.allowed[flight{o.id, in.Fingerprint}]
	if a == nil {
		return &ledger{}, o.byBody[in.Fingerprint], nil
	}
	end := &ended{Status: statusFailed, Failure: in.Failure}
	if end.Failure == nil {
		plan, err := a.kind.check(o, a.content.asked.intent)
		if refusal, ok := err.(*wire.Error); ok {
			end.Failure = failureOf(refusal)
		} else if err := a.kind.verify(o, by, a.content.asked.intent, plan, in.Result); err != nil {
			return nil, nil, err
		} else {
			end.Status = statusCompleted
		}
	}
	return &ledger{Ended: end}, a.activity, s.applyEnded(in, end, p.TimeMs, entryRef{item: number})
}

func (s *Service) applyEnded(in *finish, end *ended, timeMs int64, ref entryRef) error {
	f := flight{in.Organization, in.Fingerprint}
	o, a := s.orgs[f.org], s.allowed[f]
	if o == nil || a == nil {
		return wire.Errorf(wire.Internal, "", "the end of an activity that was not allowed")
	}
	delete(s.allowed, f)
	a.content.end(in, end)
	a.status, a.updated = end.Status, timeMs
	a.entries = append(a.entries, ref)
	s.recent.add(a.activity)
	if e := s.errands[f]; e != nil {
		e.cancel() // of whoever waits for another
	}
	if a.status != statusCompleted {
		return nil
	}
	return a.kind.apply(o, made{a.fingerprint, timeMs}, a.content.asked.intent, a.content.result)
}

// end adds the end of an activity of a key group.
func (c *content) end(in *finish, end *ended) {
	if c.failure = end.Failure; end.Status == statusCompleted {
		c.result = in.Result
	}
}
