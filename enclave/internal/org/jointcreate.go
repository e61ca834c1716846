package org

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"slices"
	"time"

	"github.com/sallyport/sallyport/enclave/internal/keys"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
	"github.com/sallyport/sallyport/enclave/wire"
)

// maxJointKeys bounds one request to a key group: making a key takes all members
// seconds.
const maxJointKeys = 10

// checkJoint refuses keys that a key group does not make.
func (g *KeyGroup) checkJoint(in *createKeysIntent) error {
	if g == nil {
		return nil
	}
	if n := len(in.PrivateKeys); n > maxJointKeys {
		return bad("bad request body: parameters.privateKeys must hold 1 to %d keys of a key group, not %d", maxJointKeys, n)
	}
	for i := range in.PrivateKeys {
		if err := g.Check(mpc.OpKeygen, in.PrivateKeys[i].curve); err != nil {
			return bad("parameters.privateKeys[%d].curve: the members of a key group do not make such keys: %v", i, err)
		}
	}
	return nil
}

// jointlyCreate makes keys with all members. A key counts once every one of them
// has its share durably.
func jointlyCreate(ctx context.Context, s *Service, t task, in *createKeysIntent, _ struct{}) (createKeysResult, error) {
	var out createKeysResult
	t.Operation = opCreate
	for t.Index = range in.PrivateKeys {
		y, err := s.together(ctx, t)
		if err != nil {
			return out, err
		}
		if err := s.allHold(ctx, y.share.KeyTag()); err != nil {
			return out, err
		}
		out.Keys = append(out.Keys, createdKey{
			Public: y.share.Public, Threshold: y.share.Threshold, Shares: [][32]byte{}, Joint: jointOf(y.share),
		})
	}
	return out, nil
}

// makeShare is this member's part in making a key.
func (s *Service) makeShare(ctx context.Context, p *part, where mpc.Where, terms mpc.Terms) (*mpc.Share, error) {
	ctx, cancel := context.WithTimeout(ctx, mpc.JoinTimeout+mpc.KeygenTimeout)
	defer cancel()
	parties, self := s.Group.parties(where.Room)
	share, err := s.Group.Runner.Keygen(ctx, &mpc.KeygenRequest{
		Where: where, Curve: p.curve, Self: self, Parties: parties, Threshold: s.Group.threshold, Terms: terms,
	})
	if err != nil {
		return nil, err
	}
	defer share.Erase()
	if err := checkShare(share, s.Group, parties, self); err != nil {
		return nil, err
	}
	return share, s.keepShare(ctx, p, share)
}

// checkShare looks at what the runner made: a share that does not belong to its
// public share would be found only when it is needed.
func checkShare(share *mpc.Share, g *KeyGroup, parties []mpc.PartyID, self mpc.PartyID) error {
	at := share.Member(self)
	if at < 0 || share.Self != self || share.Threshold != g.threshold || len(share.Members) != len(parties) || len(share.ChainCode) != 32 {
		return errors.New("internal error: the new share is not what was asked for")
	}
	for i, m := range share.Members {
		if m.Party != parties[i] {
			return errors.New("internal error: the new share is not what was asked for")
		}
	}
	public, err := keys.ScalarPublic(share.Curve, share.Secret)
	if err != nil || !bytes.Equal(public, share.Members[at].Public) {
		return errors.New("internal error: the new share does not belong to its public share")
	}
	return nil
}

// parties are the party ids of all members, sorted, and this node's own: new ones in
// each room, and the same for all who are in it.
func (g *KeyGroup) parties(room mpc.RoomID) (all []mpc.PartyID, self mpc.PartyID) {
	for _, n := range g.members {
		sum := sha256.Sum256(slices.Concat([]byte("sallyport key group party v1\x00"), room[:], n[:]))
		p := mpc.PartyID{Node: n, Random: [16]byte(sum[:])}
		all = append(all, p)
		if n == g.self {
			self = p
		}
	}
	slices.SortFunc(all, mpc.PartyID.Compare)
	return all, self
}

// allHold waits until every other member has its share of a new key.
func (s *Service) allHold(ctx context.Context, tag [32]byte) error {
	ctx, cancel := context.WithTimeout(ctx, 2*keepTime)
	defer cancel()
	for _, n := range s.Group.members {
		for n != s.Group.self {
			a, err := callMember[heldAnswer](ctx, s, n, methodHeld, heldCall{tag})
			if err == nil && a.Held {
				break
			}
			select {
			case <-ctx.Done():
				return wire.Errorf(wire.Unavailable, "", "node %s has not kept its share of the new key; repeat the same request", n)
			case <-time.After(askAgain / 5):
			}
		}
	}
	return nil
}

// verifyCreated judges new keys: made of all members, with the group's threshold.
func verifyCreated(o *organization, _ mpc.NodeID, in *createKeysIntent, _ struct{}, r createKeysResult) error {
	if len(r.Keys) != len(in.PrivateKeys) {
		return bad("result: has %d keys for %d", len(r.Keys), len(in.PrivateKeys))
	}
	for i := range r.Keys {
		if err := o.group.verifyKey(in.PrivateKeys[i].curve, &r.Keys[i]); err != nil {
			return bad("result: keys[%d]: %v", i, err)
		}
	}
	return nil
}

func (g *KeyGroup) verifyKey(curve keys.Curve, k *createdKey) error {
	if k.Joint == nil || len(k.Shares) != 0 || k.Threshold != g.threshold || len(k.Joint.ChainCode) != 32 {
		return errors.New("is no key of this key group")
	}
	if err := checkPublic(curve, k.Public); err != nil {
		return err
	}
	share, err := k.Joint.share(curve, k.Threshold, k.Public)
	if err != nil {
		return err
	}
	if len(share.Members) != len(g.members) {
		return errors.New("is not of all members")
	}
	for i, m := range share.Members {
		if m.Party.Node != g.members[i] {
			return errors.New("is not of all members in order")
		}
		if err := checkPublic(curve, m.Public); err != nil {
			return err
		}
	}
	return nil
}

func checkPublic(curve keys.Curve, public []byte) error {
	if curve == keys.Ed25519 {
		if len(public) != 32 || !onEdwards(public) || smallOrder(public) {
			return errors.New("public key: is not on the curve")
		}
		return nil
	}
	_, err := keys.Uncompress(curve, public)
	return err
}

// tagOf is the tag of a key of the group; nil for a local one.
func (k *createdKey) tagOf(curve keys.Curve) *[32]byte {
	if k.Joint == nil {
		return nil
	}
	share, err := k.Joint.share(curve, k.Threshold, k.Public)
	if err != nil {
		return nil // verifyKey has asked
	}
	tag := share.KeyTag()
	return &tag
}
