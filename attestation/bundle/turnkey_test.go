package bundle

import (
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/json"
	"os"
	"testing"

	"github.com/sallyport/sallyport/attestation/strictjson"
)

// TestSealedPartIsTurnkeys opens a bundle that Turnkey's production signer
// made: the signed data, its signature and the HPKE parameters are theirs.
func TestSealedPartIsTurnkeys(t *testing.T) {
	file, err := os.ReadFile("testdata/turnkey.json")
	if err != nil {
		t.Fatal(err)
	}
	var v struct {
		Data, DataSignature, EnclaveQuorumPublic, TargetPrivateKey strictjson.Hex
		OrganizationID, Plaintext                                  string
	}
	if err := json.Unmarshal(file, &v); err != nil {
		t.Fatal(err)
	}
	quorum, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), v.EnclaveQuorumPublic)
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256(v.Data)
	if !ecdsa.VerifyASN1(quorum, digest[:], v.DataSignature) {
		t.Error("the signature does not verify")
	}
	data, err := parseData(v.Data)
	if err != nil {
		t.Fatal(err)
	}
	if data.OrganizationID != v.OrganizationID {
		t.Errorf("organization = %s", data.OrganizationID)
	}
	target, err := ecdh.P256().NewPrivateKey(v.TargetPrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	plaintext, err := data.open(target)
	if err != nil || string(plaintext) != v.Plaintext {
		t.Errorf("opened %q, %v; want %q", plaintext, err, v.Plaintext)
	}
}
