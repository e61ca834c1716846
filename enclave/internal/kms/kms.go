// Package kms is the enclave's half of a root that a key of AWS KMS guards. It
// has no network: the host carries what it makes to KMS and back, and what
// comes back may be the host's own.
//
// At genesis [Encrypt] encrypts a secret to the public half of an asymmetric
// KMS key, without asking anybody. At a boot [NewRequest] makes an RSA key and
// an attestation document that names it; the host shows both ciphertext and
// document to KMS Decrypt, and [Request.Open] opens the answer.
//
// What an answer proves is nothing. Whoever has seen the document can encrypt
// to its key, and the cipher inside an answer (AES-CBC) is not authenticated. The
// caller must check the secret against something that is pinned: here, that it
// yields the quorum key of the manifest. A host that gives wrong answers can
// stop an enclave and learn nothing: whatever is wrong with an answer is one
// error after the same work, and the key of a request opens one answer.
//
// What was found about KMS. The reference of Decrypt (API version 2014-11-01)
// says that it takes ciphertext made outside of KMS under the public key of an
// asymmetric KMS key, and that it takes Recipient; it restricts neither to the
// absence of the other, and no sentence or example has both. AWS's own tool for
// enclaves, kmstool-enclave-cli, takes a key id and RSAES_OAEP_SHA_256 for an
// attested Decrypt since v0.3.0 of aws-nitro-enclaves-sdk-c, where its users had
// asked for decryption under RSA keys (issues 84 and 92). It was never tried
// here against KMS itself.
package kms

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
)

// SecretSize is the length of the secrets that this package carries, in bytes.
const SecretSize = 32

// kmsExponent is the public exponent of every RSA key that KMS makes.
const kmsExponent = 65537

// Encrypt encrypts a secret of 32 bytes to a KMS key: RSAES-OAEP with SHA-256,
// MGF1 with SHA-256 and no label (RFC 8017 section 7.1), which KMS Decrypt knows
// as RSAES_OAEP_SHA_256. The ciphertext is as long as the key's modulus.
//
// The key is what KMS GetPublicKey returns: an RSA key of 2048, 3072 or 4096
// bits as DER SubjectPublicKeyInfo. It must come from a source that is trusted:
// whoever chooses it can read the secret.
func Encrypt(kmsPublic, secret []byte) ([]byte, error) {
	if len(secret) != SecretSize {
		return nil, fmt.Errorf("kms: secret must have %d bytes", SecretSize)
	}
	key, err := parsePublic(kmsPublic)
	if err != nil {
		return nil, err
	}
	ciphertext, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, key, secret, nil)
	if err != nil {
		return nil, errors.New("kms: public key: cannot encrypt")
	}
	return ciphertext, nil
}

// parsePublic accepts one spelling of each key, so that its hash names it.
func parsePublic(der []byte) (*rsa.PublicKey, error) {
	parsed, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, errors.New("kms: public key: must be a DER SubjectPublicKeyInfo")
	}
	key, ok := parsed.(*rsa.PublicKey)
	if !ok {
		return nil, errors.New("kms: public key: must be an RSA key")
	}
	switch key.N.BitLen() {
	case 2048, 3072, 4096:
	default:
		return nil, errors.New("kms: public key: must have 2048, 3072 or 4096 bits")
	}
	if key.E != kmsExponent {
		return nil, fmt.Errorf("kms: public key: must have the exponent %d", kmsExponent)
	}
	if again, err := x509.MarshalPKIXPublicKey(key); err != nil || !bytes.Equal(again, der) {
		return nil, errors.New("kms: public key: must be in DER")
	}
	return key, nil
}
