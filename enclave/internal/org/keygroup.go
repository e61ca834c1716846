package org

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/hex"

	"github.com/sallyport/sallyport/enclave/internal/group"
	"github.com/sallyport/sallyport/enclave/internal/keys"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
	"github.com/sallyport/sallyport/enclave/wire"
)

// A KeyGroup makes organizations those of all members: what is submitted at one of
// them is put into one order, and each member verifies and journals all of it
// by itself. The keys of such organizations are MPC keys of all members.
type KeyGroup struct {
	// Caller and Runner reach the other members. They are set before Serve.
	Caller mpc.Caller
	Runner mpc.Runner
	// Room makes a room for so many parties.
	Room func(ctx context.Context, size int) (mpc.Where, error)
	// Check says whether the engine is sound for an operation on a curve.
	Check func(op mpc.Op, curve keys.Curve) error

	self      mpc.NodeID
	members   []mpc.NodeID
	threshold int
}

// NewKeyGroup says who the members are, this node among them, and how many of
// them sign: what the manifest says, which was judged before.
func NewKeyGroup(self mpc.NodeID, members []mpc.NodeID, threshold int) *KeyGroup {
	return &KeyGroup{self: self, members: members, threshold: threshold}
}

// join makes this service's part in its key group.
func (s *Service) join() {
	if s.Group == nil {
		return
	}
	var err error
	s.order, err = group.New(group.Config{
		Self: s.Group.self, Members: s.Group.members, Threshold: s.Group.threshold, Now: s.Now, Log: s.Log,
		Admit: s.admitOrdered, Apply: s.applySlot, Replay: s.replaySlot,
	})
	if err != nil {
		panic("internal error: key group: " + err.Error()) // the manifest says who they are
	}
	s.Group.members = s.order.Members // sorted
	s.allowed, s.errands = map[flight]*allowed{}, map[flight]*errand{}
	s.held, s.warm = map[[32]byte]heldShare{}, map[id]map[[32]byte]bool{}
	s.rooms = map[mpc.RoomID]*taking{}
	s.ctx, s.stop = context.WithCancel(context.Background())
}

// ordered tells whether what is asked of an organization goes through the key
// group. Those that were founded before there was one stay as they are; one that
// is not known may be known to other members.
func (s *Service) ordered(organizationID string) bool {
	if s.order == nil {
		return false
	}
	oid, _ := parseID(organizationID)
	s.mu.RLock()
	defer s.mu.RUnlock()
	o := s.orgs[oid]
	return o == nil || o.group != nil
}

// mayBeBehind tells the refusals that an older state gives of what is there by now.
func (s *Service) mayBeBehind(err error) bool {
	e, ok := err.(*wire.Error)
	return ok && s.order != nil && (e.Code == wire.NotFound || e.Reason == "PUBLIC_KEY_NOT_FOUND")
}

// named refuses a founding body that does not name the quorum keys of all
// members: its founders meant others.
func (g *KeyGroup) named(body *foundingBody) error {
	for _, m := range g.members {
		found := false
		for _, text := range body.QuorumPublicKeys {
			found = found || isNode(text, m)
		}
		if !found {
			return bad("foundingBody.quorumPublicKeys does not name the quorum key of node %s, a member of this appliance's key group", m)
		}
	}
	return nil
}

// isNode tells whether a quorum key, uncompressed in hex, is that of a node.
func isNode(text string, node mpc.NodeID) bool {
	raw, err := hex.DecodeString(text)
	if err != nil {
		return false
	}
	if _, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), raw); err != nil {
		return false
	}
	return node[0] == 2|raw[64]&1 && bytes.Equal(node[1:], raw[1:33])
}
