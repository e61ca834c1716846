package mpc

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"os"
	"testing"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"

	"github.com/sallyport/sallyport/attestation"
	"github.com/sallyport/sallyport/host/client"
	"github.com/sallyport/sallyport/tests/appliance"
)

// member is a root user's client at one node of a running key group.
func member(t *testing.T, a *appliance.Appliance, node, user int) *client.Client {
	t.Helper()
	n := a.Nodes[node]
	text, err := os.ReadFile(n.AttestationRoot)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	root, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	trust, err := attestation.TrustLocal(root)
	if err != nil {
		t.Fatal(err)
	}
	quorum, err := hex.DecodeString(n.QuorumPublicKey)
	if err != nil {
		t.Fatal(err)
	}
	key, err := a.Users[user].Key()
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.New(client.Config{BaseURL: n.BaseURL, Trust: trust, QuorumPublicKey: quorum, OrganizationID: n.OrganizationID, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// activities are those of one organization over the processes: a key made at one
// node, used at each, and exported at the last.
func activities(t *testing.T, a *appliance.Appliance) {
	keys, err := member(t, a, 0, 0).CreatePrivateKeys(t.Context(), client.NewPrivateKey{PrivateKeyName: "of all", Curve: client.KeyCurveSecp256k1})
	if err != nil {
		t.Fatal(err)
	}
	key := keys[0].PrivateKeyID
	for node := range a.Nodes {
		c := member(t, a, node, node%2)
		listed, err := c.ListPrivateKeys(t.Context())
		if err != nil || len(listed) != 1 || listed[0].PrivateKeyID != key {
			t.Fatalf("node %d: %v, %v", node, listed, err)
		}
		public, err := hex.DecodeString(listed[0].PublicKey)
		if err != nil {
			t.Fatal(err)
		}
		sig, err := c.SignRawPayload(t.Context(), client.SignRawPayloadParams{SignWith: key, Payload: "over processes", Encoding: client.EncodingText, HashFunction: client.HashSHA256})
		if err != nil {
			t.Fatalf("node %d: %v", node, err)
		}
		if !signed(public, sig, "over processes") {
			t.Errorf("node %d: the signature does not verify", node)
		}
	}
	target, err := client.NewTargetKey()
	if err != nil {
		t.Fatal(err)
	}
	last := member(t, a, len(a.Nodes)-1, 0)
	out, err := last.ExportPrivateKey(t.Context(), key, target)
	if err != nil {
		t.Fatal(err)
	}
	listed, err := last.ListPrivateKeys(t.Context())
	if err != nil || hex.EncodeToString(secp256k1.PrivKeyFromBytes(out.Secret).PubKey().SerializeCompressed()) != listed[0].PublicKey {
		t.Errorf("another key was exported: %v", err)
	}
}

func signed(public []byte, sig *client.Signature, text string) bool {
	key, err := secp256k1.ParsePubKey(public)
	if err != nil {
		return false
	}
	var r, s secp256k1.ModNScalar
	for _, p := range []struct {
		to  *secp256k1.ModNScalar
		hex string
	}{{&r, sig.R}, {&s, sig.S}} {
		b, err := hex.DecodeString(p.hex)
		if err != nil || len(b) > 32 || p.to.SetByteSlice(b) {
			return false
		}
	}
	digest := sha256.Sum256([]byte(text))
	return ecdsa.NewSignature(&r, &s).Verify(digest[:], key)
}
