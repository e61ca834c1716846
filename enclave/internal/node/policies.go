package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// A policyEntry makes a policy, changes its rules, or deletes it.
type policyEntry struct {
	ID      uid    `cbor:"1,keyasint"`
	Name    string `cbor:"2,keyasint,omitempty"`
	Rules   []uid  `cbor:"3,keyasint,omitempty"`
	Deleted bool   `cbor:"4,keyasint,omitempty"`
}

// maxRules bounds the rules of a policy: each is asked for every signature.
const maxRules = 16

func createPolicy(s *Service, ctx context.Context, c *call) (any, error) {
	var in struct {
		Name  string   `json:"name" strict:"required"`
		Rules []string `json:"rules" strict:"required"`
	}
	if err := c.read(&in); err != nil {
		return nil, err
	}
	if err := checkName("name", in.Name); err != nil {
		return nil, err
	}
	if len(in.Rules) > maxRules {
		return nil, bad("rules: must be at most %d", maxRules)
	}
	e := policyEntry{Name: in.Name}
	for i, text := range in.Rules {
		id, err := mustID(fmt.Sprintf("rules[%d]", i), text)
		if err != nil {
			return nil, err
		}
		if slices.Contains(e.Rules, id) {
			return nil, bad("rules[%d]: stands there twice", i)
		}
		e.Rules = append(e.Rules, id)
	}
	var err error
	if e.ID, err = newID(s.Rand); err != nil {
		return nil, err
	}
	err = record(ctx, s, EntryPolicy, func(st *state) (policyEntry, error) {
		for _, p := range st.policies.order {
			if p.name == e.Name {
				return e, refuse(typeUnique, "name: another policy has it")
			}
		}
		for i, id := range e.Rules {
			if st.rules.byID[id] == nil {
				return e, refuse(typeNoRule, "rules[%d]: there is no such rule", i)
			}
		}
		if len(st.policies.order) >= maxThings {
			return e, bad("there are %d policies, which is the most", maxThings)
		}
		return e, nil
	})
	return map[string]uid{"policy_id": e.ID}, err
}

func noPolicy() error { return refuse(typeNoPolicy, "policy_id: there is no such policy") }

func applyPolicy(st *state, e *policyEntry, _ int64) error {
	p := st.policies.byID[e.ID]
	if e.Deleted {
		if p == nil {
			return errors.New("no such policy")
		}
		p.setRules(nil)
		for _, v := range st.versions {
			if v.policy == p {
				v.policy = nil
			}
		}
		st.policies.remove(e.ID)
		return nil
	}
	if p == nil {
		p = &policy{id: e.ID}
		st.policies.add(e.ID, p)
	}
	p.name = e.Name
	var rules []*rule
	for _, id := range e.Rules {
		r := st.rules.byID[id]
		if r == nil {
			return errors.New("a policy with a rule that is not there")
		}
		rules = append(rules, r)
	}
	p.setRules(rules)
	return nil
}

// setRules keeps the counts of where rules are used.
func (p *policy) setRules(rules []*rule) {
	for _, r := range p.rules {
		r.policies--
	}
	p.rules = rules
	for _, r := range rules {
		r.policies++
	}
}

// A policyAndRule is the body of two requests.
type policyAndRule struct {
	PolicyID string `json:"policy_id" strict:"required"`
	RuleID   string `json:"rule_id" strict:"required"`
}

func addRuleToPolicy(s *Service, ctx context.Context, c *call) (any, error) {
	return changeRules(s, ctx, c, func(p *policy, r *rule) ([]*rule, error) {
		switch {
		case slices.Contains(p.rules, r):
			return nil, refuse(typeUnique, "rule_id: the policy has the rule already")
		case len(p.rules) >= maxRules:
			return nil, bad("policy_id: the policy has %d rules, which is the most", maxRules)
		}
		return append(slices.Clone(p.rules), r), nil
	})
}

func removeRuleFromPolicy(s *Service, ctx context.Context, c *call) (any, error) {
	return changeRules(s, ctx, c, func(p *policy, r *rule) ([]*rule, error) {
		at := slices.Index(p.rules, r)
		if at < 0 {
			return nil, refuse(typeRuleNotThere, "rule_id: the policy does not have the rule")
		}
		return slices.Delete(slices.Clone(p.rules), at, at+1), nil
	})
}

func changeRules(s *Service, ctx context.Context, c *call, change func(*policy, *rule) ([]*rule, error)) (any, error) {
	var in policyAndRule
	if err := c.read(&in); err != nil {
		return nil, err
	}
	pid, err := mustID("policy_id", in.PolicyID)
	if err != nil {
		return nil, err
	}
	rid, err := mustID("rule_id", in.RuleID)
	if err != nil {
		return nil, err
	}
	err = record(ctx, s, EntryPolicy, func(st *state) (e policyEntry, err error) {
		p, r := st.policies.byID[pid], st.rules.byID[rid]
		if p == nil {
			return e, noPolicy()
		}
		if r == nil {
			return e, noRule()
		}
		rules, err := change(p, r)
		e = policyEntry{ID: pid, Name: p.name}
		for _, r := range rules {
			e.Rules = append(e.Rules, r.id)
		}
		return e, err
	})
	if err == nil {
		s.forget(func(k *key) bool { p := k.effective(); return p != nil && p.id == pid })
	}
	return none{}, err
}

func deletePolicy(s *Service, ctx context.Context, c *call) (any, error) {
	var in struct {
		ID string `json:"policy_id" strict:"required"`
	}
	if err := c.read(&in); err != nil {
		return nil, err
	}
	id, err := mustID("policy_id", in.ID)
	if err != nil {
		return nil, err
	}
	err = record(ctx, s, EntryPolicy, func(st *state) (e policyEntry, err error) {
		p := st.policies.byID[id]
		switch {
		case p == nil:
			return e, noPolicy()
		case p.users > 0:
			return e, refuse(typePolicyOfUsers, "policy_id: it is the policy of %d users; detach it first", p.users)
		case p.keys > 0:
			return e, refuse(typePolicyOfKeys, "policy_id: it is the policy of %d keys; detach it first", p.keys)
		}
		return policyEntry{ID: id, Deleted: true}, nil
	})
	return none{}, err
}

type policyView struct {
	PolicyID uid        `json:"policy_id"`
	Name     string     `json:"name"`
	Rules    []ruleView `json:"rules"`
}

func (p *policy) view() policyView {
	v := policyView{p.id, p.name, []ruleView{}}
	for _, r := range p.rules {
		v.Rules = append(v.Rules, r.view())
	}
	return v
}

func listPolicies(s *Service, _ context.Context, _ *call) (any, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := []policyView{}
	for _, p := range s.state.policies.order {
		out = append(out, p.view())
	}
	return map[string]any{"policies": out}, nil
}
