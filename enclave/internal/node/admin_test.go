package node

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/enclave/wire"
)

// newUser makes a user and returns its API key and id.
func (r *rig) newUser(name string) (key, id string) {
	r.t.Helper()
	a := r.admin("GET", "/admin/create-user?name="+name, "")
	return a.text("api_key"), a.text("user_id")
}

func testPEM(t testing.TB) (string, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), key
}

func (r *rig) newRule(name, pubkey string) string {
	r.t.Helper()
	body, _ := json.Marshal(map[string]string{"jwt_alg": "ES256", "name": name, "pubkey": pubkey, "url": "http://127.0.0.1:1/rule"})
	return r.admin("POST", "/admin/policies/add-external-rule", string(body)).text("rule_id")
}

func (r *rig) newPolicy(name string, rules ...string) string {
	r.t.Helper()
	body, _ := json.Marshal(map[string]any{"name": name, "rules": append([]string{}, rules...)})
	return r.admin("POST", "/admin/policies/create-policy", string(body)).text("policy_id")
}

func TestUsersLive(t *testing.T) {
	r := newRig(t, nil)
	key, id := r.newUser("alice")
	if len(key) != 64 || len(id) != 36 {
		t.Fatalf("%q %q", key, id)
	}
	second := r.admin("POST", "/admin/generate-api-key?user_id="+id, "").text("api_key")
	r.restart()
	for _, k := range []string{key, second} {
		r.ok(k, "POST", "/create-room", `{"room_size":2}`)
	}
	r.admin("DELETE", "/admin/revoke-api-key?api_key="+key, "")
	wantType(t, r.call(key, "POST", "/create-room", `{"room_size":2}`), 401, "access_denied")
	r.ok(second, "POST", "/create-room", `{"room_size":2}`)
	if a := r.admin("GET", "/admin/list-users", ""); !strings.Contains(a.body, `"name":"alice","api_keys":1`) {
		t.Error(a.body)
	}
	r.admin("DELETE", "/admin/delete-user?user_id="+id, "")
	r.restart()
	wantType(t, r.call(second, "POST", "/create-room", `{"room_size":2}`), 401, "access_denied")
	r.newUser("alice") // the name is free again
}

func TestJournalHoldsNoAPIKey(t *testing.T) {
	r := newRig(t, nil)
	key, _ := r.newUser("alice")
	for index, record := range r.host.records {
		plain, err := r.sealer.Open(journalObject(uint64(index)), record)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(plain), key) {
			t.Error("an entry holds an API key")
		}
	}
}

func TestPoliciesLive(t *testing.T) {
	r := newRig(t, nil)
	_, user := r.newUser("alice")
	pub, _ := testPEM(t)
	one, two := r.newRule("one", pub), r.newRule("two", pub)
	policy := r.newPolicy("both", one)
	r.admin("POST", "/admin/policies/add-rule-to-policy", fmt.Sprintf(`{"policy_id":%q,"rule_id":%q}`, policy, two))
	r.admin("POST", "/admin/policies/attach-policy-to-user", fmt.Sprintf(`{"policy_id":%q,"user_id":%q}`, policy, user))
	r.restart()
	if a := r.admin("GET", "/admin/policies/list-all-policies", ""); strings.Count(a.body, `"type":"External"`) != 2 {
		t.Error(a.body)
	}
	if a := r.admin("GET", "/admin/policies/list-all-rules", ""); strings.Count(a.body, `"jwt_alg":"ES256"`) != 2 {
		t.Error(a.body)
	}
	r.admin("POST", "/admin/policies/detach-policy-from-user", fmt.Sprintf(`{"user_id":%q}`, user))
	r.admin("POST", "/admin/policies/remove-rule-from-policy", fmt.Sprintf(`{"policy_id":%q,"rule_id":%q}`, policy, one))
	r.admin("POST", "/admin/policies/delete-rule", fmt.Sprintf(`{"rule_id":%q}`, one))
	r.admin("POST", "/admin/policies/delete-policy", fmt.Sprintf(`{"policy_id":%q}`, policy))
	r.admin("POST", "/admin/policies/delete-rule", fmt.Sprintf(`{"rule_id":%q}`, two))
	r.restart()
	if a := r.admin("GET", "/admin/policies/list-all-rules", ""); a.body != `{"rules":[]}` {
		t.Error(a.body)
	}
}

func TestIdentityStays(t *testing.T) {
	r := newRig(t, nil)
	a := r.admin("GET", "/identity-pubkey", "")
	r.restart()
	if b := r.admin("GET", "/identity-pubkey", ""); a.body != b.body || !strings.HasPrefix(a.text("pubkey"), "-----BEGIN PUBLIC KEY-----") {
		t.Errorf("%s, then %s", a.body, b.body)
	}
}

func TestRoomSaysItsSize(t *testing.T) {
	r := newRig(t, nil)
	var asked *wire.RelayPort
	r.host.createRoom = func(p *wire.RelayPort) error { asked = p; return nil }
	a := r.admin("POST", "/create-room", `{"room_size":3,"relay_address":"relay.example:4222"}`)
	w, err := where(a.text("room_uuid"), "", 3, 3)
	if err != nil || asked.Relay != "relay.example:4222" || string(asked.Room) != string(w.Room[:]) || w.Room[0] != 3 {
		t.Errorf("%v %+v", err, asked)
	}
}

func TestBearerAloneIsNotEnough(t *testing.T) {
	st, adminStamp := newStamper(t), newStamper(t)
	now := time.Now()
	r := newRig(t, func(r *rig) {
		public, _ := adminStamp.key.PublicKey.Bytes()
		r.rules.BearerMay, r.rules.AdminKeys = []string{opCreate}, [][]byte{public}
		r.now = func() time.Time { return now }
	})
	create := func() *wire.Request {
		return request(adminToken, "POST", "/admin/create-user?name=a&stamp_public_key="+st.public(), "")
	}
	wantType(t, r.send(create()), 401, "access_denied")
	req := create()
	adminStamp.stamp(t, req, now, nil)
	a := r.send(req)
	if a.status != 200 {
		t.Fatal(a.body)
	}
	key := a.text("api_key")
	wantType(t, r.send(req), 401, "access_denied") // the same nonce
	r.restart()
	wantType(t, r.send(req), 401, "access_denied") // also after a restart
	r.ok(key, "POST", "/create-room", `{"room_size":2}`)

	room := func(edit func(*wire.Request), at time.Time, fields func(map[string]string)) answer {
		req := request(key, "POST", "/create-room", `{"room_size":2}`)
		st.stamp(t, req, at, fields)
		if edit != nil {
			edit(req)
		}
		return r.send(req)
	}
	if a := room(nil, now, nil); a.status != 200 {
		t.Fatal(a.body)
	}
	set := func(name, value string) func(map[string]string) { return func(m map[string]string) { m[name] = value } }
	for name, a := range map[string]answer{
		"body":      room(func(q *wire.Request) { q.Body = []byte(`{"room_size":3}`) }, now, nil),
		"method":    r.admin2(st, key, now),
		"old":       room(nil, now.Add(-stampWindow-time.Millisecond), nil),
		"ahead":     room(nil, now.Add(stampWindow+time.Millisecond), nil),
		"time":      room(nil, now, set("timestampMs", fmt.Sprint(now.UnixMilli()+1))),
		"nonce":     room(nil, now, set("nonce", strings.Repeat("00", 16))),
		"short":     room(nil, now, set("nonce", "00")),
		"scheme":    room(nil, now, set("scheme", "SIGNATURE_SCHEME_TK_API_P256")),
		"key":       room(nil, now, set("publicKey", adminStamp.public())),
		"signature": room(nil, now, set("signature", "00")),
		"unknown":   room(nil, now, set("more", "")),
		"webauthn":  room(func(q *wire.Request) { q.StampKind = wire.StampWebAuthn }, now, nil),
		"garbage":   room(func(q *wire.Request) { q.Stamp = []byte("%%%") }, now, nil),
	} {
		if a.status != 401 || a.text("err_type") != "access_denied" {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
}

// admin2 sends a stamp that was made for another query.
func (r *rig) admin2(st stamper, key string, now time.Time) answer {
	req := request(key, "POST", "/create-room", `{"room_size":2}`)
	req.Query = "a=b"
	st.stamp(r.t, req, now, nil)
	req.Query = ""
	return r.send(req)
}

func TestOldNoncesAreForgotten(t *testing.T) {
	st := newState()
	for i := range 100 {
		if err := applyStamp(st, &stampEntry{[32]byte{byte(i)}}, int64(i)*60_000); err != nil {
			t.Fatal(err)
		}
	}
	if len(st.nonces) != 11 || len(st.recent) != 11 {
		t.Errorf("%d and %d are kept", len(st.nonces), len(st.recent))
	}
}

func TestNodeWithoutAnEngineSaysSo(t *testing.T) {
	r := newRig(t, nil)
	key, _ := r.newUser("alice")
	a := r.ok(key, "POST", "/ed25519/create", "{}")
	other := "01" + strings.Repeat("02", 49)
	body := fmt.Sprintf(`{"room_uuid":"02000000-0000-8000-8000-000000000000","key_id":%q,"num_parties":2,"threshold":2,"others_keygen_ids":[%q]}`, a.text("key_id"), other)
	wantType(t, r.call(key, "POST", "/ed25519/keygen", body), 400, "executor_result")
}
