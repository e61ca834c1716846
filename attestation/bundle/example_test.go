package bundle_test

import (
	"crypto/ecdh"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log"
	"os"

	"github.com/sallyport/sallyport/attestation"
	"github.com/sallyport/sallyport/attestation/bundle"
)

// A client makes a target key, sends its public half with the request, and
// opens the bundle that comes back. Here the bundle is the first of the
// published vectors, made by a local platform; against Nitro the trust would
// be attestation.TrustAWS with the measurements of the images to accept.
func ExampleOpen() {
	file := exampleVectors()
	block, _ := pem.Decode([]byte(file.LocalRoot))
	root, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		log.Fatal(err)
	}
	trust, err := attestation.TrustLocal(root)
	if err != nil {
		log.Fatal(err)
	}
	target, err := ecdh.P256().NewPrivateKey(file.TargetPrivateKey)
	if err != nil {
		log.Fatal(err)
	}

	key, verified, err := bundle.Open([]byte(file.Vectors[0].Bundle), target, bundle.Expect{
		Trust:           trust,
		QuorumPublicKey: file.QuorumPublicKey,
		OrganizationID:  "1a2b3c4d-5e6f-8a7b-8c9d-0e1f2a3b4c5d",
		PrivateKeyID:    "6f1c8f0e-8c7f-4f4e-9a55-0a4c0e2d5b11",
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%d bytes, assurance %s, journal entry %d\n", len(key), verified.Assurance, verified.Statement.JournalIndex)
	// Compare the key with verified.Statement.PublicKey before using it.

	// Output: 32 bytes, assurance local, journal entry 42
}

// An auditor verifies without the target key, and sees why a bundle is
// refused.
func ExampleVerify() {
	file := exampleVectors()
	block, _ := pem.Decode([]byte(file.LocalRoot))
	root, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		log.Fatal(err)
	}
	trust, err := attestation.TrustLocal(root)
	if err != nil {
		log.Fatal(err)
	}
	target, err := hex.DecodeString("04488fb83108ef8bcce7c4135a1f608e973d0e25893b3b916cba0bc9c1837a0641" +
		"9c145dc9984764dec978401d6196beff51959930d7be6de7bb4afde94abbb1eb")
	if err != nil {
		log.Fatal(err)
	}

	_, err = bundle.Verify([]byte(file.Vectors[0].Bundle), bundle.Expect{
		Trust:           trust,
		QuorumPublicKey: file.QuorumPublicKey,
		OrganizationID:  "00000000-0000-8000-8000-000000000000",
		TargetPublicKey: target,
	})
	var refused *bundle.Error
	if errors.As(err, &refused) {
		fmt.Println(refused.Reason)
	}
	// Output: organization
}

// A target key is made for one export. Its public key goes into the request
// as 130 hex digits.
func ExampleNewTarget() {
	target, err := bundle.NewTarget(rand.Reader)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(hex.EncodeToString(target.PublicKey().Bytes())))
	// Output: 130
}

func exampleVectors() *vectors {
	b, err := os.ReadFile(vectorsFile)
	if err != nil {
		log.Fatal(err)
	}
	var v vectors
	if err := json.Unmarshal(b, &v); err != nil {
		log.Fatal(err)
	}
	return &v
}
