package node

import (
	"context"
	"encoding/hex"
	"errors"
	"io"

	"github.com/sallyport/sallyport/enclave/internal/keys"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
)

// A createdEntry begins a key: its id, and the party that this node will be.
type createdEntry struct {
	ID    uid    `cbor:"1,keyasint"`
	Owner uid    `cbor:"2,keyasint"`
	Curve uint8  `cbor:"3,keyasint"`
	Party string `cbor:"4,keyasint"`
}

type createResult struct {
	KeyID    uid    `json:"key_id"`
	KeygenID string `json:"keygen_id"`
}

func create(s *Service, ctx context.Context, c *call) (any, error) {
	if err := c.empty(); err != nil {
		return nil, err
	}
	id, err := newID(s.Rand)
	if err != nil {
		return nil, err
	}
	party := mpc.PartyID{Node: s.Self}
	if _, err := io.ReadFull(s.Rand, party.Random[:]); err != nil {
		return nil, err
	}
	err = record(ctx, s, EntryCreated, func(st *state) (e createdEntry, err error) {
		if st.users.byID[c.user] == nil {
			return e, denied("AUTHORIZATION: no such API key")
		}
		return createdEntry{id, c.user, uint8(c.scheme.curve), party.String()}, nil
	})
	return createResult{id, party.String()}, err
}

func applyCreated(st *state, e *createdEntry, _ int64) error {
	party, err := mpc.ParsePartyID(e.Party)
	owner := st.users.byID[e.Owner]
	if err != nil || owner == nil {
		return errors.New("a key of no user or party")
	}
	st.addKey(&key{id: e.ID, owner: owner, curve: keys.Curve(e.Curve), party: party})
	return nil
}

type keyView struct {
	KeyID      uid    `json:"key_id"`
	KeygenID   string `json:"keygen_id"`
	PubKey     string `json:"pubkey,omitempty"`
	NumParties int    `json:"num_parties,omitempty"`
	Threshold  int    `json:"threshold,omitempty"`
	// Additions.
	State string `json:"state"` // created, ready, exported or superseded
}

func (k *key) view() keyView {
	v := keyView{KeyID: k.id, KeygenID: k.party.String(), State: "created"}
	if k.share == nil {
		return v
	}
	v.PubKey, v.NumParties, v.Threshold = hex.EncodeToString(k.share.public), len(k.share.members), k.share.threshold
	switch {
	case k.version.superseded:
		v.State = "superseded"
	case k.version.lineage.exported:
		v.State = "exported"
	default:
		v.State = "ready"
	}
	return v
}

func listKeys(s *Service, _ context.Context, c *call) (any, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := []keyView{}
	for _, k := range s.state.keys.order {
		if k.owner.id == c.user && k.curve == c.scheme.curve {
			out = append(out, k.view())
		}
	}
	return map[string]any{"keys": out}, nil
}
