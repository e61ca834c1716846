package client

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	secpecdsa "github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"
)

// The other schemes by which users may stamp.
const (
	schemeSecp256k1 = "SIGNATURE_SCHEME_TK_API_SECP256K1"
	schemeEd25519   = "SIGNATURE_SCHEME_TK_API_ED25519"
)

var errStamp = errors.New("the signature must be that of the message by the public key")

// verifyStamp checks the signature of a vote over its exact message: ASN.1 DER
// over SHA-256 for the ECDSA schemes, 64 bytes over the message for Ed25519.
func verifyStamp(v *Vote) error {
	public, err := hex.DecodeString(v.PublicKey)
	if err != nil {
		return errors.New("publicKey: must be hex")
	}
	sig, err := hex.DecodeString(v.Signature)
	if err != nil {
		return errors.New("signature: must be hex")
	}
	message := []byte(v.Message)
	digest := sha256.Sum256(message)
	valid := false
	switch v.Scheme {
	case SchemeP256:
		valid = verifyP256(public, digest[:], sig)
	case schemeSecp256k1:
		valid = verifySecp256k1(public, digest[:], sig)
	case schemeEd25519:
		valid = len(public) == ed25519.PublicKeySize && len(sig) == ed25519.SignatureSize && ed25519.Verify(public, message, sig)
	default:
		return fmt.Errorf("scheme: %.64q is not one that this client verifies", v.Scheme)
	}
	if !valid {
		return errStamp
	}
	return nil
}

func verifyP256(public, digest, sig []byte) bool {
	x, y := elliptic.UnmarshalCompressed(elliptic.P256(), public)
	if x == nil {
		return false
	}
	point := make([]byte, 65) // SEC 1 uncompressed
	point[0] = 4
	x.FillBytes(point[1:33])
	y.FillBytes(point[33:])
	key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	return err == nil && ecdsa.VerifyASN1(key, digest, sig)
}

func verifySecp256k1(public, digest, sig []byte) bool {
	key, err := secp256k1.ParsePubKey(public)
	if err != nil || len(public) != secp256k1.PubKeyBytesLenCompressed {
		return false
	}
	s, err := secpecdsa.ParseDERSignature(sig)
	return err == nil && s.Verify(digest, key)
}
