package node

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/attestation/proof"
)

func TestKeyThatIsExportedMeanwhileGetsNoContribution(t *testing.T) {
	c := newCluster(t, 2, nil)
	g := c.keygen("ecdsa", 2)
	r := c.rigs[0]
	id, _ := parseID(g.ids[0])
	tag := r.state.keys.byID[id].share.tag
	other := &fakeRunner{c.world, c.rigs[1].node()}
	c.before = func() {
		if _, err := other.Call(t.Context(), r.node(), methodMarkExported, mustEncode(markBody{tag})); err != nil {
			t.Error(err)
		}
	}
	wantType(t, r.call(c.users[0], "POST", "/ecdsa/sign", g.signBody(0, c.room(2), "m", "")), 400, "policy_validation_failed")
	if len(c.rooms) != 1 { // that of keygen
		t.Error("the runner went on")
	}
}

func TestContributionIsRecorded(t *testing.T) {
	c := newCluster(t, 2, nil)
	g := c.keygen("ecdsa", 2)
	before := len(c.rigs[0].host.records)
	g.verify(g.sign([]int{0, 1}, "m", "")[0], g.pubkey, "m")
	if n := len(c.rigs[0].host.records) - before; n != 1 {
		t.Errorf("%d entries were made for one signature", n)
	}
}

func TestOldVersionStaysOpenWhileTheNewOneIsHeldByTooFew(t *testing.T) {
	c := newCluster(t, 4, nil)
	two := &cluster{world: c.world, t: t, rigs: c.rigs[:2], users: c.users[:2]}
	g := two.keygen("ecdsa", 2)
	g.cluster, g.ids, g.parties = c, append(g.ids, "", ""), append(g.parties, "", "")
	for _, r := range c.rigs {
		r.holderWait = 50 * time.Millisecond
	}
	c.away[c.rigs[2].node()] = true // it holds its share, but cannot say so
	_, out, _ := g.reshare(t, []int{0, 1}, []int{2, 3}, 2)
	for at := range 2 {
		wantType(t, out[at], 400, "executor_result")
		if !strings.Contains(out[at].body, "too_few_members") {
			t.Error(out[at].body)
		}
	}
	g.verify(g.sign([]int{0, 1}, "m", "")[0], g.pubkey, "m")
}

func TestChangesOfPolicyDropWhatWasHalfDone(t *testing.T) {
	c := newCluster(t, 2, nil)
	g := c.keygen("ecdsa", 2)
	r := c.rigs[0]
	pub, _ := testPEM(t)
	rule, policy := r.newRule("rule", pub), r.newPolicy("policy")
	user := (&scene{r: r}).owner()
	n := 0
	for _, step := range [][2]string{
		{"attach-policy-to-key", ids("policy_id", policy, "key_id", g.ids[0])},
		{"add-rule-to-policy", ids("policy_id", policy, "rule_id", rule)},
		{"remove-rule-from-policy", ids("policy_id", policy, "rule_id", rule)},
		{"detach-policy-from-key", ids("key_id", g.ids[0])},
		{"attach-policy-to-user", ids("policy_id", policy, "user_id", user)},
		{"detach-policy-from-user", ids("user_id", user)},
	} {
		r.admin("POST", "/admin/policies/"+step[0], step[1])
		n++
		for _, got := range c.forgot {
			if got != n {
				t.Errorf("%s: dropped %d times, want %d", step[0], got, n)
			}
		}
	}
	if len(c.forgot) != 1 {
		t.Error("other keys were touched, or none")
	}
}

func TestReplyIsProven(t *testing.T) {
	r := newRig(t, nil)
	for _, path := range []string{"/admin/create-user?name=a", "/admin/list-users", "/nothing"} {
		req := request(adminToken, "GET", path, "")
		req.Nonce = []byte("0123456789abcdef")
		reply, err := r.Do(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = proof.VerifyReply(reply.Proof, proof.Reply{
			QuorumPublicKey: r.boot.QuorumPublic, Path: path, Status: reply.Status,
			RequestHash: sha256.Sum256(nil), ReplyHash: sha256.Sum256(reply.Body), Nonce: req.Nonce,
		})
		if err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	req := request(adminToken, "GET", "/admin/list-users", "")
	req.Nonce = []byte("short")
	if _, err := r.Do(t.Context(), req); err == nil {
		t.Error("a nonce of five bytes was taken")
	}
}

func TestOneCallAtATimeMakesAKey(t *testing.T) {
	c := newCluster(t, 2, nil)
	g, room := c.begin("ecdsa", upTo(2)), c.room(2)
	first := make(chan answer, 1)
	go func() { first <- c.rigs[0].call(c.users[0], "POST", "/ecdsa/keygen", g.keygenBody(0, room, 2, 2)) }()
	for {
		c.mu.Lock()
		waits := len(c.rooms) == 1
		c.mu.Unlock()
		if waits {
			break
		}
		time.Sleep(time.Millisecond)
	}
	wantType(t, c.rigs[0].call(c.users[0], "POST", "/ecdsa/keygen", g.keygenBody(0, c.room(2), 2, 2)), 400, "already_performed_keygen")
	c.rigs[1].ok(c.users[1], "POST", "/ecdsa/keygen", g.keygenBody(1, room, 2, 2))
	if a := <-first; a.status != 200 {
		t.Error(a.body)
	}
}

func TestDeletedWhileItWasMade(t *testing.T) {
	c := newCluster(t, 2, nil)
	g, room := c.begin("ecdsa", upTo(2)), c.room(2)
	first := make(chan answer, 1)
	go func() { first <- c.rigs[0].call(c.users[0], "POST", "/ecdsa/keygen", g.keygenBody(0, room, 2, 2)) }()
	for {
		c.mu.Lock()
		waits := len(c.rooms) == 1
		c.mu.Unlock()
		if waits {
			break
		}
		time.Sleep(time.Millisecond)
	}
	c.rigs[0].ok(c.users[0], "DELETE", "/ecdsa/delete-key/"+g.ids[0], "")
	c.rigs[1].ok(c.users[1], "POST", "/ecdsa/keygen", g.keygenBody(1, room, 2, 2))
	wantType(t, <-first, 400, "key_id_not_exists")
	c.rigs[0].restart()
}

func FuzzStamp(f *testing.F) {
	f.Add([]byte(""))
	f.Add([]byte("eyJwdWJsaWNLZXkiOiIwMiIsInNjaGVtZSI6IlNBTExZUE9SVF9OT0RFX1AyNTYifQ"))
	f.Fuzz(func(t *testing.T, header []byte) {
		st, err := parseStamp(header)
		if (st == nil) == (err == nil) {
			t.Error("neither a stamp nor an error")
		}
	})
}

func FuzzAnswerOfARuleServer(f *testing.F) {
	text, key := testPEM(f)
	f.Add("")
	f.Add(jwtOf(f, key, map[string]any{"alg": "ES256"}, map[string]any{"allow": true}))
	public, err := parseRuleKey(algES256, text)
	if err != nil {
		f.Fatal(err)
	}
	seen := claims{RequestID: nobody, RequestHash: fmt.Sprintf("%064d", 0)}
	f.Fuzz(func(t *testing.T, text string) {
		if seen.judge(algES256, public, text, time.Now()) == "" {
			t.Error("an answer that nobody signed was taken")
		}
	})
}

func FuzzBodies(f *testing.F) {
	c := newCluster(f, 1, nil)
	paths := []string{
		"/keygen", "/sign", "/batch-sign", "/derive-pubkey", "/export/full", "/refresh", "/reshare/new-party", "/reshare/existing-party",
		"/import/key-importer", "/import/import-key-share-recipient", "/backup/import-key-share",
	}
	f.Add(uint8(1), []byte(`{"room_uuid":"","key_id":"","msg":"","hash_algo":"none"}`))
	f.Add(uint8(2), []byte(`{"sign_requests":[null]}`))
	f.Fuzz(func(t *testing.T, at uint8, body []byte) {
		reply, err := c.rigs[0].Do(t.Context(), request(c.users[0], "POST", "/ecdsa"+paths[int(at)%len(paths)], string(body)))
		if err != nil || reply.Status != 400 || !json.Valid(reply.Body) {
			t.Errorf("%v %+v", err, reply)
		}
	})
}
