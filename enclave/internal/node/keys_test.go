package node

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	secpecdsa "github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"

	"github.com/sallyport/sallyport/enclave/internal/mpc"
)

// A group is one key on the nodes of a cluster.
type group struct {
	*cluster
	scheme  string
	ids     []string // key ids, by node
	parties []string // keygen ids
	pubkey  string
}

// begin makes ids on some nodes.
func (c *cluster) begin(scheme string, nodes []int) *group {
	c.t.Helper()
	g := &group{cluster: c, scheme: scheme, ids: make([]string, len(c.rigs)), parties: make([]string, len(c.rigs))}
	for _, i := range nodes {
		a := c.rigs[i].ok(c.users[i], "GET", "/"+scheme+"/create", "")
		g.ids[i], g.parties[i] = a.text("key_id"), a.text("keygen_id")
	}
	return g
}

// others are the keygen ids of all but one node, as JSON.
func (g *group) others(i int) string {
	list := []string{}
	for j, p := range g.parties {
		if j != i && p != "" {
			list = append(list, p)
		}
	}
	b, _ := json.Marshal(list)
	return string(b)
}

func (g *group) keygenBody(i int, room string, n, t int) string {
	return fmt.Sprintf(`{"room_uuid":%q,"key_id":%q,"num_parties":%d,"threshold":%d,"others_keygen_ids":%s}`, room, g.ids[i], n, t, g.others(i))
}

func (c *cluster) keygen(scheme string, t int) *group {
	c.t.Helper()
	n := len(c.rigs)
	g, room := c.begin(scheme, upTo(n)), c.room(n)
	for _, a := range c.mustAll(upTo(n), "/"+scheme+"/keygen", func(i int) string { return g.keygenBody(i, room, n, t) }) {
		if g.pubkey == "" {
			g.pubkey = a.text("pubkey")
		}
		if a.text("pubkey") != g.pubkey {
			c.t.Fatal("nodes have different keys")
		}
	}
	return g
}

// signBody signs on ecdsa with sha256.
func (g *group) signBody(i int, room, msg, more string) string {
	hash := `,"hash_algo":"SHA256"`
	if g.scheme == "ed25519" {
		hash = ""
	}
	return fmt.Sprintf(`{"room_uuid":%q,"key_id":%q,"msg":%q%s%s}`, room, g.ids[i], hex.EncodeToString([]byte(msg)), hash, more)
}

func (g *group) sign(nodes []int, msg, more string) []answer {
	room := g.room(len(nodes))
	return g.all(nodes, "/"+g.scheme+"/sign", func(i int) string { return g.signBody(i, room, msg, more) })
}

// verify checks an answer by libraries that know nothing of this one.
func (g *group) verify(a answer, pubkey, msg string) {
	g.t.Helper()
	pub, err := hex.DecodeString(pubkey)
	if err != nil || a.status != 200 {
		g.t.Fatalf("%d %s %v", a.status, a.body, err)
	}
	if g.scheme == "ed25519" {
		sig, _ := hex.DecodeString(a.text("signature"))
		if !ed25519.Verify(pub, []byte(msg), sig) {
			g.t.Fatal("the signature does not verify")
		}
		return
	}
	der, _ := hex.DecodeString(a.text("der"))
	sig, err := secpecdsa.ParseDERSignature(der)
	key, kerr := secp256k1.ParsePubKey(pub)
	if err != nil || kerr != nil {
		g.t.Fatal(err, kerr)
	}
	d := sha256.Sum256([]byte(msg))
	if !sig.Verify(d[:], key) {
		g.t.Fatal("the signature does not verify")
	}
	compact, _ := hex.DecodeString(fmt.Sprintf("%02x", 31+int(a.json["v"].(float64))) + a.text("r") + a.text("s"))
	if got, _, err := secpecdsa.RecoverCompact(compact, d[:]); err != nil || !got.IsEqual(key) {
		g.t.Fatal("v does not recover the key")
	}
}

func TestKeygenAndSign(t *testing.T) {
	for _, scheme := range []string{"ecdsa", "ed25519"} {
		t.Run(scheme, func(t *testing.T) {
			c := newCluster(t, 3, nil)
			g := c.keygen(scheme, 2)
			for _, r := range c.rigs {
				r.restart()
			}
			for _, nodes := range [][]int{{0, 1}, {0, 2}, {1, 2}, {0, 1, 2}} {
				for _, a := range g.sign(nodes, "hello", "") {
					g.verify(a, g.pubkey, "hello")
				}
			}
			path := `,"derivation_path":[44,0,7]`
			child := c.rigs[0].ok(c.users[0], "POST", "/"+scheme+"/derive-pubkey", fmt.Sprintf(`{"key_id":%q,"derivation_path":[44,0,7]}`, g.ids[0])).text("pubkey")
			if child == g.pubkey {
				t.Error("the child is its parent")
			}
			g.verify(g.sign([]int{0, 1}, "hello", path)[0], child, "hello")
			if a := c.rigs[0].ok(c.users[0], "GET", "/"+scheme+"/list-keys", ""); !strings.Contains(a.body, g.pubkey) || !strings.Contains(a.body, `"state":"ready"`) {
				t.Error(a.body)
			}
		})
	}
}

func TestPartiesWithDifferentRequestsDoNotSign(t *testing.T) {
	c := newCluster(t, 2, nil)
	g := c.keygen("ecdsa", 2)
	room := c.room(2)
	for _, a := range c.all([]int{0, 1}, "/ecdsa/sign", func(i int) string { return g.signBody(i, room, fmt.Sprint("message ", i), "") }) {
		wantType(t, a, 400, "policy_validation_failed")
		if !strings.Contains(a.body, `"details":{"cause":"setup_differs"}`) {
			t.Error(a.body)
		}
	}
}

func TestFailureNamesItsCulprit(t *testing.T) {
	c := newCluster(t, 2, nil)
	g := c.keygen("ecdsa", 2)
	party, _ := mpc.ParsePartyID(g.parties[1])
	c.fail = &mpc.Failure{Cause: mpc.CauseMessage, Round: 3, Reason: "it lies", Culprits: []mpc.PartyID{party}}
	a := g.sign([]int{0, 1}, "m", "")[0]
	wantType(t, a, 400, "executor_result")
	if !strings.Contains(a.body, `"cause":"bad_message","culprits":["`+g.parties[1]+`"]`) {
		t.Error(a.body)
	}
}

func TestBatchSignsWhatItCan(t *testing.T) {
	c := newCluster(t, 2, nil)
	g := c.keygen("ecdsa", 2)
	rooms := []string{c.room(2), c.room(2), c.room(2)}
	body := func(i int) string {
		items := []string{g.signBody(i, rooms[0], "a", ""), g.signBody(i, rooms[1], "b", `,"derivation_path":[2147483648]`), g.signBody(i, rooms[2], "c", "")}
		return `{"sign_requests":[` + strings.Join(items, ",") + `]}`
	}
	for _, a := range c.mustAll([]int{0, 1}, "/ecdsa/batch-sign", body) {
		var items []json.RawMessage
		if err := json.Unmarshal([]byte(a.body), &items); err != nil || len(items) != 3 {
			t.Fatal(a.body)
		}
		for i, msg := range map[int]string{0: "a", 2: "c"} {
			one := answer{status: 200, body: string(items[i])}
			_ = json.Unmarshal(items[i], &one.json)
			g.verify(one, g.pubkey, msg)
		}
		if !strings.HasPrefix(string(items[1]), `{"err_msg":"derivation_path[0]`) {
			t.Errorf("%s", items[1])
		}
	}
}

func TestSharesAreLoadedByTheirOwnNameOnly(t *testing.T) {
	c := newCluster(t, 2, nil)
	one, two := c.keygen("ecdsa", 2), c.keygen("ecdsa", 2)
	r := c.rigs[0]
	r.mu.RLock()
	a, _ := parseID(one.ids[0])
	b, _ := parseID(two.ids[0])
	first, second := r.state.keys.byID[a].share.blob, r.state.keys.byID[b].share.blob
	r.mu.RUnlock()
	r.host.mu.Lock()
	r.host.blobs[first] = r.host.blobs[second]
	r.host.mu.Unlock()
	wantType(t, r.call(c.users[0], "POST", "/ecdsa/sign", one.signBody(0, c.room(2), "m", "")), 500, "internal_problem")
}

func TestKeysOfOthersDoNotExist(t *testing.T) {
	c := newCluster(t, 2, nil)
	g := c.keygen("ecdsa", 2)
	other, _ := c.rigs[0].newUser("other")
	for path, body := range map[string]string{
		"/ecdsa/sign":            g.signBody(0, c.room(2), "m", ""),
		"/ecdsa/keygen":          g.keygenBody(0, c.room(2), 2, 2),
		"/ecdsa/derive-pubkey":   fmt.Sprintf(`{"key_id":%q,"derivation_path":[]}`, g.ids[0]),
		"/ed25519/derive-pubkey": fmt.Sprintf(`{"key_id":%q,"derivation_path":[]}`, g.ids[0]),
	} {
		key := other
		if strings.HasPrefix(path, "/ed25519") {
			key = c.users[0]
		}
		wantType(t, c.rigs[0].call(key, "POST", path, body), 400, "key_id_not_exists")
	}
	wantType(t, c.rigs[0].call(other, "DELETE", "/ecdsa/delete-key/"+g.ids[0], ""), 400, "key_id_not_exists")
	c.rigs[0].ok(c.users[0], "DELETE", "/ecdsa/delete-key/"+g.ids[0], "")
	wantType(t, c.rigs[0].call(c.users[0], "DELETE", "/ecdsa/delete-key/"+g.ids[0], ""), 400, "key_id_not_exists")
	if len(c.forgot) != 1 {
		t.Error("half-done signatures outlive the share")
	}
}

func TestNoSecretLeavesWithAnAnswerOrStaysInTheJournal(t *testing.T) {
	c := newCluster(t, 2, nil)
	g := c.keygen("ecdsa", 2)
	r := c.rigs[0]
	id, _ := parseID(g.ids[0])
	h := &held{id: id, share: r.state.keys.byID[id].share, party: r.state.keys.byID[id].party}
	share, err := r.load(t.Context(), h)
	if err != nil {
		t.Fatal(err)
	}
	for i, record := range r.host.records {
		plain, err := r.sealer.Open(journalObject(uint64(i)), record)
		if err != nil || strings.Contains(string(plain), string(share.Secret.Expose())) {
			t.Errorf("entry %d holds the share: %v", i, err)
		}
	}
}
