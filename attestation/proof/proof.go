// Package proof makes and checks statements that an enclave signs with its
// ephemeral key: the key that lives for one boot and that the boot's
// attestation document binds to the measurements and to the manifest.
//
// An [AppProof] carries its own payload, such as an [ExportStatement]. A
// [Reply] proof covers one request and its answer, of which the client holds
// both sides.
//
// A valid proof says that the holder of the ephemeral key signed these bytes.
// That this holder is an enclave follows only once the caller has verified an
// attestation document whose public_key equals the proof's. Signatures are
// ECDSA and malleable: a proof's signature identifies nothing.
package proof

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"unicode/utf8"

	"github.com/sallyport/sallyport/attestation/strictjson"
)

const (
	// SchemeEphemeralP256 is the only scheme of an [AppProof].
	SchemeEphemeralP256 = "SIGNATURE_SCHEME_EPHEMERAL_KEY_P256"

	// PublicKeySize is the length of an ephemeral public key in bytes: the
	// boot HPKE key and the signing key, each SEC 1 uncompressed on P-256.
	PublicKeySize = 2 * pointSize

	pointSize     = 65 // SEC 1 uncompressed, P-256
	signatureSize = 64 // r || s, 32 bytes each, big endian
)

// AppProof is a payload signed by an enclave's ephemeral key. Its form is that
// of the activity API's app proofs.
type AppProof struct {
	// Scheme is [SchemeEphemeralP256].
	Scheme string `json:"scheme" strict:"required"`
	// PublicKey is the ephemeral public key: [PublicKeySize] bytes as hex.
	PublicKey string `json:"publicKey" strict:"required"`
	// ProofPayload is the text that was signed, itself JSON.
	ProofPayload string `json:"proofPayload" strict:"required"`
	// Signature is ECDSA P-256 over SHA-256(ProofPayload), r || s as hex, by
	// the signing half of PublicKey.
	Signature string `json:"signature" strict:"required"`
}

// Sign makes an [AppProof] of payload, which must be UTF-8. The signing half
// of publicKey, its last 65 bytes, must be that of signing. Signatures are
// deterministic (RFC 6979).
func Sign(signing *ecdsa.PrivateKey, publicKey, payload []byte) (AppProof, error) {
	if err := matches(signing, publicKey); err != nil {
		return AppProof{}, err
	}
	if !utf8.Valid(payload) || bytes.IndexByte(payload, 0) >= 0 {
		return AppProof{}, errors.New("proofPayload: must be UTF-8 without U+0000")
	}
	sig, err := sign(signing, payload)
	if err != nil {
		return AppProof{}, err
	}
	return AppProof{
		Scheme:       SchemeEphemeralP256,
		PublicKey:    hex.EncodeToString(publicKey),
		ProofPayload: string(payload),
		Signature:    hex.EncodeToString(sig),
	}, nil
}

// Verify checks the form of the proof and its signature. It does not look at
// the payload, and it cannot know whose key this is.
func (p AppProof) Verify() error {
	if p.Scheme != SchemeEphemeralP256 {
		return errors.New("scheme: must be " + SchemeEphemeralP256)
	}
	publicKey, err := strictjson.ParseHex(p.PublicKey)
	if err != nil {
		return fmt.Errorf("publicKey: %v", err)
	}
	signing, err := SigningKey(publicKey)
	if err != nil {
		return err
	}
	sig, err := strictjson.ParseHex(p.Signature)
	if err != nil {
		return fmt.Errorf("signature: %v", err)
	}
	return verify(signing, []byte(p.ProofPayload), sig)
}

// SigningKey returns the signing half of an ephemeral public key. Both halves
// must be points of P-256.
func SigningKey(publicKey []byte) (*ecdsa.PublicKey, error) {
	if len(publicKey) != PublicKeySize {
		return nil, fmt.Errorf("publicKey: must be %d bytes", PublicKeySize)
	}
	if err := checkPoint("publicKey", publicKey[:pointSize]); err != nil {
		return nil, err
	}
	key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), publicKey[pointSize:])
	if err != nil {
		return nil, errors.New("publicKey: must be two uncompressed points of P-256")
	}
	return key, nil
}

func checkPoint(field string, point []byte) error {
	if _, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point); err != nil {
		return errors.New(field + ": must be an uncompressed point of P-256")
	}
	return nil
}

func matches(signing *ecdsa.PrivateKey, publicKey []byte) error {
	key, err := SigningKey(publicKey)
	if err != nil {
		return err
	}
	if !signing.PublicKey.Equal(key) {
		return errors.New("publicKey: its last 65 bytes must be the signing key's")
	}
	return nil
}

// sign signs without randomness (RFC 6979), so that a proof made again for
// the same bytes is the same proof.
func sign(signing *ecdsa.PrivateKey, message []byte) ([]byte, error) {
	digest := sha256.Sum256(message)
	der, err := signing.Sign(nil, digest[:], crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("signing: %w", err)
	}
	var rs struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(der, &rs); err != nil {
		return nil, fmt.Errorf("signing: %w", err)
	}
	sig := make([]byte, signatureSize)
	rs.R.FillBytes(sig[:signatureSize/2])
	rs.S.FillBytes(sig[signatureSize/2:])
	return sig, nil
}

func verify(signing *ecdsa.PublicKey, message, sig []byte) error {
	if len(sig) != signatureSize {
		return fmt.Errorf("signature: must be %d bytes", signatureSize)
	}
	digest := sha256.Sum256(message)
	r := new(big.Int).SetBytes(sig[:signatureSize/2])
	s := new(big.Int).SetBytes(sig[signatureSize/2:])
	if !ecdsa.Verify(signing, digest[:], r, s) {
		return errors.New("signature: must be valid for the payload and public key")
	}
	return nil
}
