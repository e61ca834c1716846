package org

import (
	"time"

	"github.com/sallyport/sallyport/enclave/internal/codec"
	"github.com/sallyport/sallyport/enclave/internal/group"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
	"github.com/sallyport/sallyport/enclave/wire"
)

// An order is what members of a key group put into their order: exactly one of
// its fields is there.
type order struct {
	Found  *founding `cbor:"1,keyasint,omitempty"`
	Submit *stamped  `cbor:"2,keyasint,omitempty"`
	Finish *finish   `cbor:"3,keyasint,omitempty"`
}

// A stamped is a request exactly as its client sent it.
type stamped struct {
	Path  string `cbor:"1,keyasint"` // last element of /public/v1/submit/...
	Body  []byte `cbor:"2,keyasint"`
	Stamp []byte `cbor:"3,keyasint"` // X-Stamp, an API key's
}

// A ledger is what came of an order, as all members journal it. With no field set,
// nothing did: it was recorded before.
type ledger struct {
	Founded bool     `cbor:"1,keyasint,omitempty"`
	Event   *event   `cbor:"2,keyasint,omitempty"` // body and stamp are those of the order
	Refused *failure `cbor:"3,keyasint,omitempty"`
	Ended   *ended   `cbor:"4,keyasint,omitempty"`
}

// An outcome is what came of an order that was made here.
type outcome struct {
	activity *activity
	err      error
}

// orderOverhead is what an order has beside its body.
const orderOverhead = maxStamp + 256

// maxOrdered is the longest body that a key group takes.
const maxOrdered = group.MaxBody - orderOverhead

// applySlot applies the orders of one slot; see [group.Config]. All that is decided
// follows from the orders, the slot's time and the state.
func (s *Service) applySlot(p group.Place, items []group.Item, commit group.Commit) ([]any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clockMs = p.TimeMs
	outcomes, records := make([]any, len(items)), make([][]byte, len(items))
	touched := make([]*activity, len(items))
	for i := range items {
		entry, a, err := s.applyItem(p, &items[i], uint16(i))
		if err != nil {
			refusal, ok := err.(*wire.Error)
			if !ok || refusal.Code == wire.Internal {
				return nil, err
			}
			entry = &ledger{Refused: failureOf(refusal)}
		}
		if entry.Event != nil || entry.Ended != nil {
			touched[i] = a
		}
		outcomes[i], records[i] = outcome{a, err}, codec.Encode(entry)
	}
	ref, err := commit(records)
	if err != nil {
		return nil, err
	}
	for i, a := range touched {
		if a != nil {
			a.setRef(entryRef{ref.Index, ref.Leaf, uint16(i)})
		}
	}
	return outcomes, nil
}

// setRef says where an event stands, that was applied before its entry was made.
func (a *activity) setRef(ref entryRef) {
	for i := range a.entries {
		if e := &a.entries[i]; e.leaf == [32]byte{} && e.item == ref.item {
			*e = ref
		}
	}
}

// applyItem applies one order; the caller holds the lock.
func (s *Service) applyItem(p group.Place, item *group.Item, number uint16) (*ledger, *activity, error) {
	var in order
	if err := codec.Decode(item.Body, &in); err != nil {
		return nil, nil, bad("a member of the key group has ordered what is not an order")
	}
	switch {
	case in.Found != nil:
		return s.applyFound(p, in.Found)
	case in.Submit != nil:
		return s.applySubmit(p, item, in.Submit, number)
	case in.Finish != nil:
		return s.applyFinish(p, item.Node, in.Finish, number)
	}
	return nil, nil, bad("a member of the key group has ordered nothing")
}

func (s *Service) applyFound(p group.Place, f *founding) (*ledger, *activity, error) {
	if err := s.judgeFounding(f); err != nil {
		return nil, nil, err
	}
	if s.orgs[organizationID(f.Body)] != nil {
		return &ledger{}, nil, nil
	}
	return &ledger{Founded: true}, nil, s.applyFounding(f.Body, p.TimeMs, s.Group)
}

func (s *Service) applySubmit(p group.Place, item *group.Item, in *stamped, number uint16) (*ledger, *activity, error) {
	sub, st, err := s.judgeStamped(in, item.SeenMs, p.TimeMs)
	if err != nil {
		return nil, nil, err
	}
	if st.known != nil {
		return &ledger{}, st.known, nil
	}
	ev, err := sub.orderedEvent(st)
	if err != nil {
		return nil, nil, err
	}
	before := sub.org.configCount
	if err := s.applyEvent(ev, sub.own, p.TimeMs, entryRef{item: number}); err != nil {
		return nil, nil, err
	}
	if _, leaves := sub.of.intent.(*exportIntent); leaves || sub.org.configCount != before {
		s.cool(sub.org)
	}
	a := sub.org.recorded(sub.made, sub.user.id)
	s.decidedAt(a, ev, item.Node)
	short := *ev
	short.Body, short.Stamp = []byte{}, []byte{}
	return &ledger{Event: &short}, a, nil
}

// decidedAt remembers at which member the request came that allowed an activity.
func (s *Service) decidedAt(a *activity, ev *event, node mpc.NodeID) {
	if ev.Status == statusAllowed {
		s.allowed[flight{ev.Organization, a.fingerprint}].node = node
	}
}

// An allowed is an activity that is to be carried out.
type allowed struct {
	*activity
	node mpc.NodeID // where the request came that decided it
}

// orderedEvent is what a submission leads to in a key group: what only changes the
// state is done at once, what needs keys is carried out when all know of it.
func (sub *submission) orderedEvent(st step) (*event, error) {
	ev := sub.event(st)
	if ev.Status != statusCompleted {
		return ev, nil
	}
	if sub.of.kind.jointly {
		ev.Status = statusAllowed
		return ev, nil
	}
	result, err := sub.of.kind.nothing()
	ev.Result = result
	return ev, err
}

// judgeStamped verifies and judges a request as the state is; the caller holds the
// lock. The timestamp is judged by when a member first saw it.
func (s *Service) judgeStamped(in *stamped, seenMs, nowMs int64) (*submission, step, error) {
	k := kinds[in.Path]
	if k == nil {
		return nil, step{}, notFound("no such activity: %q", in.Path)
	}
	var env envelope
	if err := checkSize(in.Body, maxOrdered); err != nil {
		return nil, step{}, err
	}
	if err := decodeBody(in.Body, &env); err != nil {
		return nil, step{}, err
	}
	c, err := s.identify(in, env.OrganizationID, nowMs)
	if err != nil {
		return nil, step{}, err
	}
	if err := k.belongs(&env); err != nil {
		return nil, step{}, err
	}
	sub := &submission{caller: c, body: in.Body, stamp: in.Stamp, made: fingerprintOf(in.Body)}
	if sub.org.recorded(sub.made, sub.user.id) == nil {
		if err := checkTimestamp(env.TimestampMs, time.UnixMilli(seenMs)); err != nil {
			return nil, step{}, err
		}
	}
	if sub.own, err = k.parse(&env); err != nil {
		return nil, step{}, err
	}
	sub.of = sub.own
	if v, ok := sub.own.intent.(*voteIntent); ok {
		if err := sub.aim(v); err != nil {
			return nil, step{}, err
		}
	}
	st, err := s.judge(sub, nowMs)
	return sub, st, err
}

// identify finds who stamped a request, and verifies the stamp; the caller holds
// the lock.
func (s *Service) identify(in *stamped, organizationID string, nowMs int64) (*caller, error) {
	st, err := parseStamp(in.Stamp)
	if err != nil {
		return nil, err
	}
	oid, ok := parseID(organizationID)
	if !ok {
		return nil, errOrganizationID
	}
	c, err := s.find(oid, st, nowMs)
	if err != nil {
		return nil, err
	}
	if c.org.group == nil {
		return nil, wire.Errorf(wire.NotFound, "ORGANIZATION_NOT_FOUND", "no organization of the key group found with the given ID")
	}
	if !c.cred.public.verify(in.Body, st.signature) {
		return nil, errStampSignature
	}
	return c, nil
}

// admitOrdered judges what another member has seen first.
func (s *Service) admitOrdered(item *group.Item) error {
	var in order
	if err := codec.Decode(item.Body, &in); err != nil {
		return bad("a member of the key group orders what is not an order")
	}
	if in.Found != nil && !s.OpenOrganizations {
		return errClosed
	}
	return nil
}
