package main

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/attestation"
	"github.com/sallyport/sallyport/attestation/attestationtest"
)

func TestPeersAndNodeAPIOfTheManifestAreShown(t *testing.T) {
	d, pki, _, keys := enclave(t)
	raw, err := os.ReadFile(d.path("manifest.json"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := attestation.ParseManifest(raw)
	if err != nil {
		t.Fatal(err)
	}
	peer := keys[:65]
	admin := append([]byte{2 + keys[129]&1}, keys[66:98]...) // the second key, compressed
	m.Peers = []attestation.Peer{{
		Name: "the other one", QuorumPublicKey: peer, Measurements: m.Measurements, AttestationRoot: pki.Root.Raw,
	}}
	m.KeyGroup = &attestation.KeyGroup{Threshold: 2}
	m.NodeAPI = &attestation.NodeAPI{AdminTokenSHA256: make([]byte, 32), AdminKeys: [][]byte{admin}, BearerMay: []string{"export", "sign"}, Backup: true}
	if err := m.Check(); err != nil {
		t.Fatal(err)
	}
	text := m.Encode()
	d.file("peers.json", string(text))
	d.file("boot.bin", string(pki.Sign(attestationtest.Boot(keys, attestation.Hash(text)))))
	args := []string{"document", "boot.bin", "--kind", "boot", "--local-root", "root.pem", "--manifest", "peers.json"}
	status, out, errs := d.run(args...)
	if status != exitVerified {
		t.Fatalf("status %d: %s", status, errs)
	}
	wants(t, out, "the other one", "quorum key "+hex.EncodeToString(peer), "2 of 2 members sign", "whoever has the admin token, the key "+hex.EncodeToString(admin),
		"a bearer credential alone may ask for: export, sign", "shares may be backed up", "WARNING: the manifest lets a bearer credential",
		"ask alone for export\n", "ask alone for sign\n", "image PCR0 "+hex.EncodeToString(m.Measurements[0].PCR0[:]))
	_, out, _ = d.run(append(args, "--json")...)
	var r report
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatal(err)
	}
	got := r.Manifest
	if len(got.Peers) != 1 || got.Peers[0].Name != "the other one" || got.KeyGroup.Threshold != 2 || !got.NodeAPI.Backup || !got.NodeAPI.AdminToken ||
		len(got.NodeAPI.AdminKeys) != 1 || strings.Join(got.NodeAPI.BearerMay, " ") != "export sign" {
		t.Errorf("reported as %s", out)
	}
}
