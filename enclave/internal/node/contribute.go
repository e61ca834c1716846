package node

import (
	"context"
	"crypto/sha256"
	"errors"
	"sync/atomic"

	"github.com/sallyport/sallyport/enclave/internal/codec"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
	"github.com/sallyport/sallyport/enclave/wire"
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

// A gate is passed before a contribution leaves. It keeps its own refusal, which
// says more to this node's caller than what the protocol makes of it.
type gate struct {
	pass    func(context.Context) error
	refused atomic.Pointer[wire.Error]
}

// open is what a runner calls. Other parties learn that this one has refused.
func (g *gate) open(ctx context.Context) error {
	err := g.pass(ctx)
	if e, ok := errors.AsType[*wire.Error](err); ok {
		g.refused.Store(e)
		return mpc.Failf(mpc.CauseRefused, nil, "%s", e.Message)
	}
	return err
}

// or returns how the operation ended for this node's caller.
func (g *gate) or(err error) error {
	if e := g.refused.Load(); e != nil && err != nil {
		return e
	}
	return err
}

// contribution makes the gate that records a contribution, durably. The key is
// judged again: it may have been exported or deleted since the call began.
func (s *Service) contribution(h *held, w mpc.Where, t mpc.Terms) *gate {
	return &gate{pass: func(ctx context.Context) error {
		return record(ctx, s, EntryContribution, func(st *state) (contributionEntry, error) {
			return contributionEntry{h.id, t.Operation, termsHash(t), w.Room}, st.stillUsable(h.id)
		})
	}}
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
