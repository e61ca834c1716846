package org

import (
	"context"
	"errors"
	"slices"

	"github.com/sallyport/sallyport/enclave/internal/codec"
	"github.com/sallyport/sallyport/enclave/internal/keys"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
	"github.com/sallyport/sallyport/enclave/wire"
)

// A contributed is the body of the entry that a member makes before its part leaves.
type contributed struct {
	Organization id          `cbor:"1,keyasint"`
	Fingerprint  fingerprint `cbor:"2,keyasint"`
	Operation    string      `cbor:"3,keyasint"`
	Index        int         `cbor:"4,keyasint"`
	Room         mpc.RoomID  `cbor:"5,keyasint"`
	Slots        uint64      `cbor:"6,keyasint"`
	Digest       [32]byte    `cbor:"7,keyasint"`
}

// gate is passed before this member's part leaves: with the others of the room it
// is at the newest state that anybody may act on, the activity is still to be
// carried out there, and the journal says that this member contributes.
func (s *Service) gate(p *part, c *contribution) func(context.Context) error {
	return func(ctx context.Context) error {
		others := slices.DeleteFunc(slices.Clone(c.Crew), func(n mpc.NodeID) bool { return n == s.Group.self })
		err := s.order.CatchUp(ctx, others)
		if err == nil {
			err = s.recordContribution(ctx, p, c)
		}
		if e, ok := errors.AsType[*wire.Error](err); ok {
			return mpc.Failf(mpc.CauseRefused, nil, "%s", e.Message)
		}
		return err
	}
}

func (s *Service) recordContribution(ctx context.Context, p *part, c *contribution) error {
	entry := contributed{
		Organization: p.Organization, Fingerprint: p.Fingerprint, Operation: p.Operation, Index: p.Index, Room: c.Room,
	}
	s.mu.Lock()
	if s.allowed[flight{p.Organization, p.Fingerprint}] == nil {
		s.mu.Unlock()
		return errFinished
	}
	entry.Slots, entry.Digest = s.order.State()
	t, err := s.propose(EntryContribution, func(uint64, int64) ([]byte, error) { return codec.Encode(entry), nil })
	s.mu.Unlock()
	if err != nil {
		return err
	}
	if err := s.journal.Wait(ctx, t); err != nil {
		return s.unavailable(err)
	}
	return nil
}

// warmUp names the pool of half-done signatures of an organization, and remembers
// for which keys there may be some.
func (s *Service) warmUp(p *part) string {
	if p.curve == keys.Ed25519 {
		return ""
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.warm[p.Organization] == nil {
		s.warm[p.Organization] = map[[32]byte]bool{}
	}
	s.warm[p.Organization][*p.key.tag] = true
	return "activity " + p.Organization.String()
}

// cool drops half-done signatures: who may sign has changed. The caller holds the
// lock.
func (s *Service) cool(o *organization) {
	for tag := range s.warm[o.id] {
		s.Group.Runner.Forget(tag)
	}
	delete(s.warm, o.id)
}
