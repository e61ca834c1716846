package node

import (
	"context"
	"errors"
)

// An attachmentEntry gives a policy to a user or to a key, or takes it away.
type attachmentEntry struct {
	User   *uid `cbor:"1,keyasint,omitempty"` // exactly one of User and Key
	Key    *uid `cbor:"2,keyasint,omitempty"`
	Policy *uid `cbor:"3,keyasint,omitempty"` // nil: none any more
}

// An attachment is the body of the four requests.
type attachment struct {
	PolicyID string `json:"policy_id"`
	UserID   string `json:"user_id"`
	KeyID    string `json:"key_id"`
}

func attachToUser(s *Service, ctx context.Context, c *call) (any, error) {
	return attach(s, ctx, c, true, true)
}

func attachToKey(s *Service, ctx context.Context, c *call) (any, error) {
	return attach(s, ctx, c, true, false)
}

func detachFromUser(s *Service, ctx context.Context, c *call) (any, error) {
	return attach(s, ctx, c, false, true)
}

func detachFromKey(s *Service, ctx context.Context, c *call) (any, error) {
	return attach(s, ctx, c, false, false)
}

func attach(s *Service, ctx context.Context, c *call, on, toUser bool) (any, error) {
	e, err := c.attachment(on, toUser)
	if err != nil {
		return nil, err
	}
	err = record(ctx, s, EntryAttachment, func(st *state) (attachmentEntry, error) {
		var has *policy
		if toUser {
			u := st.users.byID[*e.User]
			if u == nil {
				return e, noUser()
			}
			has = u.policy
		} else {
			k := st.keys.byID[*e.Key]
			if k == nil {
				return e, noKey()
			}
			has = k.policy
		}
		if on && st.policies.byID[*e.Policy] == nil {
			return e, noPolicy()
		}
		if !on && has == nil {
			return e, refuse(typeNoPolicy, "there is no policy to detach")
		}
		return e, nil
	})
	if err == nil {
		s.forget(func(k *key) bool {
			return e.Key != nil && k.id == *e.Key || e.User != nil && k.owner.id == *e.User
		})
	}
	return none{}, err
}

// attachment reads a request; detaching may name the policy, which says nothing.
func (c *call) attachment(on, toUser bool) (e attachmentEntry, err error) {
	var in attachment
	if err := c.read(&in); err != nil {
		return e, err
	}
	if on || in.PolicyID != "" {
		id, err := mustID("policy_id", in.PolicyID)
		if err != nil {
			return e, err
		}
		if on {
			e.Policy = &id
		}
	}
	field, text, other, to := "user_id", in.UserID, in.KeyID, &e.User
	if !toUser {
		field, text, other, to = "key_id", in.KeyID, in.UserID, &e.Key
	}
	if other != "" {
		return e, bad("body: only %s may be given here", field)
	}
	id, err := mustID(field, text)
	*to = &id
	return e, err
}

func applyAttachment(st *state, e *attachmentEntry, _ int64) error {
	var p *policy
	if e.Policy != nil {
		if p = st.policies.byID[*e.Policy]; p == nil {
			return errors.New("a policy that is not there was attached")
		}
	}
	switch {
	case e.User != nil:
		u := st.users.byID[*e.User]
		if u == nil {
			return errors.New("a policy was attached to no user")
		}
		u.setPolicy(p)
	case e.Key != nil:
		k := st.keys.byID[*e.Key]
		if k == nil {
			return errors.New("a policy was attached to no key")
		}
		k.setPolicy(p)
	}
	return nil
}

func (u *user) setPolicy(p *policy) {
	if u.policy != nil {
		u.policy.users--
	}
	u.policy = p
	if p != nil {
		p.users++
	}
}

// setPolicy also remembers the policy for the version of the key, so that a share
// that is taken back from a backup has it again.
func (k *key) setPolicy(p *policy) {
	if k.policy != nil {
		k.policy.keys--
	}
	k.policy = p
	if p != nil {
		p.keys++
	}
	if k.version != nil {
		k.version.policy = p
	}
}

type effectivePolicy struct {
	Attached string      `json:"attached,omitempty"`
	Policy   *policyView `json:"policy,omitempty"`
}

func getEffectivePolicy(s *Service, _ context.Context, c *call) (any, error) {
	id, err := mustID("key_id", c.query["key_id"])
	if err != nil {
		return nil, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	k := s.state.keys.byID[id]
	if k == nil {
		return nil, noKey()
	}
	p := k.effective()
	if p == nil {
		return effectivePolicy{}, nil
	}
	view, attached := p.view(), "key"
	if k.policy == nil {
		attached = "user_default"
	}
	return effectivePolicy{attached, &view}, nil
}

// forget drops the half-done signatures of keys: they were made under other rules.
func (s *Service) forget(of func(*key) bool) {
	var tags [][32]byte
	s.mu.RLock()
	for _, k := range s.state.keys.order {
		if k.share != nil && of(k) {
			tags = append(tags, k.share.tag)
		}
	}
	s.mu.RUnlock()
	for _, t := range tags {
		s.Runner.Forget(t)
	}
}
