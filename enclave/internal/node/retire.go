package node

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/sallyport/sallyport/enclave/internal/codec"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
	"github.com/sallyport/sallyport/enclave/wire"
)

// A retiredEntry says that this image does not open the shares of a version any
// more. That the ciphertext is gone from every disk cannot be shown.
type retiredEntry struct {
	Tag [32]byte `cbor:"1,keyasint"`
}

func applyRetired(st *state, e *retiredEntry, _ int64) error {
	st.versionOf(e.Tag).superseded = true
	return nil
}

const methodHolds = "node/holds"

// A partyList is what a node is asked whether it holds, and what it does hold.
type partyList struct {
	Parties []string `cbor:"1,keyasint"`
}

// holdsForOther tells for which parties this node has a share, durably.
func (s *Service) holdsForOther(ctx context.Context, _ mpc.NodeID, body []byte) ([]byte, error) {
	var in partyList
	if err := codec.Decode(body, &in); err != nil || len(in.Parties) > mpc.MaxParties {
		return nil, wire.Errorf(wire.InvalidArgument, "", "the call is not well formed")
	}
	held := s.holds(in.Parties)
	if err := s.durable(ctx); err != nil {
		return nil, err
	}
	return codec.Encode(partyList{held}), nil
}

func (s *Service) holds(parties []string) []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := []string{}
	for _, text := range parties {
		p, err := mpc.ParsePartyID(text)
		if err != nil {
			continue
		}
		if k := s.state.parties[p]; k != nil && k.share != nil {
			out = append(out, text)
		}
	}
	return out
}

// Waits for the new members to have their shares on disk.
const (
	holdersTimeout = 20 * time.Second
	holdersPause   = 200 * time.Millisecond
)

// retire closes the old version, once enough new members hold the new one that
// the key cannot be lost between the two.
func (s *Service) retire(ctx context.Context, h *held, m *committee) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keepTime)
	defer cancel()
	held := s.holders(ctx, m)
	if len(held) < m.threshold {
		var missing []mpc.PartyID
		for _, p := range m.parties {
			if !slices.Contains(held, p.String()) {
				missing = append(missing, p)
			}
		}
		return mpc.Failf(mpc.CauseAcks, missing, "%d new members have recorded their shares and %d are needed before the old ones are closed; "+
			"both versions stay open", len(held), m.threshold)
	}
	err := record(ctx, s, EntryRetired, func(*state) (retiredEntry, error) { return retiredEntry{h.share.tag}, nil })
	if err == nil {
		s.Runner.Forget(h.share.tag)
	}
	return err
}

// holders asks until all new members hold their shares, or time is up.
func (s *Service) holders(ctx context.Context, m *committee) (held []string) {
	deadline := time.Now().Add(s.holderWait)
	var members []mpc.Member
	for _, p := range m.parties {
		members = append(members, mpc.Member{Party: p})
	}
	texts := textsOf(m.parties)
	body := codec.Encode(partyList{texts})
	for {
		held = s.holds(texts)
		var mu sync.Mutex
		s.callMembers(ctx, members, methodHolds, body, func(node mpc.NodeID, answer []byte) {
			var a partyList
			if codec.Decode(answer, &a) != nil {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			for _, p := range m.parties {
				if p.Node == node && slices.Contains(a.Parties, p.String()) {
					held = append(held, p.String())
				}
			}
		})
		if len(held) == len(texts) || time.Now().After(deadline) {
			return held
		}
		select {
		case <-ctx.Done():
			return held
		case <-s.ctx.Done():
			return held
		case <-time.After(holdersPause):
		}
	}
}
