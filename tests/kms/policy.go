package kms

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// defaultPolicy is that of a key which was made by program.
const defaultPolicy = `{"Version":"2012-10-17","Id":"key-default-1","Statement":[` +
	`{"Sid":"Enable IAM User Permissions","Effect":"Allow","Principal":{"AWS":"` + root + `"},"Action":"kms:*","Resource":"*"}]}`

const maxPolicy = 32768 // bytes

// policy is a key policy in the grammar of IAM, as far as keys need it.
type policy struct {
	Version   string
	ID        string `json:"Id"`
	Statement []statement
}

type statement struct {
	Sid       string
	Effect    string
	Principal principals
	Action    list
	NotAction list
	Resource  list
	Condition map[string]map[string]list // values by operator and key
}

// list is one string or several.
type list []string

func (l *list) UnmarshalJSON(text []byte) error {
	var one string
	if json.Unmarshal(text, &one) == nil {
		*l = list{one}
		return nil
	}
	return json.Unmarshal(text, (*[]string)(l))
}

// principals is "*" or {"AWS": list}.
type principals list

func (p *principals) UnmarshalJSON(text []byte) error {
	var all string
	if json.Unmarshal(text, &all) == nil {
		*p = principals{all}
		return nil
	}
	named := map[string]list{}
	if err := json.Unmarshal(text, &named); err != nil {
		return err
	}
	if len(named) != 1 || len(named["AWS"]) == 0 {
		return fmt.Errorf("principals other than AWS are not known here")
	}
	*p = principals(named["AWS"])
	return nil
}

func malformed(format string, args ...any) error {
	return fail("MalformedPolicyDocumentException", format, args...)
}

// parsePolicy takes what PutKeyPolicy takes. What the double does not know is an
// error too: it must not be ignored.
func parsePolicy(document []byte) (*policy, error) {
	if len(document) > maxPolicy {
		return nil, fail("LimitExceededException", "The policy has more than %d bytes.", maxPolicy)
	}
	p := new(policy)
	d := json.NewDecoder(bytes.NewReader(document))
	d.DisallowUnknownFields()
	if err := d.Decode(p); err != nil || d.More() {
		return nil, malformed("The policy is not valid JSON: %v", err)
	}
	if p.Version != "2012-10-17" || len(p.Statement) == 0 {
		return nil, malformed("The policy needs the version 2012-10-17 and a statement.")
	}
	for i, s := range p.Statement {
		if err := s.check(); err != nil {
			return nil, malformed("Statement %d (%s): %v", i, s.Sid, err)
		}
	}
	if p.decide(root, "kms:PutKeyPolicy", conditionKeys{"aws:principalarn": root}) != allowed {
		return nil, malformed("The new key policy will not allow you to update the key policy in the future.")
	}
	return p, nil
}

func (s *statement) check() error {
	switch {
	case s.Effect != "Allow" && s.Effect != "Deny":
		return fmt.Errorf("no effect %q", s.Effect)
	case len(s.Principal) == 0:
		return fmt.Errorf("no principal")
	case (len(s.Action) == 0) == (len(s.NotAction) == 0):
		return fmt.Errorf("either Action or NotAction")
	case len(s.Resource) != 1 || s.Resource[0] != "*" && s.Resource[0] != ARN:
		return fmt.Errorf("the resource must be this key")
	}
	for _, p := range s.Principal {
		if p != "*" && !strings.HasPrefix(p, "arn:aws:iam::") && !strings.HasPrefix(p, "arn:aws:sts::") {
			return fmt.Errorf("one or more invalid principals")
		}
	}
	return checkConditions(s.Condition)
}

type decision int

const (
	unmentioned decision = iota
	allowed
	denied
)

// decide is IAM's rule: a deny wins, then an allow; else nothing is allowed.
func (p *policy) decide(caller, action string, keys conditionKeys) decision {
	d := unmentioned
	for _, s := range p.Statement {
		if !s.applies(caller, action, keys) {
			continue
		}
		if s.Effect == "Deny" {
			return denied
		}
		d = allowed
	}
	return d
}

func (s *statement) applies(caller, action string, keys conditionKeys) bool {
	if !s.Principal.include(caller) {
		return false
	}
	if len(s.Action) > 0 && !s.Action.match(action) || len(s.NotAction) > 0 && s.NotAction.match(action) {
		return false
	}
	return keys.satisfy(s.Condition)
}

// match compares actions, which are without case and may have a * .
func (l list) match(action string) bool {
	for _, pattern := range l {
		prefix, suffix, wild := strings.Cut(strings.ToLower(pattern), "*")
		a := strings.ToLower(action)
		if a == prefix && !wild ||
			wild && len(a) >= len(prefix)+len(suffix) && strings.HasPrefix(a, prefix) && strings.HasSuffix(a, suffix) {
			return true
		}
	}
	return false
}

// include tells whether a caller is meant. A role is meant by its own ARN, for all
// of its sessions; an account by that of its root user, for all its callers.
func (p principals) include(caller string) bool {
	part := strings.Split(caller, ":") // arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION
	role := ""
	if session, ok := strings.CutPrefix(part[5], "assumed-role/"); ok {
		name, _, _ := strings.Cut(session, "/")
		role = "arn:aws:iam::" + part[4] + ":role/" + name
	}
	for _, name := range p {
		if name == "*" || name == caller || name == role || name == "arn:aws:iam::"+part[4]+":root" {
			return true
		}
	}
	return false
}
