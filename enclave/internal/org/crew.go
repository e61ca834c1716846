package org

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"time"

	"github.com/sallyport/sallyport/enclave/internal/keys"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
	"github.com/sallyport/sallyport/enclave/wire"
)

// The calls between members about activities; the order has its own.
const (
	methodReady      = "org/ready"      // would you do this with me?
	methodContribute = "org/contribute" // do it, in this room
	methodHeld       = "org/held"       // do you have your share of this key?
	methodExecute    = "org/execute"    // carry out what came to you

	memberTimeout = 6 * time.Second
)

// Reasons of refusals between members.
const (
	reasonFinished = "GROUP_ACTIVITY_FINISHED"
	reasonNoShare  = "GROUP_NO_SHARE"
)

// What members do together.
const (
	opCreate = "create"
	opSign   = "sign"
	opExport = "export"
)

// A task is one thing that members do together for an allowed activity. Each member
// finds what it is in its own copy of the organization.
type task struct {
	Organization id          `cbor:"1,keyasint"`
	Fingerprint  fingerprint `cbor:"2,keyasint"`
	Operation    string      `cbor:"3,keyasint"`
	Index        int         `cbor:"4,keyasint"` // of the key, or payload
	Slots        uint64      `cbor:"5,keyasint"` // that the asker has applied
	Digest       [32]byte    `cbor:"6,keyasint"` // of its state after them
}

// A contribution asks for it in a room.
type contribution struct {
	Task  task         `cbor:"1,keyasint"`
	Room  mpc.RoomID   `cbor:"2,keyasint"`
	Relay string       `cbor:"3,keyasint,omitempty"`
	Crew  []mpc.NodeID `cbor:"4,keyasint"` // all that take part
}

type empty struct{}

// A part is a task as this member's copy of the organization says it is.
type part struct {
	task
	curve   keys.Curve
	key     *privateKey // of sign and export
	keyID   id
	payload []byte // of sign
	target  []byte // of export
}

// answerMembers sets what other members are answered.
func (s *Service) answerMembers() {
	handleMember(s, methodReady, func(ctx context.Context, from mpc.NodeID, t *task) (*empty, error) {
		_, err := s.prepare(ctx, from, t)
		return &empty{}, err
	})
	handleMember(s, methodContribute, s.onContribute)
	handleMember(s, methodHeld, s.onHeld)
	handleMember(s, methodExecute, s.onExecute)
}

// prepare catches up with the member that asks, and looks for the task in this
// member's own copy.
func (s *Service) prepare(ctx context.Context, from mpc.NodeID, t *task) (*part, error) {
	if err := s.order.At(ctx, from, t.Slots, t.Digest); err != nil {
		return nil, err
	}
	return s.part(t)
}

// part finds a task in an activity that is allowed and not finished.
func (s *Service) part(t *task) (*part, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	a := s.allowed[flight{t.Organization, t.Fingerprint}]
	if a == nil {
		return nil, errFinished
	}
	o := s.orgs[t.Organization]
	plan, err := a.kind.check(o, a.content.asked.intent)
	if err != nil {
		return nil, err
	}
	p := &part{task: *t}
	found := false
	switch in := a.content.asked.intent.(type) {
	case *createKeysIntent:
		if found = t.Operation == opCreate && t.Index >= 0 && t.Index < len(in.PrivateKeys); found {
			p.curve, p.keyID = in.PrivateKeys[t.Index].curve, objectID("private key", o.id, t.Fingerprint, t.Index)
		}
	case *signIntent:
		sign := plan.(signPlan)
		if found = t.Operation == opSign && t.Index >= 0 && t.Index < len(sign.payloads); found {
			p.key, p.payload = sign.key, sign.payloads[t.Index]
		}
	case *exportIntent:
		if found = t.Operation == opExport && t.Index == 0; found {
			p.key, p.target = plan.(*privateKey), in.target
		}
	}
	if !found {
		return nil, wire.Errorf(wire.FailedPrecondition, "", "the activity %s does not ask for this", t.Fingerprint)
	}
	return p, s.holds(p)
}

// holds wants this member's share to be here; the caller holds the lock.
func (s *Service) holds(p *part) error {
	if p.key == nil {
		return nil
	}
	p.curve, p.keyID = p.key.curve, p.key.id
	if p.key.tag == nil {
		return wire.Errorf(wire.FailedPrecondition, reasonNoShare, "private key %s is not one of the key group", p.keyID)
	}
	if _, ok := s.held[*p.key.tag]; !ok {
		return wire.Errorf(wire.FailedPrecondition, reasonNoShare, "node %s has no share of private key %s", s.Group.self, p.keyID)
	}
	return nil
}

var errFinished = wire.Errorf(wire.FailedPrecondition, reasonFinished, "the activity is not to be carried out, or has been")

// terms are what all members of a room must have found in their own copies.
func (p *part) terms(recipient mpc.NodeID) mpc.Terms {
	d := [][]byte{p.Organization[:], p.Fingerprint[:], binary.BigEndian.AppendUint32(nil, uint32(p.Index))}
	if p.Operation == opExport {
		sum := sha256.Sum256(p.target)
		d = append(d, sum[:], recipient[:])
	}
	return mpc.Terms{Operation: "activity/" + p.Operation, Details: d}
}

// A taking is this member's part in a room that another one leads.
type taking struct {
	ended  time.Time // zero: under way
	failed string
}

// A partAnswer tells who leads a room how this member's part in it goes.
type partAnswer struct {
	Working bool   `cbor:"1,keyasint"`
	Failed  string `cbor:"2,keyasint,omitempty"`
}

// roomKept is how long it is told how a part has ended.
const roomKept = 10 * time.Minute

// onContribute takes part in a task, in the background, once for each room. Asked
// again it tells how that goes.
func (s *Service) onContribute(ctx context.Context, from mpc.NodeID, c *contribution) (*partAnswer, error) {
	if a := s.partIn(c.Room); a != nil {
		return a, nil
	}
	p, err := s.prepare(ctx, from, &c.Task)
	if err != nil {
		return nil, err
	}
	if err := s.checkCrew(p, from, c); err != nil {
		return nil, err
	}
	s.mu.Lock()
	if s.rooms[c.Room] != nil {
		s.mu.Unlock()
		return s.partIn(c.Room), nil
	}
	here := &taking{}
	s.rooms[c.Room] = here
	s.mu.Unlock()
	s.spawn(func() {
		out, err := s.contribute(s.ctx, p, from, c)
		out.erase()
		s.mu.Lock()
		defer s.mu.Unlock()
		if here.ended = time.Now(); err != nil {
			here.failed = soften(err).Error()
			s.Log.Warn("contributing to an activity", "activity", p.Fingerprint.String(), "error", err.Error())
		}
	})
	return &partAnswer{Working: true}, nil
}

// partIn tells how this member's part in a room goes; nil: it has none.
func (s *Service) partIn(room mpc.RoomID) *partAnswer {
	s.mu.Lock()
	defer s.mu.Unlock()
	for r, t := range s.rooms {
		if !t.ended.IsZero() && time.Since(t.ended) > roomKept {
			delete(s.rooms, r)
		}
	}
	if t := s.rooms[room]; t != nil {
		return &partAnswer{Working: t.ended.IsZero(), Failed: t.failed}
	}
	return nil
}

// checkCrew wants as many members in a room as the task takes, this one and the one
// that asks among them.
func (s *Service) checkCrew(p *part, from mpc.NodeID, c *contribution) error {
	want := s.Group.threshold
	if p.Operation == opCreate {
		want = len(s.Group.members)
	}
	sorted := slices.IsSortedFunc(c.Crew, func(a, b mpc.NodeID) int { return bytes.Compare(a[:], b[:]) })
	ok := sorted && len(c.Crew) == want && int(c.Room[0]) == want && len(slices.Compact(slices.Clone(c.Crew))) == want
	for _, n := range c.Crew {
		ok = ok && slices.Contains(s.Group.members, n)
	}
	if !ok || !slices.Contains(c.Crew, from) || !slices.Contains(c.Crew, s.Group.self) {
		return wire.Errorf(wire.InvalidArgument, "", "crew: must be %d members in order, with who asks and who is asked, in a room of that size", want)
	}
	return nil
}
