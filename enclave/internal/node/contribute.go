package node

import (
	"context"
	"crypto/sha256"

	"github.com/sallyport/sallyport/enclave/internal/codec"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
)

// A contributionEntry records that this node is about to add what makes an
// operation succeed: its last message of a signature, or its share.
type contributionEntry struct {
	Key       uid      `cbor:"1,keyasint"`
	Operation string   `cbor:"2,keyasint"`
	Terms     [32]byte `cbor:"3,keyasint"` // SHA-256 of the terms
	Room      [16]byte `cbor:"4,keyasint"`
}

func applyContribution(*state, *contributionEntry, int64) error { return nil }

// contribution makes the function that records a contribution, durably. The key
// is judged again: it may have been exported or deleted since the call began.
func (s *Service) contribution(h *held, w mpc.Where, t mpc.Terms) func(context.Context) error {
	return func(ctx context.Context) error {
		return record(ctx, s, EntryContribution, func(st *state) (contributionEntry, error) {
			return contributionEntry{h.id, t.Operation, termsHash(t), w.Room}, st.stillUsable(h.id)
		})
	}
}

func (st *state) stillUsable(id uid) error {
	switch k := st.keys.byID[id]; {
	case k == nil || k.share == nil:
		return noKey()
	case k.version.superseded:
		return errSuperseded()
	case k.version.lineage.exported:
		return errExported()
	}
	return nil
}

func termsHash(t mpc.Terms) [32]byte {
	return sha256.Sum256(codec.Encode(struct {
		Operation string   `cbor:"1,keyasint"`
		Details   [][]byte `cbor:"2,keyasint"`
	}{t.Operation, t.Details}))
}
