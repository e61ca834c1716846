package node

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"

	"github.com/sallyport/sallyport/enclave/internal/mpc"
)

// refresh gives all parties fresh shares of the same key. The new version has an
// id of its own; the old one stays until it is deleted, but no backup of it is
// taken back any more.
func refresh(s *Service, ctx context.Context, c *call) (any, error) {
	var in struct {
		Key   string `json:"key_id" strict:"required"`
		Room  string `json:"room_uuid" strict:"required"`
		Relay string `json:"relay_address"`
	}
	if err := c.read(&in); err != nil {
		return nil, err
	}
	h, share, err := s.old(ctx, c, in.Key, "refresh", nil)
	if err != nil {
		return nil, err
	}
	defer share.Erase()
	n := len(share.Members)
	w, err := where(in.Room, in.Relay, n, n)
	if err != nil {
		return nil, err
	}
	id, err := newID(s.Rand)
	if err != nil {
		return nil, err
	}
	old := partiesOf(share.Members)
	var parties []mpc.PartyID
	for _, p := range old {
		parties = append(parties, refreshed(p, h.share.tag, w.Room))
	}
	self := refreshed(share.Self, h.share.tag, w.Room)
	slices.SortFunc(parties, mpc.PartyID.Compare)
	made, err := s.Runner.Reshare(ctx, &mpc.ReshareRequest{
		Where: w, Curve: h.curve, Public: share.Public, Old: share, OldParties: old, OldThreshold: share.Threshold,
		New: parties, NewSelf: &self, NewThreshold: share.Threshold,
		Terms: mpc.Terms{Operation: "refresh", Details: [][]byte{h.share.tag[:]}},
	})
	if err != nil {
		return nil, err
	}
	defer made.Erase()
	e := shareEntry{Key: id, Owner: c.user, Number: h.share.number + 1, Policy: h.policy, After: &h.share.tag}
	err = s.keep(ctx, e, made, func(st *state) error { return st.stillUsable(h.id) })
	return map[string]uid{"key_id": id}, err
}

// refreshed is the new id of a party: all know it without asking, and it is
// another in every room.
func refreshed(p mpc.PartyID, tag [32]byte, room mpc.RoomID) mpc.PartyID {
	h := sha256.New()
	h.Write([]byte("sallyport refreshed party v1\x00"))
	h.Write(tag[:])
	h.Write(room[:])
	h.Write([]byte(p.String()))
	return mpc.PartyID{Node: p.Node, Random: [16]byte(h.Sum(nil)[:16])}
}

// old finds a key that is to be moved, asks its rules, and loads its share.
func (s *Service) old(ctx context.Context, c *call, text, action string, more map[string]any) (*held, *mpc.Share, error) {
	h, err := s.holdReady(c, text)
	if err != nil {
		return nil, nil, err
	}
	if err := h.usable(); err != nil {
		return nil, nil, err
	}
	if err := s.sound(mpc.OpReshare, h.curve); err != nil {
		return nil, nil, err
	}
	request := map[string]any{"key_id": h.id, "pubkey": hex.EncodeToString(h.share.public)}
	for k, v := range more {
		request[k] = v
	}
	if err := s.ask(ctx, h, &question{action: action + "_" + c.scheme.name, request: request}); err != nil {
		return nil, nil, err
	}
	share, err := s.load(ctx, h)
	return h, share, err
}
