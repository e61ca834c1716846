package node

import (
	"github.com/sallyport/sallyport/enclave/internal/keys"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
	"github.com/sallyport/sallyport/enclave/wire"
)

// A held is what an operation knows of a key when it begins.
type held struct {
	id     uid
	curve  keys.Curve
	party  mpc.PartyID
	share  *shareInfo // nil before keygen; never changes once set
	policy *uid       // its own
	rules  []rule     // of the policy that it is used under

	exported, outdated, superseded bool // of its version
}

// hold finds a key of the caller. Keys of others, and of other schemes, do not exist.
func (s *Service) hold(c *call, text string) (*held, error) {
	id, ok := parseID(text)
	s.mu.RLock()
	defer s.mu.RUnlock()
	k := s.state.keys.byID[id]
	if !ok || k == nil || k.owner.id != c.user || k.curve != c.scheme.curve {
		return nil, noKey()
	}
	h := &held{id: id, curve: k.curve, party: k.party, share: k.share}
	if v := k.version; v != nil {
		h.exported, h.outdated, h.superseded = v.lineage.exported, v.outdated, v.superseded
	}
	if k.policy != nil {
		h.policy = &k.policy.id
	}
	h.rules = k.effective().copies()
	return h, nil
}

// copies are the rules as they are now.
func (p *policy) copies() (out []rule) {
	if p != nil {
		for _, r := range p.rules {
			out = append(out, *r)
		}
	}
	return out
}

// holdReady also wants the share to be there, and its version not to be retired.
func (s *Service) holdReady(c *call, text string) (*held, error) {
	h, err := s.hold(c, text)
	if err != nil {
		return nil, err
	}
	if h.share == nil {
		return nil, refuse(typeKeygenMissing, "key_id: the key was created but not generated: call keygen first")
	}
	if h.superseded {
		return nil, errSuperseded()
	}
	return h, nil
}

func errSuperseded() *wire.Error {
	return refuse(typePolicy, "key_id: the key was reshared, and this version of it is not opened any more")
}

func errExported() *wire.Error {
	return refuse(typePolicy, "key_id: the key was exported, and is not used any more but for exports")
}

// usable refuses what must not be done any more with an exported key.
func (h *held) usable() error {
	if h.exported {
		return errExported()
	}
	return nil
}
