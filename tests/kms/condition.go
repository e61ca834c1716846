package kms

import (
	"fmt"
	"regexp"
	"strings"
)

// conditionKeys are what a request is, by the lower-case name of the key.
type conditionKeys map[string]string

// known are the keys that the double gives. PCR<n> has no leading zero.
var known = regexp.MustCompile(`^(aws:principalarn|kms:encryptionalgorithm|` +
	`kms:recipientattestation:(imagesha384|pcr([0-9]|[12][0-9]|3[01])))$`)

// An operator compares the value of a request with one of a policy. IAM takes a
// negated one as satisfied when the request has no such key.
type operator struct {
	equal   func(value, pattern string) bool
	negated bool
}

func exact(a, b string) bool { return a == b }

var operators = map[string]operator{
	"StringEquals":              {exact, false},
	"StringNotEquals":           {exact, true},
	"StringEqualsIgnoreCase":    {strings.EqualFold, false},
	"StringNotEqualsIgnoreCase": {strings.EqualFold, true},
}

func checkConditions(conditions map[string]map[string]list) error {
	for name, block := range conditions {
		if _, ok := operators[name]; !ok {
			return fmt.Errorf("the operator %q is not known here", name)
		}
		for key, values := range block {
			if !known.MatchString(strings.ToLower(key)) {
				return fmt.Errorf("the condition key %q is not known here", key)
			}
			if len(values) == 0 {
				return fmt.Errorf("the condition key %q has no values", key)
			}
		}
	}
	return nil
}

// satisfy is IAM's rule: all operators and all keys hold, each for one of its
// values, or a negated one for none of them.
func (k conditionKeys) satisfy(conditions map[string]map[string]list) bool {
	for name, block := range conditions {
		for key, values := range block {
			if !operators[name].holds(k, strings.ToLower(key), values) {
				return false
			}
		}
	}
	return true
}

func (o operator) holds(k conditionKeys, key string, values list) bool {
	value, present := k[key]
	if !present {
		return o.negated
	}
	for _, v := range values {
		if o.equal(value, v) {
			return !o.negated
		}
	}
	return o.negated
}
