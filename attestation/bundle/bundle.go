// Package bundle is the format of an export bundle, and the way to verify and
// open one.
//
// A bundle carries one private key, sealed with HPKE to the recipient's target
// key and signed by the appliance's quorum key: that part is Turnkey's format,
// which clients of that API open as it is. Beside it stand the attestation
// document of the enclave's boot, the manifest it is bound to, and a proof by
// the enclave's ephemeral key about this very export. README.md gives the
// exact bytes.
//
// [Open] verifies all of it before it decrypts anything; [Verify] does the
// same without the private key, for whoever audits. Nothing in a bundle is
// trusted that does not follow from what the caller pins in [Expect]: a root
// with measurements, the quorum key and the organization.
package bundle

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/sha256"
	"errors"
	"io"

	"github.com/sallyport/sallyport/attestation"
	"github.com/sallyport/sallyport/attestation/proof"
	"github.com/sallyport/sallyport/attestation/strictjson"
)

const (
	// Version is the only version of the format.
	Version = "v1.0.0"

	// MaxSize bounds a bundle, in bytes. With the largest documents and
	// manifest allowed a bundle has about 70 KiB.
	MaxSize = 128 << 10

	// MaxCiphertext bounds the sealed key with its tag, in bytes. Keys have 32
	// bytes; a mnemonic with a passphrase has some hundred.
	MaxCiphertext = 4 << 10

	pointSize = 65 // SEC 1 uncompressed, P-256
	tagSize   = 16 // AES-256-GCM
)

// Outer is a bundle. The order of its members is part of the format.
type Outer struct {
	// Version is [Version].
	Version string `json:"version" strict:"required"`
	// Data is the signed bytes: the encoding of a [Data].
	Data strictjson.Hex `json:"data" strict:"required"`
	// DataSignature is ECDSA P-256 over SHA-256(Data) by the quorum key, in
	// ASN.1 DER.
	DataSignature strictjson.Hex `json:"dataSignature" strict:"required"`
	// EnclaveQuorumPublic is the quorum key: SEC 1 uncompressed, 65 bytes.
	EnclaveQuorumPublic strictjson.Hex `json:"enclaveQuorumPublic" strict:"required"`
	// AttestationDocument is the document of the enclave's boot.
	AttestationDocument []byte `json:"attestationDocument" strict:"required"`
	// Manifest is the exact manifest that the document is bound to.
	Manifest []byte `json:"manifest" strict:"required"`
	// AttestationProof is an export statement signed by the enclave's
	// ephemeral key.
	AttestationProof proof.AppProof `json:"attestationProof" strict:"required"`
	// FreshAttestation is there when the client sent a nonce.
	FreshAttestation *attestation.FreshAttestation `json:"freshAttestation,omitempty"`
}

// Data is what the quorum key signs. The order of its members is part of the
// format.
type Data struct {
	// EncappedPublic is HPKE's enc: SEC 1 uncompressed, 65 bytes.
	EncappedPublic strictjson.Hex `json:"encappedPublic" strict:"required"`
	// Ciphertext is the sealed key, with the tag at its end.
	Ciphertext strictjson.Hex `json:"ciphertext" strict:"required"`
	// OrganizationID is a UUID in its canonical lower-case form.
	OrganizationID string `json:"organizationId" strict:"required"`
}

// Encode returns the bundle as JSON. It does not verify anything.
func (o *Outer) Encode() ([]byte, error) { return strictjson.Marshal(o) }

// Encode returns the bytes to sign.
func (d Data) Encode() ([]byte, error) { return strictjson.Marshal(d) }

// Sign returns the DataSignature of data, the encoding of a [Data]. Signatures
// are deterministic (RFC 6979).
func Sign(quorum *ecdsa.PrivateKey, data []byte) ([]byte, error) {
	digest := sha256.Sum256(data)
	return quorum.Sign(nil, digest[:], crypto.SHA256)
}

// Info returns HPKE's info for a bundle.
func Info() []byte { return []byte("turnkey_hpke") }

// AAD returns the associated data of the sealed key: both public keys, SEC 1
// uncompressed, 65 bytes each.
func AAD(encappedPublic, targetPublic []byte) []byte {
	return append(append(make([]byte, 0, 2*pointSize), encappedPublic...), targetPublic...)
}

// NewTarget makes a target key: P-256, to be used for one export. Its public
// key, PublicKey().Bytes(), goes into the request as 130 hex digits. Pass
// crypto/rand.Reader.
func NewTarget(rand io.Reader) (*ecdh.PrivateKey, error) {
	return ecdh.P256().GenerateKey(rand)
}

// Parse reads a bundle's outer form, strictly, and verifies nothing: what it
// returns is the word of whoever made the bytes. White space around members
// is allowed, because bundles are kept in files.
func Parse(b []byte) (*Outer, error) {
	if len(b) > MaxSize {
		return nil, refuse(ReasonMalformed, "a bundle has at most %d bytes", MaxSize)
	}
	var o Outer
	if err := strictjson.Decode(b, &o); err != nil {
		return nil, refuse(ReasonMalformed, "%v", err)
	}
	return &o, nil
}

// parseData reads the signed bytes, which must be exactly what [Data.Encode]
// gives.
func parseData(b []byte) (*Data, error) {
	var d Data
	if err := strictjson.Decode(b, &d); err != nil {
		return nil, refuse(ReasonMalformed, "data: %v", err)
	}
	if again, err := d.Encode(); err != nil || string(again) != string(b) {
		return nil, refuse(ReasonMalformed, "data: must be in its canonical form")
	}
	if err := checkPoint(d.EncappedPublic); err != nil {
		return nil, refuse(ReasonMalformed, "data: encappedPublic: %v", err)
	}
	if n := len(d.Ciphertext); n <= tagSize || n > MaxCiphertext {
		return nil, refuse(ReasonMalformed, "data: ciphertext: must be %d to %d bytes", tagSize+1, MaxCiphertext)
	}
	return &d, nil
}

func checkPoint(b []byte) error {
	if len(b) == pointSize {
		if _, err := ecdh.P256().NewPublicKey(b); err == nil {
			return nil
		}
	}
	return errors.New("must be an uncompressed point of P-256, 65 bytes")
}
