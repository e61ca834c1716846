package node

import (
	"crypto/ecdh"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/attestation/bundle"
	"github.com/sallyport/sallyport/attestation/bundle/shares"
	"github.com/sallyport/sallyport/enclave/internal/keys"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
	"github.com/sallyport/sallyport/enclave/internal/mpc/hd"
)

func (g *group) exportBody(i int, room, more string) string {
	return fmt.Sprintf(`{"key_id":%q,"room_uuid":%q%s}`, g.ids[i], room, more)
}

func (g *group) export(nodes []int, more string) []answer {
	room := g.room(len(nodes))
	return g.all(nodes, "/"+g.scheme+"/export/full", func(i int) string { return g.exportBody(i, room, more) })
}

func (g *group) exportID(i int) string {
	return g.rigs[i].ok(g.users[i], "GET", "/"+g.scheme+"/export/exportId/"+g.ids[i], "").text("export_id")
}

func (g *group) to(i int) string { return fmt.Sprintf(`,"export_to":%q`, g.exportID(i)) }

// wantKey wants a scalar to be the private key.
func (g *group) wantKey(scalar []byte) {
	g.t.Helper()
	curve := schemes[g.scheme].curve
	public, err := keys.ScalarPublic(curve, keys.NewSecret(scalar))
	if err != nil || hex.EncodeToString(public) != g.pubkey {
		g.t.Fatalf("another key came out: %v", err)
	}
}

func TestOneExportsToOne(t *testing.T) {
	for _, tc := range []struct{ scheme, format, named string }{
		{"ecdsa", "", ""},
		{"ecdsa", "xpriv", ""},
		{"ecdsa", "xprv", ""},
		{"ecdsa", "hex", "hex"},
		{"ed25519", "", "ed25519-scalar"},
		{"ed25519", "ed25519-scalar", "ed25519-scalar"},
		{"ed25519", "hex", "ed25519-scalar"},
	} {
		t.Run(tc.scheme+" "+tc.format, func(t *testing.T) {
			c := newCluster(t, 3, nil)
			g := c.keygen(tc.scheme, 2)
			more := g.to(2)
			if tc.format != "" {
				more += fmt.Sprintf(`,"format":%q`, tc.format)
			}
			out := g.export([]int{0, 2}, more)
			if out[0].status != 200 || out[0].body != `{"private_key":""}` {
				t.Errorf("the other got %s", out[0].body)
			}
			text := out[1].text("private_key")
			if out[1].status != 200 || out[1].text("format") != tc.named {
				t.Fatal(out[1].body)
			}
			if tc.named != "" {
				raw, err := hex.DecodeString(text)
				if err != nil {
					t.Fatal(err)
				}
				g.wantKey(raw)
				return
			}
			key, chain, err := hd.ParseXPriv(text)
			if err != nil || len(chain) != 32 || out[1].body != fmt.Sprintf(`{"private_key":%q}`, text) {
				t.Fatal(err, out[1].body)
			}
			g.wantKey(key.Expose())
		})
	}
}

func TestExportedKeySignsNoMore(t *testing.T) {
	c := newCluster(t, 3, nil)
	g := c.keygen("ecdsa", 2)
	g.export([]int{0, 1}, g.to(0))
	c.rigs[2].restart() // it was not in the room, and knows all the same
	for _, nodes := range [][]int{{0, 1}, {1, 2}, {0, 2}} {
		for _, a := range g.sign(nodes, "m", "") {
			wantType(t, a, 400, "policy_validation_failed")
		}
	}
	for i, r := range c.rigs {
		if a := r.ok(c.users[i], "GET", "/ecdsa/list-keys", ""); !strings.Contains(a.body, `"state":"exported"`) {
			t.Error(a.body)
		}
	}
	// But a lost export can be repeated.
	if a := g.export([]int{1, 2}, g.to(1))[0]; a.text("private_key") == "" {
		t.Error(a.body)
	}
}

func TestTooFewMembersRefuseTheExport(t *testing.T) {
	c := newCluster(t, 4, nil)
	g := c.keygen("ecdsa", 2)
	more := g.to(0)
	c.away[c.rigs[2].node()], c.away[c.rigs[3].node()] = true, true
	for _, a := range g.export([]int{0, 1}, more) {
		wantType(t, a, 400, "executor_result")
		if !strings.Contains(a.body, `"cause":"too_few_members","culprits":["`+g.parties[2]) && !strings.Contains(a.body, g.parties[3]) {
			t.Error(a.body)
		}
		if a.text("private_key") != "" {
			t.Error("a key came out")
		}
	}
	c.away[c.rigs[3].node()] = false // three of four are enough
	if a := g.export([]int{0, 1}, more)[0]; a.text("private_key") == "" {
		t.Error(a.body)
	}
}

func TestOnlyMembersMark(t *testing.T) {
	c := newCluster(t, 3, nil)
	g := &group{cluster: c, scheme: "ecdsa"}
	two := c.begin("ecdsa", []int{0, 1})
	room := c.room(2)
	c.mustAll([]int{0, 1}, "/ecdsa/keygen", func(i int) string { return two.keygenBody(i, room, 2, 2) })
	g.ids, g.parties = two.ids, two.parties
	id, _ := parseID(g.ids[0])
	tag := c.rigs[0].state.keys.byID[id].share.tag
	stranger := &fakeRunner{c.world, c.rigs[2].node()}
	if _, err := stranger.Call(t.Context(), c.rigs[0].node(), methodMarkExported, mustEncode(markBody{tag})); err == nil {
		t.Error("a stranger has marked a key")
	}
	if _, err := stranger.Call(t.Context(), c.rigs[0].node(), methodMarkExported, []byte{0xff}); err == nil {
		t.Error("garbage was taken")
	}
	for _, a := range g.sign([]int{0, 1}, "m", "") {
		if a.status != 200 {
			t.Error(a.body)
		}
	}
}

func TestPlaintextNeedsTheManifest(t *testing.T) {
	c := newCluster(t, 2, func(r *rig) { r.rules.Plaintext = false })
	g := c.keygen("ecdsa", 2)
	for _, a := range g.export([]int{0, 1}, g.to(0)) {
		wantType(t, a, 400, "policy_validation_failed")
		if m := a.text("err_msg"); !strings.Contains(m, "target_public_key") || !strings.Contains(m, `"shares"`) {
			t.Error("the ways out are not named: " + m)
		}
	}
}

func newTarget(t *testing.T) (*ecdh.PrivateKey, string) {
	t.Helper()
	key, err := bundle.NewTarget(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key, fmt.Sprintf(`,"target_public_key":%q`, hex.EncodeToString(key.PublicKey().Bytes()))
}

// open verifies and opens the bundle of an answer as its client does.
func (g *group) open(i int, a answer, target *ecdh.PrivateKey) []byte {
	g.t.Helper()
	if a.status != 200 || a.text("private_key") != "" {
		g.t.Fatal(a.body)
	}
	var body struct {
		Bundle json.RawMessage `json:"bundle"`
	}
	if err := json.Unmarshal([]byte(a.body), &body); err != nil {
		g.t.Fatal(err)
	}
	r := g.rigs[i]
	plain, v, err := bundle.Open(body.Bundle, target, bundle.Expect{
		Trust: r.trust, QuorumPublicKey: r.boot.QuorumPublic, OrganizationID: bundle.NodeOrganization(r.boot.QuorumPublic),
		PrivateKeyID: g.ids[i], PublicKey: g.pubkey,
	})
	if err != nil || a.text("organization_id") != bundle.NodeOrganization(r.boot.QuorumPublic) {
		g.t.Fatal(err)
	}
	if v.Statement.JournalIndex >= uint64(len(r.host.records)) {
		g.t.Error("the proof names an entry that is not there")
	}
	return plain
}

func TestSealedExport(t *testing.T) {
	for _, scheme := range []string{"ecdsa", "ed25519"} {
		c := newCluster(t, 3, func(r *rig) { r.rules.Plaintext = false })
		g := c.keygen(scheme, 2)
		target, field := newTarget(t)
		out := g.export([]int{1, 2}, g.to(1)+field)
		if out[1].body != `{"private_key":""}` {
			t.Errorf("the other got %s", out[1].body)
		}
		g.wantKey(g.open(1, out[0], target))
	}
}

func TestSharesLeaveSealedAndCombineAtTheClient(t *testing.T) {
	for _, scheme := range []string{"ecdsa", "ed25519"} {
		c := newCluster(t, 3, func(r *rig) { r.rules.Plaintext = false })
		g := c.keygen(scheme, 2)
		target, field := newTarget(t)
		var list []*shares.Share
		for at, a := range g.export([]int{0, 2}, field+`,"mode":"shares"`) {
			share, err := shares.Parse(g.open([]int{0, 2}[at], a, target))
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, share)
		}
		key, err := shares.Combine(list)
		if err != nil {
			t.Fatal(err)
		}
		g.wantKey(key)
		wantType(t, g.sign([]int{1, 2}, "m", "")[0], 400, "policy_validation_failed")
	}
}

func TestPartiesMustBeAskedForTheSameExport(t *testing.T) {
	c := newCluster(t, 2, nil)
	g := c.keygen("ecdsa", 2)
	_, one := newTarget(t)
	_, two := newTarget(t)
	for name, more := range map[string][2]string{
		"target":    {g.to(0) + one, g.to(0) + two},
		"plaintext": {g.to(0) + one, g.to(0)},
		"recipient": {g.to(0), g.to(1)},
		"format":    {g.to(0), g.to(0) + `,"format":"hex"`},
		"mode":      {one + `,"mode":"shares"`, one + `,"mode":"shares"` + g.to(0)},
		"targets":   {one + `,"mode":"shares"`, two + `,"mode":"shares"`},
	} {
		room := c.room(2)
		for _, a := range c.all([]int{0, 1}, "/ecdsa/export/full", func(i int) string { return g.exportBody(i, room, more[i]) }) {
			if a.status != 400 || a.text("err_type") != "policy_validation_failed" || strings.Contains(a.body, "bundle") {
				t.Errorf("%s: %d %s", name, a.status, a.body)
			}
		}
	}
}

func TestExportRefusesWhatItCannotDo(t *testing.T) {
	c := newCluster(t, 2, nil)
	g := c.keygen("ecdsa", 2)
	other := c.keygen("ecdsa", 2)
	_, field := newTarget(t)
	for name, more := range map[string]string{
		"no recipient":       "",
		"another key's":      other.to(0),
		"not a party":        `,"export_to":"01"`,
		"format":             g.to(0) + `,"format":"wif"`,
		"scalar of ecdsa":    g.to(0) + `,"format":"ed25519-scalar"`,
		"xpriv in a bundle":  g.to(0) + field + `,"format":"xpriv"`,
		"mode":               g.to(0) + `,"mode":"all"`,
		"shares in plain":    g.to(0) + `,"mode":"shares"`,
		"target of 64":       g.to(0) + `,"target_public_key":"` + strings.Repeat("ab", 32) + `"`,
		"another case":       g.to(0) + `,"Format":"hex"`,
		"relay without port": g.to(0) + `,"relay_address":"example.com"`,
	} {
		a := c.rigs[0].call(c.users[0], "POST", "/ecdsa/export/full", g.exportBody(0, c.room(2), more))
		if a.status != 400 || a.text("err_type") != "bad_request_params" {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	if c.last != nil {
		if _, ok := c.last.(*mpc.ExportRequest); ok {
			t.Error("a refused request came to the runner")
		}
	}
}
