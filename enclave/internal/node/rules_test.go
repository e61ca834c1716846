package node

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/enclave/wire"
)

// A ruleServer answers questions; edit makes its answers wrong.
type ruleServer struct {
	t        testing.TB
	identity *ecdsa.PublicKey // of the node that asks
	key      crypto.Signer
	now      func() time.Time

	mu     sync.Mutex
	asked  []map[string]any
	edit   func(header, claims map[string]any)
	status int
	err    error
	raw    func(jwt string) string
}

func (s *ruleServer) answer(q *wire.RuleQuestion) (*wire.RuleAnswer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	question := s.open(string(q.JWT))
	s.asked = append(s.asked, question)
	header := map[string]any{"alg": "ES256", "typ": "JWT", "kid": "1"}
	if _, ok := s.key.(*rsa.PrivateKey); ok {
		header["alg"] = "RS256"
	}
	claims := map[string]any{
		"iss": "rules", "iat": s.now().Unix(), "exp": s.now().Unix() + 30, "allow": true,
		"request_id": question["request_id"], "request_hash": question["request_hash"],
	}
	if s.edit != nil {
		s.edit(header, claims)
	}
	text := jwtOf(s.t, s.key, header, claims)
	if s.raw != nil {
		text = s.raw(text)
	}
	status := 200
	if s.status != 0 {
		status = s.status
	}
	return &wire.RuleAnswer{Status: status, Body: []byte(text + "\n")}, s.err
}

// open verifies a question as a rule server does.
func (s *ruleServer) open(jwt string) map[string]any {
	parts := strings.Split(jwt, ".")
	sig, _ := base64.RawURLEncoding.DecodeString(parts[2])
	digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if len(sig) != 64 || !ecdsa.Verify(s.identity, digest[:], new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:])) {
		s.t.Error("the question is not signed by the node's identity key")
	}
	payload, _ := base64.RawURLEncoding.DecodeString(parts[1])
	var exact struct {
		Request json.RawMessage `json:"request"`
		Hash    string          `json:"request_hash"`
	}
	out := map[string]any{}
	if json.Unmarshal(payload, &exact) != nil || json.Unmarshal(payload, &out) != nil {
		s.t.Error("the question is not JSON")
	}
	if sum := sha256.Sum256(exact.Request); hex.EncodeToString(sum[:]) != exact.Hash {
		s.t.Error("request_hash is not that of the request's bytes")
	}
	return out
}

func jwtOf(t testing.TB, key crypto.Signer, header, claims map[string]any) string {
	h, _ := json.Marshal(header)
	c, _ := json.Marshal(claims)
	text := base64.RawURLEncoding.EncodeToString(h) + "." + base64.RawURLEncoding.EncodeToString(c)
	digest := sha256.Sum256([]byte(text))
	var sig []byte
	var err error
	switch k := key.(type) {
	case *ecdsa.PrivateKey:
		r, s, e := ecdsa.Sign(rand.Reader, k, digest[:])
		rb, sb := fill(r), fill(s)
		sig, err = append(rb[:], sb[:]...), e
	case *rsa.PrivateKey:
		sig, err = rsa.SignPKCS1v15(nil, k, crypto.SHA256, digest[:])
	}
	if err != nil {
		t.Fatal(err)
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(sig)
}

func pemOf(t testing.TB, key crypto.PublicKey) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// ruled makes a key of two nodes, of which the first asks a rule server.
func ruled(t testing.TB, scheme, alg string, key crypto.Signer) (*group, *ruleServer) {
	t.Helper()
	c := newCluster(t, 2, nil)
	g := c.keygen(scheme, 2)
	r := c.rigs[0]
	block, _ := pem.Decode([]byte(r.admin("GET", "/identity-pubkey", "").text("pubkey")))
	identity, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	s := &ruleServer{t: t, identity: identity.(*ecdsa.PublicKey), key: key, now: r.now}
	r.host.askRule = s.answer
	body, _ := json.Marshal(map[string]string{"jwt_alg": alg, "name": "rule", "pubkey": pemOf(t, key.Public()), "url": "https://rules.example/ask"})
	rule := r.admin("POST", "/admin/policies/add-external-rule", string(body)).text("rule_id")
	policy := r.newPolicy("policy", rule)
	r.admin("POST", "/admin/policies/attach-policy-to-key", fmt.Sprintf(`{"policy_id":%q,"key_id":%q}`, policy, g.ids[0]))
	return g, s
}

func TestRuleIsAskedAboutWhatIsSigned(t *testing.T) {
	_, key := testPEM(t)
	g, s := ruled(t, "ecdsa", "ES256", key)
	child := g.rigs[0].ok(g.users[0], "POST", "/ecdsa/derive-pubkey", fmt.Sprintf(`{"key_id":%q,"derivation_path":[1]}`, g.ids[0])).text("pubkey")
	g.verify(g.sign([]int{0, 1}, "hello", `,"derivation_path":[1],"extra_data":"beef"`)[0], child, "hello")
	g.verify(g.sign([]int{0, 1}, "hello", "")[0], g.pubkey, "hello")
	if len(s.asked) != 2 || s.asked[0]["request_id"] == s.asked[1]["request_id"] {
		t.Fatalf("asked %d times", len(s.asked))
	}
	q := s.asked[0]
	request := q["request"].(map[string]any)
	if q["action"] != "sign_ecdsa" || q["extra_data"] != "beef" || request["msg"] != "68656c6c6f" || request["hash_algo"] != "sha256" ||
		request["pubkey"] != child || fmt.Sprint(request["derivation_path"]) != "[1]" || q["exp"].(float64)-q["iat"].(float64) != 60 {
		t.Errorf("%v", q)
	}
}

func TestRuleServerMayUseRSA(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	g, s := ruled(t, "ed25519", "RS256", key)
	g.verify(g.sign([]int{0, 1}, "m", "")[0], g.pubkey, "m")
	s.edit = func(h, _ map[string]any) { h["alg"] = "ES256" }
	wantType(t, g.sign([]int{0}, "m", "")[0], 400, "bad_request_params") // the room is too small: nobody is asked
	if len(s.asked) != 1 || s.asked[0]["action"] != "sign_ed25519" {
		t.Error(s.asked)
	}
}

func TestEveryAnswerButAFreshYesIsANo(t *testing.T) {
	_, key := testPEM(t)
	_, stranger := testPEM(t)
	g, s := ruled(t, "ecdsa", "ES256", key)
	claim := func(name string, v any) func(*ruleServer) {
		return func(s *ruleServer) { s.edit = func(_, c map[string]any) { c[name] = v } }
	}
	header := func(name string, v any) func(*ruleServer) {
		return func(s *ruleServer) { s.edit = func(h, _ map[string]any) { h[name] = v } }
	}
	now := s.now().Unix()
	var before string
	for name, set := range map[string]func(*ruleServer){
		"no":              claim("allow", false),
		"a word":          claim("allow", "true"),
		"a number":        claim("allow", 1),
		"nothing":         func(s *ruleServer) { s.edit = func(_, c map[string]any) { delete(c, "allow") } },
		"another case":    func(s *ruleServer) { s.edit = func(_, c map[string]any) { delete(c, "allow"); c["Allow"] = true } },
		"another request": claim("request_id", "00000000-0000-8000-8000-000000000000"),
		"another hash":    claim("request_hash", strings.Repeat("00", 32)),
		"no id":           func(s *ruleServer) { s.edit = func(_, c map[string]any) { delete(c, "request_id") } },
		"old":             claim("iat", now-62),
		"ahead":           claim("iat", now+120),
		"undated":         claim("iat", nil),
		"expired":         claim("exp", now),
		"alg none":        header("alg", "none"),
		"alg RS256":       header("alg", "RS256"),
		"critical":        header("crit", []string{"b64"}),
		"another key":     func(s *ruleServer) { s.key = stranger },
		"status":          func(s *ruleServer) { s.status = 403 },
		"no answer":       func(s *ruleServer) { s.err = errors.New("refused") },
		"empty":           func(s *ruleServer) { s.raw = func(string) string { return "" } },
		"two parts":       func(s *ruleServer) { s.raw = func(j string) string { return j[:strings.LastIndexByte(j, '.')] } },
		"no signature":    func(s *ruleServer) { s.raw = func(j string) string { return j[:strings.LastIndexByte(j, '.')+1] } },
		"replayed": func(s *ruleServer) {
			s.raw = func(j string) string {
				if before == "" {
					return j
				}
				return before
			}
		},
	} {
		s.edit, s.status, s.err, s.raw, s.key = nil, 0, nil, nil, key
		if before == "" {
			s.raw = func(j string) string { before = j; return j }
			if a := g.sign([]int{0, 1}, "m", "")[0]; a.status != 200 {
				t.Fatal(a.body)
			}
			s.raw = nil
		}
		set(s)
		a := g.rigs[0].call(g.users[0], "POST", "/ecdsa/sign", g.signBody(0, g.room(2), "m", ""))
		if a.status != 400 || a.text("err_type") != "policy_validation_failed" || !strings.Contains(a.body, `rule \"rule\"`) {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
}

func TestRulesGuardEveryWayOut(t *testing.T) {
	_, key := testPEM(t)
	g, s := ruled(t, "ecdsa", "ES256", key)
	s.edit = func(_, c map[string]any) { c["allow"] = false }
	r, user := g.rigs[0], g.users[0]
	room := g.room(2)
	other := g.begin("ecdsa", upTo(2))
	list, _ := json.Marshal(other.parties)
	for _, tc := range []struct{ action, method, path, body string }{
		{"export_ecdsa", "POST", "/ecdsa/export/full", g.exportBody(0, room, fmt.Sprintf(`,"export_to":%q`, g.parties[0]))},
		{"refresh_ecdsa", "POST", "/ecdsa/refresh", fmt.Sprintf(`{"key_id":%q,"room_uuid":%q}`, g.ids[0], room)},
		{"reshare_ecdsa", "POST", "/ecdsa/reshare/existing-party", fmt.Sprintf(`{"key_id":%q,"room_uuid":%q,"keygen_ids":%s,"new_threshold":2}`, g.ids[0], room, list)},
		{"backup_ecdsa", "GET", "/ecdsa/backup/export-key-share/" + g.ids[0], ""},
	} {
		wantType(t, r.call(user, tc.method, tc.path, tc.body), 400, "policy_validation_failed")
		if got := s.asked[len(s.asked)-1]["action"]; got != tc.action {
			t.Errorf("asked about %v, want %s", got, tc.action)
		}
	}
	// A share that comes back from a backup is under its policy again.
	s.edit = nil
	share := g.backup(0)
	r.ok(user, "DELETE", "/ecdsa/delete-key/"+g.ids[0], "")
	s.edit = func(_, c map[string]any) { c["allow"] = false }
	wantType(t, g.restore(0, share), 400, "policy_validation_failed")
	s.edit = nil
	g.ids[0] = g.restore(0, share).text("key_id")
	if a := r.admin("GET", "/admin/policies/get-effective-key-policy?key_id="+g.ids[0], ""); !strings.Contains(a.body, `"attached":"key"`) {
		t.Error(a.body)
	}
	// Import is asked under the policy of the new key.
	id := other.ids[0]
	pid := strings.Split(strings.SplitAfter(r.admin("GET", "/admin/policies/list-all-policies", "").body, `"policy_id":"`)[1], `"`)[0]
	r.admin("POST", "/admin/policies/attach-policy-to-key", fmt.Sprintf(`{"policy_id":%q,"key_id":%q}`, pid, id))
	s.edit = func(_, c map[string]any) { c["allow"] = false }
	for _, path := range []string{"/ecdsa/import/key-importer", "/ecdsa/import/import-key-share-recipient"} {
		body := other.keygenBody(0, g.room(2), 2, 2)
		if strings.HasSuffix(path, "importer") {
			body = strings.TrimSuffix(body, "}") + `,"private_key":"` + strings.Repeat("01", 32) + `"}`
		}
		wantType(t, r.call(user, "POST", path, body), 400, "policy_validation_failed")
	}
	wantType(t, r.call(user, "POST", "/ecdsa/reshare/new-party", fmt.Sprintf(`{"key_id":%q,"room_uuid":%q,"keygen_ids":%s,"new_threshold":2}`, id, room, list)), 400, "policy_validation_failed")
}

func TestRuleKeysOfTheWrongKindAreRefused(t *testing.T) {
	r := newRig(t, func(r *rig) { r.rules.PlainRuleServers = false })
	ec, _ := testPEM(t)
	small := &rsa.PublicKey{N: new(big.Int).SetBit(big.NewInt(1), 1023, 1), E: 65537}
	for name, in := range map[string][3]string{
		"alg":     {"HS256", ec, "https://a"},
		"other":   {"RS256", ec, "https://a"},
		"small":   {"RS256", pemOf(t, small), "https://a"},
		"no PEM":  {"ES256", "key", "https://a"},
		"private": {"ES256", strings.ReplaceAll(ec, "PUBLIC", "PRIVATE"), "https://a"},
		"two":     {"ES256", ec + ec, "https://a"},
		"plain":   {"ES256", ec, "http://a"},
		"file":    {"ES256", ec, "file:///etc/passwd"},
		"user":    {"ES256", ec, "https://a@b"},
		"no host": {"ES256", ec, "https:///x"},
		"space":   {"ES256", ec, "https://a/ b"},
	} {
		body, _ := json.Marshal(map[string]string{"jwt_alg": in[0], "name": name, "pubkey": in[1], "url": in[2]})
		a := r.call(adminToken, "POST", "/admin/policies/add-external-rule", string(body))
		if a.status != 400 || a.text("err_type") != "bad_request_params" {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
}
