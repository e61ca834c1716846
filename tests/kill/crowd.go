package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"github.com/sallyport/sallyport/host/client"
	"github.com/sallyport/sallyport/tests/appliance"
)

const (
	clients    = 8
	completed  = "ACTIVITY_STATUS_COMPLETED"
	typeCreate = "ACTIVITY_TYPE_CREATE_PRIVATE_KEYS_V2"
	typeSign   = "ACTIVITY_TYPE_SIGN_RAW_PAYLOAD_V2"
	createPath = appliance.Submit + "create_private_keys"
	signPath   = appliance.Submit + "sign_raw_payload"
)

// A crowd is the clients of one start of the appliance.
type crowd struct {
	http    *appliance.HTTP
	org     string
	key     *client.APIKey
	ledger  *ledger
	stopped chan struct{}
	all     sync.WaitGroup
}

func newCrowd(a *appliance.Appliance, l *ledger) (*crowd, error) {
	key, err := a.Users[0].Key()
	return &crowd{http: appliance.NewHTTP(a.BaseURL), org: a.OrganizationID, key: key, ledger: l, stopped: make(chan struct{})}, err
}

// work starts the clients. Each creates keys and signs with them until an
// answer does not come.
func (c *crowd) work() {
	for range clients {
		c.all.Go(func() {
			signWith := ""
			for i := 0; ; i++ {
				select {
				case <-c.stopped:
					return
				default:
				}
				path, body := createPath, c.create()
				if i%3 != 0 && signWith != "" {
					path, body = signPath, c.sign(signWith)
				}
				a, err := c.send(path, body)
				if err != nil {
					return
				}
				if ids, err := a.keys(); err == nil && len(ids) == 1 {
					signWith = ids[0]
				}
			}
		})
	}
}

// stop waits for the clients.
func (c *crowd) stop() {
	close(c.stopped)
	c.all.Wait()
	c.http.Close()
}

func (c *crowd) create() []byte {
	now := appliance.Now()
	return appliance.Body(typeCreate, c.org, now, map[string]any{"privateKeys": []any{map[string]any{
		"privateKeyName": "key " + now, "curve": "CURVE_SECP256K1", "privateKeyTags": []string{}, "addressFormats": []string{},
	}}})
}

func (c *crowd) sign(with string) []byte {
	now := appliance.Now()
	return appliance.Body(typeSign, c.org, now, map[string]any{
		"signWith": with, "payload": now, "encoding": "PAYLOAD_ENCODING_TEXT_UTF8", "hashFunction": "HASH_FUNCTION_SHA256",
	})
}

// send sends a body and writes down what came of it.
func (c *crowd) send(path string, body []byte) (*activity, error) {
	c.ledger.sent(path, body)
	a, err := c.post(path, body)
	if err != nil {
		return nil, err
	}
	c.ledger.answered(body, a)
	return a, nil
}

func (c *crowd) post(path string, body []byte) (*activity, error) {
	r, err := c.http.Post(path, body, c.key)
	if err != nil {
		return nil, err
	}
	var out struct{ Activity *activity }
	if r.Status != http.StatusOK {
		return nil, fmt.Errorf("HTTP %d: %s", r.Status, r.Body)
	}
	if err := json.Unmarshal(r.Body, &out); err != nil || out.Activity == nil {
		return nil, fmt.Errorf("no activity in %s", r.Body)
	}
	if out.Activity.Status != completed {
		return nil, fmt.Errorf("the activity is %s", out.Activity.Status)
	}
	return out.Activity, nil
}

// check counts what is there, asks again for what was acknowledged since the
// last time, and sends again what had no answer.
func (c *crowd) check() error {
	if err := c.compare(); err != nil {
		return err
	}
	for _, body := range c.ledger.takeRecent() {
		want := c.ledger.acknowledged[body]
		got, err := c.post(c.ledger.paths[body], []byte(body))
		if err != nil {
			return fmt.Errorf("asking again for activity %s: %w", want.ID, err)
		}
		if !got.same(want) {
			c.ledger.lost++
			report("activity %s answers with %s %s, was %s %s", want.ID, got.ID, got.Result, want.ID, want.Result)
		}
	}
	again := c.ledger.pending()
	for body, path := range again {
		if _, err := c.send(path, []byte(body)); err != nil {
			return fmt.Errorf("sending again what had no answer: %w", err)
		}
	}
	if len(again) == 0 {
		return nil
	}
	return c.compare() // they are there now, once
}

func (c *crowd) compare() error {
	listed, err := c.activities()
	if err != nil {
		return err
	}
	var keys struct {
		PrivateKeys []struct{ PrivateKeyID string }
	}
	if err := c.query("list_private_keys", map[string]any{"organizationId": c.org}, &keys); err != nil {
		return err
	}
	var ids []string
	for _, k := range keys.PrivateKeys {
		ids = append(ids, k.PrivateKeyID)
	}
	return c.ledger.compare(listed, ids)
}

// activities lists all, page by page. A page may be shorter than it could be,
// so only an empty one is the end.
func (c *crowd) activities() ([]*activity, error) {
	var all []*activity
	page := map[string]any{"limit": "100"}
	for {
		var out struct{ Activities []*activity }
		if err := c.query("list_activities", map[string]any{"organizationId": c.org, "paginationOptions": page}, &out); err != nil {
			return nil, err
		}
		if len(out.Activities) == 0 {
			return all, nil
		}
		all = append(all, out.Activities...)
		page["after"] = all[len(all)-1].ID
	}
}

func (c *crowd) query(name string, body, out any) error {
	b, err := json.Marshal(body)
	if err != nil {
		return err
	}
	r, err := c.http.Post(appliance.Query+name, b, c.key)
	if err != nil {
		return err
	}
	if r.Status != http.StatusOK {
		return fmt.Errorf("%s: HTTP %d: %s", name, r.Status, strings.TrimSpace(string(r.Body)))
	}
	return json.Unmarshal(r.Body, out)
}
