package org

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/hpke"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	secpecdsa "github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"

	"github.com/sallyport/sallyport/attestation/bundle"
	"github.com/sallyport/sallyport/enclave/internal/keys"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
)

// A house is an organization of one root user on a key group.
type house struct {
	*world
	root person
	org  string
	n    int
}

func newHouse(t *testing.T, n, threshold int) *house {
	t.Helper()
	h := &house{world: newWorld(t, n, threshold), root: newPerson(t)}
	h.org = h.rigs[0].found(h.founding(1, h.root))
	return h
}

func (h *house) body(typ, parameters string) string { return activityBody(h.org, typ, parameters) }

// create makes a key, and returns its id.
func (h *house) create(r *rig, curve string) string {
	h.t.Helper()
	h.n++
	a := r.submitAs(h.root, "create_private_keys", h.createBody(fmt.Sprint("key ", h.n), curve))
	if a.at("activity.status") != "ACTIVITY_STATUS_COMPLETED" {
		h.t.Fatalf("creating a key: %d %s", a.status, a.body)
	}
	return a.at("activity.result.createPrivateKeysResultV2.privateKeys.0.privateKeyId")
}

func (h *house) createBody(name, curve string) string {
	return h.body("ACTIVITY_TYPE_CREATE_PRIVATE_KEYS_V2",
		fmt.Sprintf(`{"privateKeys":[{"privateKeyName":%q,"curve":%q,"privateKeyTags":[],"addressFormats":[]}]}`, name, curve))
}

func (h *house) signBody(key string, message []byte, hash string) string {
	return h.body("ACTIVITY_TYPE_SIGN_RAW_PAYLOAD_V2",
		fmt.Sprintf(`{"signWith":%q,"payload":"%x","encoding":"PAYLOAD_ENCODING_HEXADECIMAL","hashFunction":%q}`, key, message, hash))
}

func (h *house) sign(r *rig, key string, message []byte) answer {
	h.t.Helper()
	return r.submitAs(h.root, "sign_raw_payload", h.signBody(key, message, "HASH_FUNCTION_SHA256"))
}

func (h *house) privateKey(r *rig, key string) answer {
	h.t.Helper()
	return r.queryAs(h.root, "get_private_key", fmt.Sprintf(`{"organizationId":%q,"privateKeyId":%q}`, h.org, key))
}

func (h *house) mustSign(r *rig, key string, message []byte) {
	h.t.Helper()
	a := h.sign(r, key, message)
	if a.at("activity.status") != "ACTIVITY_STATUS_COMPLETED" {
		h.t.Fatalf("signing: %d %s", a.status, a.body)
	}
	public, err := secp256k1.ParsePubKey(unhex(h.t, h.privateKey(r, key).at("privateKey.publicKey")))
	if err != nil {
		h.t.Fatal(err)
	}
	var rr, ss secp256k1.ModNScalar
	rr.SetByteSlice(unhex(h.t, a.at("activity.result.signRawPayloadResult.r")))
	ss.SetByteSlice(unhex(h.t, a.at("activity.result.signRawPayloadResult.s")))
	digest := sha256.Sum256(message)
	if !secpecdsa.NewSignature(&rr, &ss).Verify(digest[:], public) {
		h.t.Fatalf("the signature does not verify: %s", a.body)
	}
}

func TestKeyGroupMakesAndUsesKeys(t *testing.T) {
	h := newHouse(t, 3, 2)
	key := h.create(h.rigs[0], "CURVE_SECP256K1")
	public := h.privateKey(h.rigs[0], key).at("privateKey.publicKey")
	for i, r := range h.rigs {
		h.mustSign(r, key, fmt.Append(nil, "message ", i))
		if got := h.privateKey(r, key).at("privateKey.publicKey"); got != public {
			t.Errorf("member %d: public key %q, want %q", i, got, public)
		}
	}
	ed := h.create(h.rigs[1], "CURVE_ED25519")
	a := h.rigs[2].submitAs(h.root, "sign_raw_payload", h.signBody(ed, []byte("text"), "HASH_FUNCTION_NOT_APPLICABLE"))
	sig := unhex(t, a.at("activity.result.signRawPayloadResult.r")+a.at("activity.result.signRawPayloadResult.s"))
	if !ed25519.Verify(unhex(t, h.privateKey(h.rigs[0], ed).at("privateKey.publicKey")), []byte("text"), sig) {
		t.Errorf("Ed25519: %d %s", a.status, a.body)
	}
	p := h.rigs[0].submitAs(h.root, "create_private_keys", h.createBody("p", "CURVE_P256"))
	if p.status != 400 || !strings.Contains(p.body, "CURVE_P256") || !strings.Contains(p.body, "proofs") {
		t.Errorf("P-256 must be refused with why: %d %s", p.status, p.body)
	}
	h.agree()
	for _, r := range h.rigs {
		r.restart()
	}
	h.mustSign(h.rigs[1], key, []byte("after a restart of all"))
	h.agree()
}

func TestManyPayloadsAreSignedInOneActivity(t *testing.T) {
	h := newHouse(t, 3, 2)
	key := h.create(h.rigs[0], "CURVE_SECP256K1")
	payloads := func(n int) string {
		var list []string
		for i := range n {
			list = append(list, fmt.Sprintf(`"%x"`, i+0x10))
		}
		return h.body("ACTIVITY_TYPE_SIGN_RAW_PAYLOADS", fmt.Sprintf(
			`{"signWith":%q,"payloads":[%s],"encoding":"PAYLOAD_ENCODING_HEXADECIMAL","hashFunction":"HASH_FUNCTION_SHA256"}`, key, strings.Join(list, ",")))
	}
	a := h.rigs[1].submitAs(h.root, "sign_raw_payloads", payloads(9))
	if a.at("activity.result.signRawPayloadsResult.signatures.8.r") == "" {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := h.rigs[1].submitAs(h.root, "sign_raw_payloads", payloads(maxJointPayloads+1)); a.status != 400 {
		t.Errorf("too many payloads: %d %s", a.status, a.body)
	}
}

func TestOneMemberThatDiesIsNotMissedInSigning(t *testing.T) {
	h := newHouse(t, 3, 2)
	key := h.create(h.rigs[0], "CURVE_SECP256K1")
	for i, dead := range h.rigs {
		dead.stop()
		h.mustSign(h.rigs[(i+1)%3], key, fmt.Append(nil, "without ", i))
		h.mustSign(h.rigs[(i+2)%3], key, fmt.Append(nil, "without ", i, " at another"))
		a := h.rigs[(i+1)%3].submitAs(h.root, "create_private_keys", h.createBody(fmt.Sprint("for ", i), "CURVE_SECP256K1"))
		if a.status != 503 {
			t.Errorf("making a key without member %d: %d %s", i, a.status, a.body)
		}
		dead.start()
		h.agree()
	}
}

func TestAnotherQuorumSignsWhenOneFails(t *testing.T) {
	h := newHouse(t, 3, 2)
	key := h.create(h.rigs[0], "CURVE_SECP256K1")
	var failed atomic.Int32
	h.dealer.mu.Lock()
	h.dealer.fail = func(r *rig, op string) *mpc.Failure {
		if op != "sign" || r != h.rigs[1] {
			return nil
		}
		failed.Add(1)
		return mpc.Failf(mpc.CauseProtocol, []mpc.PartyID{{Node: r.node}}, "it sends nonsense")
	}
	h.dealer.mu.Unlock()
	for i := range 4 {
		h.mustSign(h.rigs[0], key, fmt.Append(nil, "message ", i))
	}
	// With the other one away, nothing is signed, and the failure names the culprit.
	h.rigs[2].stop()
	a := h.sign(h.rigs[0], key, []byte("last"))
	if a.status != 503 || !strings.Contains(a.body, "nonsense") {
		t.Errorf("without any other quorum: %d %s", a.status, a.body)
	}
	if failed.Load() == 0 {
		t.Error("the member that fails was never asked")
	}
	h.rigs[2].start()
}

func TestExportOfAGroupsKey(t *testing.T) {
	h := newHouse(t, 3, 2)
	key := h.create(h.rigs[0], "CURVE_SECP256K1")
	target, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	export := func(r *rig, key string) answer {
		return r.submitAs(h.root, "export_private_key", h.body("ACTIVITY_TYPE_EXPORT_PRIVATE_KEY",
			fmt.Sprintf(`{"privateKeyId":%q,"targetPublicKey":"%x"}`, key, target.PublicKey().Bytes())))
	}
	a := export(h.rigs[1], key)
	text := a.at("activity.result.exportPrivateKeyResult.exportBundle")
	if text == "" {
		t.Fatalf("exporting: %d %s", a.status, a.body)
	}
	secret := openBundle(t, text, target)
	public, err := keys.PublicKey(keys.Secp256k1, keys.NewSecret(secret))
	if err != nil || hex.EncodeToString(public) != h.privateKey(h.rigs[0], key).at("privateKey.publicKey") {
		t.Error("the bundle holds another key")
	}
	h.agree()
	for i, r := range h.rigs {
		if got := h.privateKey(r, key).at("privateKey.exported"); got != "true" {
			t.Errorf("member %d shows exported %q", i, got)
		}
		q := r.queryAs(h.root, "get_activity", fmt.Sprintf(`{"organizationId":%q,"activityId":%q}`, h.org, a.at("activity.id")))
		if q.at("activity.result.exportPrivateKeyResult.exportBundle") != text {
			t.Errorf("member %d shows another bundle: %s", i, q.body)
		}
	}
	h.mustSign(h.rigs[2], key, []byte("after the export"))
	ed := h.create(h.rigs[0], "CURVE_ED25519")
	if a := export(h.rigs[0], ed); a.status != 400 || !strings.Contains(a.body, "no seed") || !strings.Contains(a.body, reasonNoSeed) {
		t.Errorf("exporting an Ed25519 key: %d %s", a.status, a.body)
	}
	if h.privateKey(h.rigs[0], ed).at("privateKey.exported") != "false" {
		t.Error("a refused export marks the key")
	}
}

func openBundle(t *testing.T, text string, target *ecdh.PrivateKey) []byte {
	t.Helper()
	var outer struct {
		Data string `json:"data"`
	}
	if err := json.Unmarshal([]byte(text), &outer); err != nil {
		t.Fatal(err)
	}
	raw := unhex(t, outer.Data)
	var data struct {
		EncappedPublic string `json:"encappedPublic"`
		Ciphertext     string `json:"ciphertext"`
	}
	if err := json.Unmarshal(raw, &data); err != nil {
		t.Fatal(err)
	}
	enc := unhex(t, data.EncappedPublic)
	private, err := hpke.NewDHKEMPrivateKey(target)
	if err != nil {
		t.Fatal(err)
	}
	r, err := hpke.NewRecipient(enc, private, hpke.HKDFSHA256(), hpke.AES256GCM(), bundle.Info())
	if err != nil {
		t.Fatal(err)
	}
	plain, err := r.Open(bundle.AAD(enc, target.PublicKey().Bytes()), unhex(t, data.Ciphertext))
	if err != nil {
		t.Fatal(err)
	}
	return plain
}

// The same body at all members at once has one result.
func TestOneFingerprintHasOneResult(t *testing.T) {
	h := newHouse(t, 3, 2)
	key := h.create(h.rigs[0], "CURVE_SECP256K1")
	for i := range 4 {
		body := h.signBody(key, fmt.Append(nil, "same ", i), "HASH_FUNCTION_SHA256")
		answers := make([]answer, 6)
		var all sync.WaitGroup
		for k := range answers {
			all.Go(func() { answers[k] = h.rigs[k%3].submitAs(h.root, "sign_raw_payload", body) })
		}
		all.Wait()
		for _, a := range answers {
			if a.at("activity.result.signRawPayloadResult.r") == "" || a.at("activity.result.signRawPayloadResult.s") != answers[0].at("activity.result.signRawPayloadResult.s") {
				t.Fatalf("%d %s\nand %s", a.status, a.body, answers[0].body)
			}
		}
	}
	h.dealer.mu.Lock()
	defer h.dealer.mu.Unlock()
	if n := h.dealer.runs["sign"]; n > 8 { // a member may try what another is at; 24 requests came
		t.Errorf("%d signatures were made for 4 activities", n)
	}
}

// A member that dies while it carries out an activity leaves it to the others.
func TestActivityOutlivesItsExecutor(t *testing.T) {
	h := newHouse(t, 3, 2)
	key := h.create(h.rigs[0], "CURVE_SECP256K1")
	var once sync.Once
	dying := make(chan struct{})
	h.dealer.mu.Lock()
	h.dealer.before = func(r *rig, op string) {
		if r == h.rigs[0] && op == "sign" {
			once.Do(func() {
				h.part(r, true)
				close(dying)
			})
		}
	}
	h.dealer.mu.Unlock()
	body := h.signBody(key, []byte("handed over"), "HASH_FUNCTION_SHA256")
	go h.rigs[0].submitAs(h.root, "sign_raw_payload", body)
	<-dying
	a := h.rigs[1].submitAs(h.root, "sign_raw_payload", body)
	if a.at("activity.status") != "ACTIVITY_STATUS_COMPLETED" {
		t.Fatalf("at another member: %d %s", a.status, a.body)
	}
	h.part(h.rigs[0], false)
	h.agree()
	if b := h.rigs[0].submitAs(h.root, "sign_raw_payload", body); b.at("activity.result.signRawPayloadResult.s") != a.at("activity.result.signRawPayloadResult.s") {
		t.Errorf("two results: %s and %s", a.body, b.body)
	}
}

// Votes are verified by each contributor in its own copy: a member whose copy has come
// to differ contributes nothing, and says why with its digest.
func TestContributorWhoseCopyDiffersRefuses(t *testing.T) {
	h := newHouse(t, 3, 2)
	key := h.create(h.rigs[0], "CURVE_SECP256K1")
	h.agree()
	odd := h.rigs[1]
	oid, _ := parseID(h.org)
	odd.mu.Lock()
	odd.orgs[oid].quorum.threshold = 2
	odd.mu.Unlock()
	h.mustSign(h.rigs[0], key, []byte("by the two that are the same"))
	h.mustSign(h.rigs[2], key, []byte("by the two that are the same, again"))
	_, digest := odd.order.State()
	t2 := task{Organization: oid, Operation: opSign}
	t2.Slots, t2.Digest = h.rigs[0].order.State()
	_, err := callMember[empty](t.Context(), h.rigs[0].Service, odd.node, methodReady, t2)
	if err == nil || !strings.Contains(err.Error(), "digest") {
		t.Errorf("asking the copy that differs: %v", err)
	}
	if n, d := odd.order.State(); err != nil && n > 0 && !strings.Contains(err.Error(), hex.EncodeToString(d[:])) && !bytes.Equal(d[:], digest[:]) {
		t.Errorf("%v does not name the digest", err)
	}
}

func TestHalfDoneSignaturesAreDroppedWithAChange(t *testing.T) {
	h := newHouse(t, 3, 2)
	key := h.create(h.rigs[0], "CURVE_SECP256K1")
	h.mustSign(h.rigs[0], key, []byte("one"))
	h.dealer.mu.Lock()
	before := len(h.dealer.forgot)
	h.dealer.mu.Unlock()
	h.rigs[1].submitAs(h.root, "create_users", h.body("ACTIVITY_TYPE_CREATE_USERS_V2", usersOf("new")))
	h.agree()
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		h.dealer.mu.Lock()
		n := len(h.dealer.forgot)
		h.dealer.mu.Unlock()
		if n > before {
			return
		}
	}
	t.Error("nothing was dropped")
}

func TestResultsAreVerifiedByEachMember(t *testing.T) {
	h := newHouse(t, 3, 2)
	key := h.create(h.rigs[0], "CURVE_SECP256K1")
	kid, _ := parseID(key)
	oid, _ := parseID(h.org)
	r := h.rigs[0]
	r.mu.RLock()
	k, o := r.orgs[oid].keys[kid], r.orgs[oid]
	r.mu.RUnlock()
	digest := sha256.Sum256([]byte("m"))
	good := signWith(keys.Secp256k1, keys.NewSecret(bytes.Repeat([]byte{1}, 32)), digest[:])
	for name, values := range map[string][][]byte{
		"of another key": {good}, "none": {}, "short": {good[:64]}, "zero": {make([]byte, 65)},
	} {
		if err := verifySigned(o, r.node, nil, signPlan{k, [][]byte{digest[:]}}, signatures{values}); err == nil {
			t.Errorf("a signature that is %s is accepted", name)
		}
	}
	for name, edit := range map[string]func(*createdKey){
		"no members":      func(c *createdKey) { c.Joint.Members = nil },
		"local":           func(c *createdKey) { c.Joint = nil },
		"other threshold": func(c *createdKey) { c.Threshold = 3 },
		"no curve point":  func(c *createdKey) { c.Public = make([]byte, 33) },
		"of strangers":    func(c *createdKey) { c.Joint.Members[0].Party = mpc.PartyID{Node: mpc.NodeID{2, 9}}.String() },
	} {
		all, _ := o.group.parties(mpc.RoomID{3})
		share := dealKey(keys.Secp256k1, randomScalar(keys.Secp256k1), all, 2)[all[0]]
		c := createdKey{Public: share.Public, Threshold: 2, Joint: jointOf(share)}
		if err := o.group.verifyKey(keys.Secp256k1, &c); err != nil {
			t.Fatal(err)
		}
		edit(&c)
		if err := o.group.verifyKey(keys.Secp256k1, &c); err == nil {
			t.Errorf("a key that is %s is accepted", name)
		}
	}
}

func TestMembersRefuseCrewsThatAreNone(t *testing.T) {
	h := newHouse(t, 3, 2)
	a, b, c := h.rigs[0].node, h.rigs[1].node, h.rigs[2].node
	members := h.rigs[0].order.Members
	pair := func(x, y mpc.NodeID) []mpc.NodeID {
		if bytes.Compare(x[:], y[:]) > 0 {
			x, y = y, x
		}
		return []mpc.NodeID{x, y}
	}
	p := &part{task: task{Operation: opSign}}
	for name, test := range map[string]struct {
		op   string
		crew []mpc.NodeID
		size byte
		ok   bool
	}{
		"two":              {opSign, pair(a, b), 2, true},
		"without asker":    {opSign, pair(b, c), 2, false},
		"without the node": {opSign, pair(a, c), 2, false},
		"three":            {opSign, members, 3, false},
		"one twice":        {opSign, []mpc.NodeID{a, a}, 2, false},
		"a stranger":       {opSign, pair(a, mpc.NodeID{9}), 2, false},
		"other room":       {opSign, pair(a, b), 3, false},
		"create with two":  {opCreate, pair(a, b), 2, false},
		"create":           {opCreate, members, 3, true},
	} {
		p.Operation = test.op
		err := h.rigs[1].checkCrew(p, a, &contribution{Room: mpc.RoomID{test.size}, Crew: test.crew})
		if (err == nil) != test.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, method := range []string{methodReady, methodContribute, methodHeld, methodExecute} {
		stranger := port{h.world, mpc.NodeID{9}}
		if _, err := stranger.Call(t.Context(), a, method, []byte{0xa0}); err == nil || !strings.Contains(err.Error(), "no member") {
			t.Errorf("%s of a stranger: %v", method, err)
		}
		if _, err := (port{h.world, b}).Call(t.Context(), a, method, []byte("x")); err == nil || !strings.Contains(err.Error(), "not well formed") {
			t.Errorf("%s of nonsense: %v", method, err)
		}
	}
}

// Whatever the network loses and whoever restarts, an activity has one result, the
// same at all members.
func TestKeysOverABadNetworkAndRestarts(t *testing.T) {
	h := newHouse(t, 3, 2)
	h.mu.Lock()
	h.loss = 0.05
	h.mu.Unlock()
	until := func(r *rig, path, body string) answer {
		for deadline := time.Now().Add(20 * time.Second); ; {
			a := r.submitAs(h.root, path, body)
			if a.at("activity.status") == "ACTIVITY_STATUS_COMPLETED" {
				return a
			}
			if time.Now().After(deadline) || a.status != 503 && a.status != 200 {
				t.Fatalf("%s: %d %s", path, a.status, a.body)
			}
		}
	}
	made := until(h.rigs[0], "create_private_keys", h.createBody("key", "CURVE_SECP256K1"))
	key := made.at("activity.result.createPrivateKeysResultV2.privateKeys.0.privateKeyId")
	results := map[string]string{}
	for i := range 12 {
		if i%4 == 3 {
			h.rigs[i/4].restart()
		}
		body := h.signBody(key, fmt.Append(nil, "message ", i), "HASH_FUNCTION_SHA256")
		a := until(h.rigs[i%3], "sign_raw_payload", body)
		results[body] = a.at("activity.result.signRawPayloadResult.s")
	}
	h.mu.Lock()
	h.loss = 0
	h.mu.Unlock()
	h.agree()
	for body, want := range results {
		for i, r := range h.rigs {
			if a := r.submitAs(h.root, "sign_raw_payload", body); a.at("activity.result.signRawPayloadResult.s") != want {
				t.Errorf("member %d shows another result: %d %s", i, a.status, a.body)
			}
		}
	}
}
