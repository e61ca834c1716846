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

// An exportedEntry marks a version of a key as exported, for good. It is made by
// each member before shares move, for itself or because another has asked.
type exportedEntry struct {
	Tag   [32]byte  `cbor:"1,keyasint"`
	By    string    `cbor:"2,keyasint,omitempty"` // the node that asked, hex; "" for this one
	Key   *uid      `cbor:"3,keyasint,omitempty"` // when this node contributes
	Terms *[32]byte `cbor:"4,keyasint,omitempty"`
	Room  *[16]byte `cbor:"5,keyasint,omitempty"`
}

func applyExported(st *state, e *exportedEntry, _ int64) error {
	st.versionOf(e.Tag).lineage.exported = true
	return nil
}

const (
	methodMarkExported = "node/mark-exported"

	// callTimeout bounds the wait for the other members.
	callTimeout = 15 * time.Second
)

// markBody asks a member to mark a version; markAnswer says for which parties it has.
type (
	markBody struct {
		Tag [32]byte `cbor:"1,keyasint"`
	}
	markAnswer struct {
		Parties []string `cbor:"1,keyasint"`
	}
)

// markForOther answers a member that is about to export.
func (s *Service) markForOther(ctx context.Context, from mpc.NodeID, body []byte) ([]byte, error) {
	var in markBody
	if err := codec.Decode(body, &in); err != nil {
		return nil, wire.Errorf(wire.InvalidArgument, "", "the call is not well formed")
	}
	var mine []mpc.PartyID
	err := record(ctx, s, EntryExported, func(st *state) (exportedEntry, error) {
		v := st.versions[in.Tag]
		if v == nil || !slices.ContainsFunc(v.members, func(m mpc.Member) bool { return m.Party.Node == from }) {
			return exportedEntry{}, wire.Errorf(wire.NotFound, "", "this node has no such key, or not with the caller")
		}
		mine = slices.Clone(v.mine)
		return exportedEntry{Tag: in.Tag, By: from.String()}, nil
	})
	if err != nil {
		return nil, err
	}
	s.Runner.Forget(in.Tag)
	out := markAnswer{Parties: []string{}}
	for _, p := range mine {
		out.Parties = append(out.Parties, p.String())
	}
	return codec.Encode(out), nil
}

// markEverywhere makes the gate that records this node's contribution to an
// export, and has the key marked on all members. With fewer than n-t+1 marked,
// a threshold of others could go on signing as if nothing had left.
func (s *Service) markEverywhere(h *held, w mpc.Where, t mpc.Terms) *gate {
	return &gate{pass: func(ctx context.Context) error {
		terms, room := termsHash(t), [16]byte(w.Room)
		var mine []mpc.PartyID
		err := record(ctx, s, EntryExported, func(st *state) (exportedEntry, error) {
			switch k := st.keys.byID[h.id]; {
			case k == nil || k.share == nil:
				return exportedEntry{}, noKey()
			case k.version.superseded:
				return exportedEntry{}, errSuperseded()
			}
			mine = slices.Clone(st.versionOf(h.share.tag).mine)
			return exportedEntry{Tag: h.share.tag, Key: &h.id, Terms: &terms, Room: &room}, nil
		})
		if err != nil {
			return err
		}
		s.Runner.Forget(h.share.tag)
		marked := append(mine, s.markOthers(ctx, h.share)...)
		need := len(h.share.members) - h.share.threshold + 1
		if len(marked) < need {
			var missing []mpc.PartyID
			for _, m := range h.share.members {
				if !slices.Contains(marked, m.Party) {
					missing = append(missing, m.Party)
				}
			}
			return mpc.Failf(mpc.CauseAcks, missing, "%d members have marked the key as exported and %d are needed before a share moves", len(marked), need)
		}
		return nil
	}}
}

// markOthers asks the other members' nodes, and returns the parties for which
// they have marked the key.
func (s *Service) markOthers(ctx context.Context, share *shareInfo) (marked []mpc.PartyID) {
	body := codec.Encode(markBody{share.tag})
	var mu sync.Mutex
	s.callMembers(ctx, share.members, methodMarkExported, body, func(node mpc.NodeID, answer []byte) {
		var a markAnswer
		if codec.Decode(answer, &a) != nil {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		for _, m := range share.members {
			if m.Party.Node == node && slices.Contains(a.Parties, m.Party.String()) {
				marked = append(marked, m.Party)
			}
		}
	})
	return marked
}

// callMembers asks all nodes of these members but this one, at the same time.
func (s *Service) callMembers(ctx context.Context, members []mpc.Member, method string, body []byte, got func(mpc.NodeID, []byte)) {
	if s.Caller == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	asked := map[mpc.NodeID]bool{s.Self: true}
	var all sync.WaitGroup
	for _, m := range members {
		node := m.Party.Node
		if asked[node] {
			continue
		}
		asked[node] = true
		all.Go(func() {
			answer, err := s.Caller.Call(ctx, node, method, body)
			if err != nil {
				s.Log.Warn("node API: asking a member", "node", node.String(), "method", method, "error", err.Error())
				return
			}
			got(node, answer)
		})
	}
	all.Wait()
}
