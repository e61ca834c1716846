package activity_test

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/enclave/wire"
)

// within sends a request and gives up soon; a nil reply is an error.
func (w *world) within(req *wire.Request) *wire.Reply {
	ctx, cancel := context.WithTimeout(w.Context(), 30*time.Millisecond)
	defer cancel()
	reply, err := w.enclave.Do(ctx, req)
	if err != nil {
		return nil
	}
	return reply
}

// together sends all requests at once.
func (w *world) together(requests []*wire.Request) []*wire.Reply {
	w.Helper()
	replies := make([]*wire.Reply, len(requests))
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i, req := range requests {
		wg.Go(func() {
			<-start
			reply, err := w.enclave.Do(context.Background(), req)
			if err != nil {
				w.Errorf("request %d: %v", i, err)
				reply = &wire.Reply{}
			}
			replies[i] = reply
		})
	}
	close(start)
	wg.Wait()
	return replies
}

func TestIdenticalRequestsAtOnceAreOne(t *testing.T) {
	w := newWorld(t, 1, 1)
	body := w.body(createKeysType, keyParams("k"))
	var requests []*wire.Request
	for range 32 {
		requests = append(requests, w.stamped(createKeysPath, body, w.keys[0]))
	}
	blobs := len(w.host.Blobs)
	w.adds(1, func() {
		for _, reply := range w.together(requests) {
			w.is(w.activity(reply), completed)
		}
	})
	if len(w.host.Blobs)-blobs != 3 || w.countKeys() != 1 {
		t.Errorf("%d blobs and %d keys", len(w.host.Blobs)-blobs, w.countKeys())
	}
}

func TestAllVotersAtOnceExecuteOnce(t *testing.T) {
	const users = 6
	w := newWorld(t, users, 3)
	body := w.body(createKeysType, keyParams("k"))
	vote := w.body(approveType, map[string]string{"fingerprint": fingerprintHex(body)})
	w.is(w.activity(w.send(createKeysPath, body, 0)), consensusNeeded)
	var requests []*wire.Request
	for u := range users {
		requests = append(requests, w.stamped(createKeysPath, body, w.keys[u]), w.stamped(approvePath, vote, w.keys[u]))
	}
	blobs := len(w.host.Blobs)
	w.adds(2, func() {
		for _, reply := range w.together(requests) {
			if reply.Status != 200 && reply.Status != 400 { // 400: takes no more votes
				t.Errorf("%d %s", reply.Status, reply.Body)
			}
		}
	})
	a := w.activity(w.send(createKeysPath, body, 0))
	w.is(a, completed)
	if len(a.Votes) != 3 || w.countKeys() != 1 || len(w.host.Blobs)-blobs != 3 {
		t.Errorf("%d votes, %d keys, %d blobs", len(a.Votes), w.countKeys(), len(w.host.Blobs)-blobs)
	}
}

func TestApprovalAndRejectionAtOnceAgreeOnOneEnd(t *testing.T) {
	for range 20 {
		w := newWorld(t, 2, 2)
		a, _ := w.propose("k", 0)
		w.adds(1, func() {
			w.together([]*wire.Request{
				w.stamped(approvePath, w.body(approveType, fingerprintOf(a)), w.keys[1]),
				w.stamped(rejectPath, w.body(rejectType, fingerprintOf(a)), w.keys[1]),
			})
		})
		b := w.get(a.ID, 0)
		if keys := w.countKeys(); (b.Status == completed) != (keys == 1) || (b.Status == rejected) != (keys == 0) {
			t.Fatalf("%s with %d keys", b.Status, keys)
		}
	}
}

func TestOneNameAtOnceIsOneKey(t *testing.T) {
	w := newWorld(t, 1, 1)
	var requests []*wire.Request
	for range 16 {
		requests = append(requests, w.stamped(createKeysPath, w.body(createKeysType, keyParams("same")), w.keys[0]))
	}
	won := 0
	w.adds(1, func() {
		for _, reply := range w.together(requests) {
			if reply.Status == 200 {
				won++
				continue
			}
			w.refused(reply, 400, 3)
		}
	})
	if won != 1 || w.countKeys() != 1 {
		t.Errorf("%d requests won, %d keys", won, w.countKeys())
	}
}

func TestDeletedKeyDoesNotFinishWhatItStarted(t *testing.T) {
	for range 20 {
		w := newWorld(t, 1, 1)
		s := newSigners(t)[0]
		w.register(s)
		kid := w.user(0).APIKeys[1].APIKeyID
		remove := w.body("ACTIVITY_TYPE_DELETE_API_KEYS", map[string]any{"userId": w.users[0].UserID, "apiKeyIds": []string{kid}})
		create := w.body(createKeysType, keyParams("k"))
		replies := w.together([]*wire.Request{
			w.stamped("/public/v1/submit/delete_api_keys", remove, w.keys[0]),
			apiStamp(createKeysPath, create, encodeStamp(s.json(create))),
		})
		made := w.list(map[string]any{"filterByType": []string{createKeysType}}, 0)
		if (replies[1].Status == 200) != (len(made) == 1) {
			t.Fatalf("creation answered %d, and %d are recorded", replies[1].Status, len(made))
		}
		if newest := w.list(nil, 0)[0]; newest.Type != "ACTIVITY_TYPE_DELETE_API_KEYS" {
			t.Fatalf("the key was used after it was deleted: %+v", newest)
		}
	}
}

// Everything at once, and then a restart that must come to the same state.
func TestStormComesToTheSameStateAfterARestart(t *testing.T) {
	w := newWorld(t, 3, 2)
	kid := w.prepare()
	var requests []*wire.Request
	for i := range 60 {
		create := w.body(createKeysType, keyParams(fmt.Sprint(i)))
		sign := w.body("ACTIVITY_TYPE_SIGN_RAW_PAYLOAD_V2", map[string]string{
			"signWith": kid, "payload": "x", "encoding": "PAYLOAD_ENCODING_TEXT_UTF8", "hashFunction": "HASH_FUNCTION_SHA256",
		})
		export := w.exportBody(kid)
		for u := range 3 {
			requests = append(requests, w.stamped(createKeysPath, create, w.keys[u]), w.stamped("/public/v1/submit/sign_raw_payload", sign, w.keys[u]))
		}
		requests = append(requests, w.stamped(exportPath, export, w.keys[i%3]),
			w.stamped(rejectPath, w.body(rejectType, map[string]string{"fingerprint": fingerprintHex(create)}), w.keys[i%3]),
			w.stamped("/public/v1/query/list_activities", w.whoami(), w.keys[i%3]),
			w.stamped("/public/v1/query/list_users", w.whoami(), w.keys[i%3]),
			w.stamped("/public/v1/query/list_private_keys", w.whoami(), w.keys[i%3]))
	}
	w.together(requests)
	before := w.everything()
	if status := w.enclave.Restart(t); status.Phase != wire.PhaseReady {
		t.Fatalf("enclave is %s: %s", status.Phase, status.Reason)
	}
	after := w.everything()
	for what, text := range before {
		if after[what] != text {
			t.Errorf("%s: %s, then %s", what, text, after[what])
		}
	}
}

// everything is the reply of every query about the organization.
func (w *world) everything() map[string]string {
	w.Helper()
	out := map[string]string{}
	ask := func(name string, body any) []byte {
		raw, err := json.Marshal(body)
		if err != nil {
			w.Fatal(err)
		}
		reply := w.send("/public/v1/query/"+name, raw, 0)
		if reply.Status != 200 {
			w.Fatalf("%s: %s", name, reply.Body)
		}
		out[name+string(raw)] = string(reply.Body)
		return reply.Body
	}
	org := map[string]string{"organizationId": w.org}
	ask("whoami", org)
	ask("list_users", org)
	ask("list_private_keys", org)
	for after := ""; ; {
		var page struct{ Activities []activity }
		if err := json.Unmarshal(ask("list_activities", map[string]any{
			"organizationId": w.org, "paginationOptions": map[string]string{"limit": "50", "after": after},
		}), &page); err != nil {
			w.Fatal(err)
		}
		for _, a := range page.Activities {
			after = a.ID
			ask("get_activity", map[string]string{"organizationId": w.org, "activityId": a.ID})
		}
		if len(page.Activities) == 0 {
			return out
		}
	}
}
