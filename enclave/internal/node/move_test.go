package node

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/enclave/internal/keys"
	"github.com/sallyport/sallyport/enclave/internal/mpc/hd"
)

// moved is the same key under other ids.
func (g *group) moved(ids map[int]string) *group {
	out := &group{cluster: g.cluster, scheme: g.scheme, pubkey: g.pubkey, ids: make([]string, len(g.ids)), parties: make([]string, len(g.ids))}
	for i, id := range ids {
		out.ids[i] = id
	}
	return out
}

func (g *group) refresh(t testing.TB) *group {
	t.Helper()
	n := len(g.rigs)
	room := g.room(n)
	ids := map[int]string{}
	for i, a := range g.mustAll(upTo(n), "/"+g.scheme+"/refresh", func(i int) string { return fmt.Sprintf(`{"key_id":%q,"room_uuid":%q}`, g.ids[i], room) }) {
		ids[i] = a.text("key_id")
	}
	return g.moved(ids)
}

func TestRefreshKeepsTheKey(t *testing.T) {
	for _, scheme := range []string{"ecdsa", "ed25519"} {
		c := newCluster(t, 3, nil)
		g := c.keygen(scheme, 2)
		fresh := g.refresh(t)
		if slices.Equal(fresh.ids, g.ids) || fresh.exportID(0) == g.exportID(0) {
			t.Error("the new version has the name of the old one")
		}
		c.rigs[1].restart()
		fresh.verify(fresh.sign([]int{0, 1}, "m", "")[0], g.pubkey, "m")
		g.verify(g.sign([]int{1, 2}, "m", "")[0], g.pubkey, "m") // until it is deleted
		c.rigs[0].ok(c.users[0], "DELETE", "/"+scheme+"/delete-key/"+g.ids[0], "")
		fresh.verify(fresh.sign([]int{0, 2}, "m", "")[0], g.pubkey, "m")
	}
}

func TestWhatLeftWithOneVersionHasLeftWithAll(t *testing.T) {
	c := newCluster(t, 2, nil)
	g := c.keygen("ecdsa", 2)
	fresh := g.refresh(t)
	g.export([]int{0, 1}, g.to(0))
	wantType(t, fresh.sign([]int{0, 1}, "m", "")[0], 400, "policy_validation_failed")
	wantType(t, c.rigs[0].call(c.users[0], "POST", "/ecdsa/refresh", fmt.Sprintf(`{"key_id":%q,"room_uuid":%q}`, fresh.ids[0], c.room(2))), 400, "policy_validation_failed")
	c.rigs[0].restart()
	wantType(t, fresh.sign([]int{0, 1}, "m", "")[0], 400, "policy_validation_failed")
}

// reshare moves a key of the first old nodes to other nodes.
func (g *group) reshare(t testing.TB, olds, news []int, threshold int) (*group, []answer, []int) {
	t.Helper()
	next := g.begin(g.scheme, news)
	next.pubkey = g.pubkey
	var list []string
	for _, i := range news {
		list = append(list, next.parties[i])
	}
	ids, _ := json.Marshal(list)
	union := slices.Clone(olds)
	for _, i := range news {
		if !slices.Contains(union, i) {
			union = append(union, i)
		}
	}
	room := g.room(len(union))
	var out []answer
	paths := map[int]string{}
	for _, i := range union {
		paths[i] = "/" + g.scheme + "/reshare/new-party"
		if slices.Contains(olds, i) {
			paths[i] = "/" + g.scheme + "/reshare/existing-party"
		}
	}
	order := make([]chan answer, len(union))
	for at, i := range union {
		order[at] = make(chan answer, 1)
		key := next.ids[i]
		if slices.Contains(olds, i) {
			key = g.ids[i]
		}
		body := fmt.Sprintf(`{"key_id":%q,"keygen_ids":%s,"new_threshold":%d,"room_uuid":%q}`, key, ids, threshold, room)
		go func() { order[at] <- g.rigs[i].call(g.users[i], "POST", paths[i], body) }()
	}
	for at := range union {
		out = append(out, <-order[at])
	}
	return next, out, union
}

func TestReshareToOthers(t *testing.T) {
	for _, scheme := range []string{"ecdsa", "ed25519"} {
		c := newCluster(t, 5, nil)
		three := &cluster{world: c.world, t: t, rigs: c.rigs[:3], users: c.users[:3]}
		g := three.keygen(scheme, 2)
		g.cluster, g.ids, g.parties = c, append(g.ids, "", ""), append(g.parties, "", "")
		// 0 leaves, 1 and 2 stay, 3 and 4 come, and three must sign.
		next, out, union := g.reshare(t, []int{0, 1, 2}, []int{1, 2, 3, 4}, 3)
		for at, a := range out {
			want := next.ids[union[at]]
			if a.status != 200 || a.text("pubkey") != g.pubkey || a.text("key_id") != want {
				t.Fatalf("node %d: %d %s", union[at], a.status, a.body)
			}
		}
		next.verify(next.sign([]int{1, 3, 4}, "m", "")[0], g.pubkey, "m")
		for _, r := range c.rigs {
			r.restart()
		}
		next.verify(next.sign([]int{2, 3, 4}, "m", "")[0], g.pubkey, "m")
		for _, nodes := range [][]int{{0, 1}, {1, 2}} {
			for _, a := range g.sign(nodes, "m", "") {
				wantType(t, a, 400, "policy_validation_failed")
			}
			for _, a := range g.export(nodes, fmt.Sprintf(`,"export_to":%q`, g.parties[nodes[0]])) {
				wantType(t, a, 400, "policy_validation_failed")
			}
		}
	}
}

func TestPolicyOfAKeyMovesWithIt(t *testing.T) {
	c := newCluster(t, 2, nil)
	g := c.keygen("ecdsa", 2)
	r := c.rigs[0]
	policy := r.newPolicy("strict")
	r.admin("POST", "/admin/policies/attach-policy-to-key", fmt.Sprintf(`{"policy_id":%q,"key_id":%q}`, policy, g.ids[0]))
	fresh := g.refresh(t)
	if a := r.admin("GET", "/admin/policies/get-effective-key-policy?key_id="+fresh.ids[0], ""); !strings.Contains(a.body, `"attached":"key"`) {
		t.Error(a.body)
	}
	wantType(t, r.call(adminToken, "POST", "/admin/policies/delete-policy", fmt.Sprintf(`{"policy_id":%q}`, policy)), 400, "policy_in_use_by_keys")
}

func TestImport(t *testing.T) {
	seed := make([]byte, 32)
	rand.Read(seed)
	seedPublic := hex.EncodeToString(ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey))
	key, err := keys.Generate(keys.Secp256k1, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public, _ := keys.PublicKey(keys.Secp256k1, key)
	xprv, err := hd.XPriv(key, seed)
	if err != nil {
		t.Fatal(err)
	}
	scalar := strings.Repeat("00", 31) + "07"
	scalarRaw, _ := hex.DecodeString(scalar)
	scalarPublic, _ := keys.ScalarPublic(keys.Ed25519, keys.NewSecret(scalarRaw))
	for _, tc := range []struct{ name, scheme, private, more, pubkey string }{
		{"hex", "ecdsa", hex.EncodeToString(key.Expose()), "", hex.EncodeToString(public)},
		{"xprv", "ecdsa", string(xprv.Expose()), "", hex.EncodeToString(public)},
		{"scalar", "ed25519", scalar, "", hex.EncodeToString(scalarPublic)},
		{"seed", "ed25519", hex.EncodeToString(seed), `,"format":"ed25519-seed"`, seedPublic},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := newCluster(t, 3, nil)
			g, room := c.begin(tc.scheme, upTo(3)), c.room(3)
			bodies := make([]string, 3)
			for i := range bodies {
				bodies[i] = g.keygenBody(i, room, 3, 2)
			}
			bodies[1] = strings.TrimSuffix(bodies[1], "}") + fmt.Sprintf(`,"private_key":%q%s}`, tc.private, tc.more)
			out := make(chan answer, 3)
			for i := range 3 {
				path := "/import/import-key-share-recipient"
				if i == 1 {
					path = "/import/key-importer"
				}
				go func() { out <- c.rigs[i].call(c.users[i], "POST", "/"+tc.scheme+path, bodies[i]) }()
			}
			for range 3 {
				if a := <-out; a.status != 200 || a.text("pubkey") != tc.pubkey {
					t.Fatalf("%d %s", a.status, a.body)
				}
			}
			g.pubkey = tc.pubkey
			g.verify(g.sign([]int{0, 2}, "m", "")[0], tc.pubkey, "m")
			if tc.name == "xprv" {
				if a := g.export([]int{0, 2}, g.to(0))[0]; a.text("private_key") != tc.private {
					t.Error("the extended key that comes out is not the one that went in")
				}
			}
		})
	}
}

func TestImportRefusesWhatIsNoKey(t *testing.T) {
	c := newCluster(t, 2, nil)
	for scheme, list := range map[string][]string{
		"ecdsa":   {"", "00", strings.Repeat("00", 32), strings.Repeat("ff", 32), "xprv", strings.Repeat("zz", 32), `01","format":"ed25519-seed`},
		"ed25519": {strings.Repeat("ff", 32), strings.Repeat("00", 32), strings.Repeat("01", 32) + `","format":"seed`},
	} {
		g := c.begin(scheme, upTo(2))
		for _, private := range list {
			body := strings.TrimSuffix(g.keygenBody(0, c.room(2), 2, 2), "}") + `,"private_key":"` + private + `"}`
			a := c.rigs[0].call(c.users[0], "POST", "/"+scheme+"/import/key-importer", body)
			if a.status != 400 || a.text("err_type") != "bad_request_params" || len(private) > 20 && strings.Contains(a.body, private[:20]) {
				t.Errorf("%s: %d %s", private, a.status, a.body)
			}
		}
	}
}

func (g *group) backup(i int) string {
	return g.rigs[i].ok(g.users[i], "GET", "/"+g.scheme+"/backup/export-key-share/"+g.ids[i], "").text("key_share")
}

func (g *group) restore(i int, share string) answer {
	return g.rigs[i].call(g.users[i], "POST", "/"+g.scheme+"/backup/import-key-share", fmt.Sprintf(`{"export_type":"encrypted","key_share":%q}`, share))
}

func TestBackupComesBackOnceAndOnlyHere(t *testing.T) {
	c := newCluster(t, 2, nil)
	g := c.keygen("ed25519", 2)
	share := g.backup(0)
	wantType(t, g.restore(0, share), 400, "unique_violation") // it is there
	wantType(t, g.restore(1, share), 400, "bad_request_params")
	wantType(t, g.restore(0, share[:len(share)-8]+"AAAAAAA="), 400, "bad_request_params")
	ecdsa := &group{cluster: c, scheme: "ecdsa", ids: g.ids}
	wantType(t, ecdsa.restore(0, share), 400, "bad_request_params")
	other, _ := c.rigs[0].newUser("other")
	wantType(t, c.rigs[0].call(other, "POST", "/ed25519/backup/import-key-share", fmt.Sprintf(`{"export_type":"encrypted","key_share":%q}`, share)), 400, "bad_request_params")
	wantType(t, c.rigs[0].call(c.users[0], "POST", "/ed25519/backup/import-key-share", fmt.Sprintf(`{"export_type":"plaintext","key_share":%q}`, share)), 400, "bad_request_params")
	c.rigs[0].ok(c.users[0], "DELETE", "/ed25519/delete-key/"+g.ids[0], "")
	c.rigs[0].restart()
	back := g.restore(0, share)
	if back.status != 200 || back.text("key_id") == g.ids[0] {
		t.Fatal(back.body)
	}
	g.ids[0] = back.text("key_id")
	g.verify(g.sign([]int{0, 1}, "m", "")[0], g.pubkey, "m")
}

func TestOldVersionDoesNotComeBack(t *testing.T) {
	c := newCluster(t, 2, nil)
	g := c.keygen("ecdsa", 2)
	share := g.backup(0)
	g.refresh(t)
	c.rigs[0].ok(c.users[0], "DELETE", "/ecdsa/delete-key/"+g.ids[0], "")
	wantType(t, g.restore(0, share), 400, "policy_validation_failed")
	c.rigs[0].restart()
	wantType(t, g.restore(0, share), 400, "policy_validation_failed")
	wantType(t, c.rigs[1].call(c.users[1], "GET", "/ecdsa/backup/export-key-share/"+g.ids[1], ""), 400, "policy_validation_failed")
}

func TestMemberWithoutItsShareStillMarks(t *testing.T) {
	c := newCluster(t, 3, nil)
	g := c.keygen("ecdsa", 2)
	backup := c.rigs[2].ok(c.users[2], "GET", "/ecdsa/backup/export-key-share/"+g.ids[2], "")
	c.rigs[2].ok(c.users[2], "DELETE", "/ecdsa/delete-key/"+g.ids[2], "")
	c.away[c.rigs[1].node()] = true
	g.export([]int{0, 1}, g.to(0))
	restored := c.rigs[2].ok(c.users[2], "POST", "/ecdsa/backup/import-key-share", fmt.Sprintf(`{"export_type":"encrypted","key_share":%q}`, backup.text("key_share")))
	g.ids[2] = restored.text("key_id")
	wantType(t, g.sign([]int{2, 1}, "m", "")[0], 400, "policy_validation_failed")
}
