package node

import (
	"context"
	"encoding/hex"
	"errors"
	"slices"

	"github.com/sallyport/sallyport/enclave/internal/mpc"
)

type reshareBody struct {
	Key       string   `json:"key_id" strict:"required"`
	Parties   []string `json:"keygen_ids" strict:"required"` // of all new parties
	Threshold int      `json:"new_threshold" strict:"required"`
	Room      string   `json:"room_uuid" strict:"required"`
	Relay     string   `json:"relay_address"`
}

// A newPartyBody may name the old parties; without, whoever of the manifest's
// nodes comes with a share of the same key counts.
type newPartyBody struct {
	reshareBody
	Old          []string `json:"old_keygen_ids"`
	OldThreshold int      `json:"old_threshold"`
}

// A newKeyResult has an empty id for a party that leaves.
type newKeyResult struct {
	KeyID  string `json:"key_id"`
	PubKey string `json:"pubkey"`
}

// A committee is the new parties of a reshare.
type committee struct {
	where     mpc.Where
	parties   []mpc.PartyID // sorted
	threshold int
}

// committee reads the new parties; self, if not nil, belongs to them in any case.
func (in *reshareBody) committee(self *mpc.PartyID) (*committee, error) {
	parties, err := parseParties("keygen_ids", in.Parties)
	if err != nil {
		return nil, err
	}
	if self != nil && !slices.Contains(parties, *self) {
		parties = append(parties, *self)
	}
	slices.SortFunc(parties, mpc.PartyID.Compare)
	if err := checkSizes(len(parties), in.Threshold, "keygen_ids", "new_threshold"); err != nil {
		return nil, err
	}
	w, err := where(in.Room, in.Relay, len(parties), 2*mpc.MaxParties)
	return &committee{w, parties, in.Threshold}, err
}

func (m *committee) terms() mpc.Terms {
	return mpc.Terms{Operation: "reshare", Details: [][]byte{number(m.threshold), number(len(m.parties))}}
}

// reshareNew receives a share of an existing key, under an id from create.
func reshareNew(s *Service, ctx context.Context, c *call) (any, error) {
	var in newPartyBody
	if err := c.read(&in); err != nil {
		return nil, err
	}
	h, err := s.hold(c, in.Key)
	if err != nil {
		return nil, err
	}
	if h.share != nil {
		return nil, errKeygenDone()
	}
	m, err := in.committee(&h.party)
	if err != nil {
		return nil, err
	}
	old, err := parseParties("old_keygen_ids", in.Old)
	if err != nil {
		return nil, err
	}
	if in.OldThreshold != 0 && (in.OldThreshold < mpc.MinThreshold || len(old) > 0 && in.OldThreshold > len(old)) {
		return nil, refuse(typeSizes, "old_threshold: must be %d to the number of old_keygen_ids", mpc.MinThreshold)
	}
	if err := s.sound(mpc.OpReshare, h.curve); err != nil {
		return nil, err
	}
	if err := s.ask(ctx, h, &question{action: "reshare_" + c.scheme.name, request: m.request(h)}); err != nil {
		return nil, err
	}
	if err := s.begin(h.id); err != nil {
		return nil, err
	}
	defer s.end(h.id)
	share, err := s.Runner.Reshare(ctx, &mpc.ReshareRequest{
		Where: m.where, Curve: h.curve, OldParties: old, OldThreshold: in.OldThreshold,
		New: m.parties, NewSelf: &h.party, NewThreshold: m.threshold, Terms: m.terms(),
	})
	if err != nil {
		return nil, err
	}
	if err := s.keepMember(ctx, c, m, h, shareEntry{Number: 1}, share); err != nil {
		return nil, err
	}
	return newKeyResult{h.id.String(), hex.EncodeToString(share.Public)}, nil
}

func (m *committee) request(h *held) map[string]any {
	return map[string]any{"key_id": h.id, "keygen_ids": textsOf(m.parties), "new_threshold": m.threshold}
}

func textsOf(parties []mpc.PartyID) (out []string) {
	for _, p := range parties {
		out = append(out, p.String())
	}
	return out
}

// keepMember records the share of a new member, and wipes it.
func (s *Service) keepMember(ctx context.Context, c *call, m *committee, h *held, e shareEntry, share *mpc.Share) error {
	defer share.Erase()
	if share.Self != h.party || share.Threshold != m.threshold || !slices.Equal(partiesOf(share.Members), m.parties) {
		return errors.New("internal error: a share of another key than was asked for")
	}
	e.Key, e.Owner = h.id, c.user
	return s.keep(ctx, e, share, func(st *state) error { return st.stillCreated(h.id) })
}

// reshareExisting gives an existing key to new parties, of which this node may
// be one: then the id of its new share is among keygen_ids, from create.
func reshareExisting(s *Service, ctx context.Context, c *call) (any, error) {
	var in reshareBody
	if err := c.read(&in); err != nil {
		return nil, err
	}
	m, err := in.committee(nil)
	if err != nil {
		return nil, err
	}
	stays, err := s.ownIn(c, m)
	if err != nil {
		return nil, err
	}
	h, share, err := s.old(ctx, c, in.Key, "reshare", map[string]any{"keygen_ids": textsOf(m.parties), "new_threshold": m.threshold})
	if err != nil {
		return nil, err
	}
	defer share.Erase()
	q := &mpc.ReshareRequest{
		Where: m.where, Curve: h.curve, Public: share.Public, Old: share, OldParties: partiesOf(share.Members), OldThreshold: share.Threshold,
		New: m.parties, NewThreshold: m.threshold, Terms: m.terms(),
	}
	if stays != nil {
		q.NewSelf = &stays.party
		if err := s.begin(stays.id); err != nil {
			return nil, err
		}
		defer s.end(stays.id)
	}
	made, err := s.Runner.Reshare(ctx, q)
	if err != nil {
		return nil, err
	}
	out := newKeyResult{PubKey: hex.EncodeToString(share.Public)}
	if stays != nil {
		out.KeyID = stays.id.String()
		e := shareEntry{Number: h.share.number + 1, Policy: h.policy, After: &h.share.tag}
		if err := s.keepMember(ctx, c, m, stays, e, made); err != nil {
			return nil, err
		}
	}
	return out, s.retire(ctx, h, m)
}

// ownIn finds the caller's created key among the new parties, if there is one.
func (s *Service) ownIn(c *call, m *committee) (*held, error) {
	var own *held
	for _, p := range m.parties {
		if p.Node != s.Self {
			continue
		}
		s.mu.RLock()
		k := s.state.parties[p]
		s.mu.RUnlock()
		if k == nil || k.owner.id != c.user {
			continue
		}
		h, err := s.hold(c, k.id.String())
		if err != nil {
			return nil, err
		}
		if h.share != nil {
			return nil, bad("keygen_ids: %s is of a key that was generated already; create another one", p)
		}
		if own != nil {
			return nil, bad("keygen_ids: has two ids of this caller")
		}
		own = h
	}
	return own, nil
}
