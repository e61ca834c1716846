package node

import (
	"context"
	"errors"
	"net/url"
)

// A ruleEntry makes or deletes a rule.
type ruleEntry struct {
	ID      uid    `cbor:"1,keyasint"`
	Name    string `cbor:"2,keyasint,omitempty"`
	Alg     string `cbor:"3,keyasint,omitempty"`
	URL     string `cbor:"4,keyasint,omitempty"`
	PubKey  string `cbor:"5,keyasint,omitempty"` // PEM
	Deleted bool   `cbor:"6,keyasint,omitempty"`
}

const (
	maxURL    = 2048
	maxPEM    = 4096
	maxThings = 10_000 // rules, and policies
)

func addExternalRule(s *Service, ctx context.Context, c *call) (any, error) {
	var in struct {
		Alg    string `json:"jwt_alg" strict:"required"`
		Name   string `json:"name" strict:"required"`
		PubKey string `json:"pubkey" strict:"required"`
		URL    string `json:"url" strict:"required"`
	}
	if err := c.read(&in); err != nil {
		return nil, err
	}
	if err := checkName("name", in.Name); err != nil {
		return nil, err
	}
	if err := s.checkURL(in.URL); err != nil {
		return nil, err
	}
	if _, err := parseRuleKey(in.Alg, in.PubKey); err != nil {
		return nil, err
	}
	id, err := newID(s.Rand)
	if err != nil {
		return nil, err
	}
	err = record(ctx, s, EntryRule, func(st *state) (e ruleEntry, err error) {
		for _, r := range st.rules.order {
			if r.name == in.Name {
				return e, refuse(typeUnique, "name: another rule has it")
			}
		}
		if len(st.rules.order) >= maxThings {
			return e, bad("there are %d rules, which is the most", maxThings)
		}
		return ruleEntry{ID: id, Name: in.Name, Alg: in.Alg, URL: in.URL, PubKey: in.PubKey}, nil
	})
	return map[string]uid{"rule_id": id}, err
}

// checkURL wants an address that a host can ask: what a rule server is told is
// for it alone.
func (s *Service) checkURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case len(text) > maxURL:
		return bad("url: must have at most %d bytes", maxURL)
	case err != nil || u.Host == "" || u.User != nil || u.Fragment != "":
		return bad("url: must be an absolute URL without user and fragment")
	case u.Scheme != "https" && (u.Scheme != "http" || !s.Rules.PlainRuleServers):
		return bad("url: must begin with https://")
	}
	for i := range len(text) {
		if text[i] <= ' ' || text[i] > '~' {
			return bad("url: must be printable ASCII")
		}
	}
	return nil
}

func deleteRule(s *Service, ctx context.Context, c *call) (any, error) {
	var in struct {
		ID string `json:"rule_id" strict:"required"`
	}
	if err := c.read(&in); err != nil {
		return nil, err
	}
	id, err := mustID("rule_id", in.ID)
	if err != nil {
		return nil, err
	}
	err = record(ctx, s, EntryRule, func(st *state) (e ruleEntry, err error) {
		r := st.rules.byID[id]
		switch {
		case r == nil:
			return e, noRule()
		case r.policies > 0:
			return e, refuse(typeRuleUsed, "rule_id: %d policies have the rule; remove it there first", r.policies)
		}
		return ruleEntry{ID: id, Deleted: true}, nil
	})
	return none{}, err
}

func noRule() error { return refuse(typeNoRule, "rule_id: there is no such rule") }

func applyRule(st *state, e *ruleEntry, _ int64) error {
	if e.Deleted {
		if st.rules.byID[e.ID] == nil {
			return errors.New("no such rule")
		}
		st.rules.remove(e.ID)
		return nil
	}
	st.rules.add(e.ID, &rule{id: e.ID, name: e.Name, alg: e.Alg, url: e.URL, pubkey: e.PubKey})
	return nil
}

type ruleView struct {
	RuleID uid    `json:"rule_id"`
	Name   string `json:"name"`
	Type   string `json:"type"`
	URL    string `json:"url"`
	PubKey string `json:"pubkey"`
	Alg    string `json:"jwt_alg"`
}

func (r *rule) view() ruleView { return ruleView{r.id, r.name, "External", r.url, r.pubkey, r.alg} }

func listRules(s *Service, _ context.Context, _ *call) (any, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := []ruleView{}
	for _, r := range s.state.rules.order {
		out = append(out, r.view())
	}
	return map[string]any{"rules": out}, nil
}
