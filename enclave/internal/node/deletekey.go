package node

import (
	"context"
	"errors"
	"slices"
)

// A keyDeletedEntry forgets a key. What this node knows of the key's version stays.
type keyDeletedEntry struct {
	ID uid `cbor:"1,keyasint"`
}

// deleteKey forgets this node's share. Its ciphertext stays with the host, and
// nothing in the journal's state leads to it any more.
func deleteKey(s *Service, ctx context.Context, c *call) (any, error) {
	h, err := s.hold(c, c.id)
	if err != nil {
		return nil, err
	}
	err = record(ctx, s, EntryKeyDeleted, func(st *state) (keyDeletedEntry, error) {
		if st.keys.byID[h.id] == nil {
			return keyDeletedEntry{}, noKey()
		}
		return keyDeletedEntry{h.id}, nil
	})
	if err == nil && h.share != nil {
		s.Runner.Forget(h.share.tag)
	}
	return none{}, err
}

func applyKeyDeleted(st *state, e *keyDeletedEntry, _ int64) error {
	k := st.keys.byID[e.ID]
	if k == nil {
		return errors.New("no such key")
	}
	if v := k.version; v != nil {
		v.keys = slices.DeleteFunc(v.keys, func(o *key) bool { return o == k })
		k.version = nil // keeps its policy
	}
	k.setPolicy(nil)
	k.owner.keys--
	delete(st.parties, k.party)
	st.keys.remove(e.ID)
	return nil
}
