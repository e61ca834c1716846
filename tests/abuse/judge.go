package main

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/host/client"
	"github.com/sallyport/sallyport/tests/appliance"
)

// The refusals of the API: HTTP status and code in the body.
type refusal struct{ status, code int }

var (
	invalid      = refusal{400, 3}
	unauthorized = refusal{401, 16}
	denied       = refusal{403, 7}
	notFound     = refusal{404, 5}
	noMethod     = refusal{405, 12}
	tooLarge     = refusal{413, 3}
	unsupported  = refusal{415, 3}
)

// judge holds a reply to a refusal whose message has some words.
func (want refusal) judge(r *appliance.Reply, err error, words ...string) (string, error) {
	if err != nil {
		return "", err
	}
	code, message := r.Code()
	seen := fmt.Sprintf("%d code %d: %s", r.Status, code, message)
	if r.Status != want.status || code != want.code {
		return "", fmt.Errorf("want %d code %d, got %s", want.status, want.code, seen)
	}
	if got := r.Header.Get("Content-Type"); got != "application/json" {
		return "", fmt.Errorf("the refusal has type %q: %s", got, seen)
	}
	for _, word := range words {
		if !strings.Contains(message, word) {
			return "", fmt.Errorf("the refusal does not say %q: %s", word, seen)
		}
	}
	return seen, nil
}

// each runs variants of one abuse; all must be refused. It returns what the
// last one saw.
func each[T any](variants []T, try func(T) (string, error)) (string, error) {
	var seen string
	for i, v := range variants {
		var err error
		if seen, err = try(v); err != nil {
			return "", fmt.Errorf("variant %d of %d: %w", i+1, len(variants), err)
		}
	}
	if len(variants) > 1 {
		seen = fmt.Sprintf("%d variants, the last: %s", len(variants), seen)
	}
	return seen, nil
}

// stamped posts a body with an honest stamp and wants a refusal.
func (t *team) stamped(want refusal, path string, body []byte, words ...string) (string, error) {
	r, err := t.w.http.Post(path, body, t.key())
	return want.judge(r, err, words...)
}

// withStamp posts a body with a stamp header as given.
func (w *world) withStamp(path string, body []byte, stamp string) (*appliance.Reply, error) {
	return w.http.Do(http.MethodPost, path, body, "X-Stamp", stamp)
}

func mustStamp(body []byte, key *client.APIKey) string {
	s, err := client.Stamp(body, key)
	if err != nil {
		panic("internal error: " + err.Error())
	}
	return s
}

// served wants a completed activity.
func served(r *appliance.Reply, err error) (*activity, error) {
	if err != nil {
		return nil, err
	}
	a, err := activityOf(r)
	if err != nil {
		return nil, err
	}
	if a.Status != completed {
		return nil, fmt.Errorf("the activity is %s", a.Status)
	}
	return a, nil
}

// servesHonest asks by an honest client's key.
func (w *world) servesHonest() error {
	r, err := w.http.Post(whoami, toJSON(object{"organizationId": w.main.org}), w.main.key())
	if err != nil || r.Status != http.StatusOK {
		return fmt.Errorf("an honest client: %+v, %w", r, err)
	}
	return nil
}

// replaced returns a copy of b with the first old replaced.
func replaced(b []byte, old, new string) []byte {
	return []byte(strings.Replace(string(b), old, new, 1))
}

// flipped returns a copy of b with one bit of a byte changed.
func flipped(b []byte, at int) []byte {
	c := slices.Clone(b)
	c[at] ^= 1
	return c
}

// flipLast is flipped at the last byte.
func flipLast(b []byte) []byte { return flipped(b, len(b)-1) }
