package mpc

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"slices"
	"testing"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"

	"github.com/sallyport/sallyport/attestation"
	"github.com/sallyport/sallyport/attestation/bundle"
	"github.com/sallyport/sallyport/attestation/bundle/shares"
	"github.com/sallyport/sallyport/enclave/enclavetest"
	"github.com/sallyport/sallyport/host/client"
)

func TestKeyIsRefreshedAndMovedAndStaysTheSame(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 4)
	three := &cluster{t: t, nodes: c.nodes[:3]}
	for _, scheme := range []string{"ecdsa", "ed25519"} {
		old, public := three.keygen(scheme, 2)
		room := c.room(3)
		var ids []string
		for _, o := range three.good([]int{0, 1, 2}, "/"+scheme+"/refresh", func(n int) fields { return fields{"key_id": old[n], "room_uuid": room} }) {
			ids = append(ids, o["key_id"].(string))
		}
		c.sign(scheme, ids, public, []int{0, 2}, "refreshed")
		moved := c.reshare(scheme, ids, []int{1, 2, 3}, 3)
		c.sign(scheme, moved, public, []int{1, 2, 3}, "moved")
		room = c.room(2)
		status, out := c.together([]int{0, 1}, "/"+scheme+"/sign", func(n int) fields {
			return fields{"room_uuid": room, "key_id": ids[n], "msg": "00", "hash_algo": "sha256"}
		})
		if status[0] != 400 || status[1] != 400 {
			t.Errorf("the old members still sign: %v %v", status, out)
		}
	}
}

// reshare moves a key of nodes 0 to 2 to other nodes, and returns its ids there.
func (c *cluster) reshare(scheme string, old []string, to []int, threshold int) []string {
	c.t.Helper()
	var parties []string
	ids := make([]string, len(c.nodes))
	for _, n := range to {
		out := c.must(n, "GET", "/"+scheme+"/create", nil)
		ids[n] = out["key_id"].(string)
		parties = append(parties, out["keygen_id"].(string))
	}
	existing := func(n int) bool { return n < 3 }
	room := c.room(4)
	out := c.goodEach([]int{0, 1, 2, 3}, func(n int) string {
		if existing(n) {
			return "/" + scheme + "/reshare/existing-party"
		}
		return "/" + scheme + "/reshare/new-party"
	}, func(n int) fields {
		q := fields{"key_id": ids[n], "keygen_ids": parties, "new_threshold": threshold, "room_uuid": room}
		if existing(n) {
			q["key_id"] = old[n]
		}
		return q
	})
	for n, o := range out {
		if slices.Contains(to, n) && o["key_id"] != ids[n] {
			c.t.Fatalf("node %d answered %v", n, o)
		}
	}
	return ids
}

func TestKeyFromElsewhereIsSplitAndSigns(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3)
	ours, err := secp256k1.GeneratePrivateKey()
	if err != nil {
		t.Fatal(err)
	}
	theirs, seed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for scheme, key := range map[string]struct {
		private, format, public string
	}{
		"ecdsa":   {hex.EncodeToString(ours.Serialize()), "", hex.EncodeToString(ours.PubKey().SerializeCompressed())},
		"ed25519": {hex.EncodeToString(seed.Seed()), "ed25519-seed", hex.EncodeToString(theirs)},
	} {
		all, ids, parties := c.create(scheme)
		room := c.room(3)
		out := c.goodEach(all, func(n int) string {
			if n == 1 {
				return "/" + scheme + "/import/key-importer"
			}
			return "/" + scheme + "/import/import-key-share-recipient"
		}, func(n int) fields {
			q := keygenBody(n, room, ids, parties, 2)
			if n == 1 {
				q["private_key"] = key.private
				if key.format != "" {
					q["format"] = key.format
				}
			}
			return q
		})
		if out[0]["pubkey"] != key.public {
			t.Fatalf("imported %v", out[0])
		}
		c.sign(scheme, ids, key.public, []int{0, 2}, "from elsewhere")
	}
}

func TestShareComesBackFromItsBackup(t *testing.T) {
	t.Parallel()
	c, enclaves := newEnclaves(t, 3)
	ids, public := c.keygen("ecdsa", 2)
	share := c.must(1, "GET", "/ecdsa/backup/export-key-share/"+ids[1], nil)
	c.must(1, "DELETE", "/ecdsa/delete-key/"+ids[1], nil)
	for _, e := range enclaves {
		e.Restart(t)
	}
	ids[1] = c.must(1, "POST", "/ecdsa/backup/import-key-share", share)["key_id"].(string)
	c.sign("ecdsa", ids, public, []int{1, 2}, "from the backup")

	room := c.room(3)
	c.good([]int{0, 1, 2}, "/ecdsa/refresh", func(n int) fields { return fields{"key_id": ids[n], "room_uuid": room} })
	c.must(1, "DELETE", "/ecdsa/delete-key/"+ids[1], nil)
	if status, out := c.nodes[1].ask(t.Context(), "POST", "/ecdsa/backup/import-key-share", c.nodes[1].token, share); status != 400 {
		t.Errorf("a version that was refreshed came back: %d %v", status, out)
	}
}

// pins are what a client knows of the nodes.
func pins(t *testing.T, enclaves []*enclavetest.Enclave) (out []client.Appliance) {
	for _, e := range enclaves {
		m, err := attestation.ParseManifest(e.Manifest)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, client.Appliance{Trust: e.Trust, QuorumPublicKey: m.QuorumPublicKey})
	}
	return out
}

func TestKeyLeavesSealedToItsOwner(t *testing.T) {
	t.Parallel()
	c, enclaves := newEnclaves(t, 3)
	pinned := pins(t, enclaves)
	target, err := client.NewTargetKey()
	if err != nil {
		t.Fatal(err)
	}
	point, err := hex.DecodeString(target.PublicHex())
	if err != nil {
		t.Fatal(err)
	}
	for _, scheme := range []string{"ecdsa", "ed25519"} {
		ids, public := c.keygen(scheme, 2)
		to := c.must(1, "GET", "/"+scheme+"/export/exportId/"+ids[1], nil)["export_id"]
		room := c.room(2)
		out := c.good([]int{0, 1}, "/"+scheme+"/export/full", func(n int) fields {
			return fields{"room_uuid": room, "key_id": ids[n], "export_to": to, "target_public_key": target.PublicHex()}
		})
		if len(out[0]) != 1 || out[0]["private_key"] != "" || out[1]["private_key"] != "" {
			t.Errorf("the answers are %v", out)
		}
		text, _ := json.Marshal(out[1]["bundle"])
		if _, err := bundle.Verify(text, bundle.Expect{
			Trust: pinned[1].Trust, QuorumPublicKey: pinned[1].QuorumPublicKey, TargetPublicKey: point, PublicKey: public,
			OrganizationID: bundle.NodeOrganization(pinned[1].QuorumPublicKey),
		}); err != nil {
			t.Error(err)
		}

		room = c.room(3)
		var answers [][]byte
		for _, o := range c.good([]int{0, 1, 2}, "/"+scheme+"/export/full", func(n int) fields {
			return fields{"room_uuid": room, "key_id": ids[n], "mode": "shares", "target_public_key": target.PublicHex()}
		}) {
			b, _ := json.Marshal(o)
			answers = append(answers, b)
		}
		combines(t, target, pinned, public, answers)
	}
}

// combines makes the key of all pairs of shares, and of nothing less.
func combines(t *testing.T, target *client.TargetKey, pinned []client.Appliance, public string, answers [][]byte) {
	t.Helper()
	for i := range answers {
		k, err := client.CombineShares(target, pinned, answers[i], answers[(i+1)%3])
		if err != nil || k.PublicKey != public || len(k.Secret) != 32 {
			t.Errorf("shares %d and %d: %v, %v", i, (i+1)%3, k, err)
		}
	}
	var share *shares.Error
	if _, err := client.CombineShares(target, pinned, answers[0]); !errors.As(err, &share) || share.Missing != 1 {
		t.Errorf("one share: %v", err)
	}
	if _, err := client.CombineShares(target, pinned, answers[0], answers[0]); !errors.As(err, &share) || share.Party == "" {
		t.Errorf("the same share twice: %v", err)
	}
	var refused *bundle.Error
	if _, err := client.CombineShares(target, pinned[:1], answers...); !errors.As(err, &refused) || refused.Reason != bundle.ReasonQuorumKey {
		t.Errorf("of a node that is not pinned: %v", err)
	}
	other, err := client.NewTargetKey()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.CombineShares(other, pinned, answers...); !errors.As(err, &refused) || refused.Reason != bundle.ReasonTargetKey {
		t.Errorf("with another target key: %v", err)
	}
}
