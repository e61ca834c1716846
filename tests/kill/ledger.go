package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"sync"

	"github.com/sallyport/sallyport/host/client"
)

// An activity is what is compared of one.
type activity struct {
	ID          string          `json:"id"`
	Status      string          `json:"status"`
	Type        string          `json:"type"`
	Fingerprint string          `json:"fingerprint"`
	Result      json.RawMessage `json:"result"`
}

func (a *activity) same(b *activity) bool {
	return a.ID == b.ID && a.Status == b.Status && a.Fingerprint == b.Fingerprint && bytes.Equal(a.Result, b.Result)
}

// keys are the ids of the private keys that an activity made.
func (a *activity) keys() ([]string, error) {
	var result struct {
		V2 struct {
			PrivateKeys []struct{ PrivateKeyID string }
		} `json:"createPrivateKeysResultV2"`
	}
	if err := json.Unmarshal(a.Result, &result); err != nil {
		return nil, err
	}
	var ids []string
	for _, k := range result.V2.PrivateKeys {
		ids = append(ids, k.PrivateKeyID)
	}
	return ids, nil
}

// A ledger is what the clients know: bodies with their answers, and bodies
// whose answer never came.
type ledger struct {
	mu           sync.Mutex
	acknowledged map[string]*activity // by body
	unanswered   map[string]string    // path by body
	paths        map[string]string    // by body
	recent       map[string]bool      // acknowledged since the last check

	lost, doubled, orphans int
}

func newLedger() *ledger {
	return &ledger{acknowledged: map[string]*activity{}, unanswered: map[string]string{}, paths: map[string]string{}, recent: map[string]bool{}}
}

func (l *ledger) sent(path string, body []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.unanswered[string(body)], l.paths[string(body)] = path, path
}

func (l *ledger) answered(body []byte, a *activity) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.acknowledged[string(body)] = a
	l.recent[string(body)] = true
	delete(l.unanswered, string(body))
}

// pending returns the bodies without an answer.
func (l *ledger) pending() map[string]string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.unanswered)
}

// takeRecent returns what was acknowledged since it was last asked.
func (l *ledger) takeRecent() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var bodies []string
	for b := range l.recent {
		bodies = append(bodies, b)
	}
	clear(l.recent)
	return bodies
}

func report(format string, args ...any) { fmt.Fprintf(os.Stderr, "kill: "+format+"\n", args...) }

// compare holds all activities and keys of the appliance against the ledger.
func (l *ledger) compare(listed []*activity, keys []string) error {
	byPrint := map[string]*activity{}
	for _, a := range listed {
		if byPrint[a.Fingerprint] != nil {
			l.doubled++
			report("activity %s is listed twice", a.Fingerprint)
		}
		byPrint[a.Fingerprint] = a
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for body, want := range l.acknowledged {
		switch got := byPrint[client.Fingerprint([]byte(body))]; {
		case got == nil:
			l.lost++
			report("activity %s was acknowledged and is gone", want.ID)
		case !got.same(want):
			l.lost++
			report("activity %s has changed: %s %s, was %s %s", want.ID, got.Status, got.Result, want.Status, want.Result)
		}
	}
	return l.compareKeys(listed, keys)
}

// compareKeys wants each key made by one completed activity, and each such
// activity's keys there.
func (l *ledger) compareKeys(listed []*activity, keys []string) error {
	made := map[string]int{}
	for _, a := range listed {
		ids, err := a.keys()
		if err != nil {
			return err
		}
		if a.Status != completed && len(ids) > 0 {
			return fmt.Errorf("activity %s is %s and has keys", a.ID, a.Status)
		}
		for _, id := range ids {
			made[id]++
		}
	}
	for _, id := range keys {
		switch made[id] {
		case 1:
		case 0:
			l.orphans++
			report("no activity made key %s", id)
		default:
			l.doubled++
			report("%d activities made key %s", made[id], id)
		}
		delete(made, id)
	}
	for id := range made {
		l.lost++
		report("key %s is gone", id)
	}
	return nil
}
