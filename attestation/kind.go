package attestation

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rsa"
	"crypto/x509"
)

// Kind is what a document is for. The table of kinds is closed: each has one
// form, and a verifier names the kind that it expects.
type Kind string

const (
	// KindAny skips the form. It establishes identity only (who runs, and that
	// AWS says so), and reads documents of other makers. Never use it to learn
	// what a key in a document is for.
	KindAny Kind = ""
	// KindBoot is made once per boot and renewed. No nonce; public_key is the
	// 65-byte boot HPKE key, then the 65-byte ephemeral signing key, both SEC 1
	// uncompressed on P-256; user_data is the SHA-256 of the manifest.
	KindBoot Kind = "boot"
	// KindChallenge is KindBoot with a nonce: the 32-byte root of a Merkle tree
	// over the nonces of the clients that were waiting. See [VerifyChallenge].
	KindChallenge Kind = "challenge"
	// KindChannel opens a channel between enclaves: 32-byte nonce, public_key
	// and user_data.
	KindChannel Kind = "channel"
	// KindKMS asks a key management service. No nonce; public_key is an RSA key
	// of 2048 bits or more as DER SubjectPublicKeyInfo; user_data has 32 bytes.
	KindKMS Kind = "kms"
)

// Expect is what a verifier expects of a document beside its trust.
type Expect struct {
	Kind Kind
	// ManifestHash is the 32-byte SHA-256 of the manifest: the user_data.
	// Boot and challenge documents cannot be verified without it; for other
	// kinds it is compared when set.
	ManifestHash []byte
	// PublicKey is compared with the document's when set.
	PublicKey []byte
	// PCRs are exact values of further registers, by index: 3 (the IAM role), 4
	// (the instance), 8 (the image's signer). The image alone is no identity:
	// anybody can run a copy of it.
	PCRs map[int][]byte
}

const (
	pointSize      = 65 // SEC 1 uncompressed P-256
	bindingSize    = 32 // SHA-256, X25519 and the roots of Merkle trees
	minRSA         = 2048
	minNonce       = 16
	bootPublicSize = 2 * pointSize
)

func (k Kind) known() bool {
	switch k {
	case KindAny, KindBoot, KindChallenge, KindChannel, KindKMS:
		return true
	}
	return false
}

// needsManifest reports whether the registers 16 to 18 commit to a manifest.
func (k Kind) needsManifest() bool { return k == KindBoot || k == KindChallenge }

func (k Kind) hasNonce() bool { return k == KindChallenge || k == KindChannel }

// check refuses what could not be verified, whatever the document says.
func (e Expect) check() error {
	if !e.Kind.known() {
		return refuse(ReasonUsage, "there is no document kind %q", string(e.Kind))
	}
	if e.Kind.needsManifest() && len(e.ManifestHash) != bindingSize {
		return refuse(ReasonUsage, "verifying a %s document needs the 32-byte hash of a manifest", e.Kind)
	}
	for index, want := range e.PCRs {
		if index < 0 || index >= PCRCount || len(want) != PCRSize {
			return refuse(ReasonUsage, "expected register %d: must be 0 to %d with %d bytes", index, PCRCount-1, PCRSize)
		}
	}
	return nil
}

// match compares a document, whose signature is verified, with what is expected.
func (e Expect) match(p *payload) error {
	if err := e.form(p); err != nil {
		return err
	}
	if e.ManifestHash != nil && !bytes.Equal(p.UserData, e.ManifestHash) {
		return refuse(ReasonManifest, "user_data: is not the hash of the expected manifest")
	}
	if e.PublicKey != nil && !bytes.Equal(p.PublicKey, e.PublicKey) {
		return refuse(ReasonPublicKey, "public_key: is not the expected one")
	}
	for index, want := range e.PCRs {
		if !bytes.Equal(p.PCRs[uint64(index)], want) {
			return refuse(ReasonMeasurements, "pcrs: register %d does not hold the expected value", index)
		}
	}
	if e.Kind.needsManifest() {
		return p.checkCommitments()
	}
	return nil
}

// form checks the shape of the fields, by kind.
func (e Expect) form(p *payload) error {
	if e.Kind == KindAny {
		return nil
	}
	if e.Kind.hasNonce() && len(p.Nonce) != bindingSize {
		return refuse(ReasonKind, "nonce: a %s document has one of %d bytes", e.Kind, bindingSize)
	}
	if !e.Kind.hasNonce() && p.Nonce != nil {
		return refuse(ReasonKind, "nonce: a %s document has none", e.Kind)
	}
	if len(p.UserData) != bindingSize {
		return refuse(ReasonKind, "user_data: a %s document has %d bytes", e.Kind, bindingSize)
	}
	switch e.Kind {
	case KindChannel:
		if len(p.PublicKey) != bindingSize {
			return refuse(ReasonKind, "public_key: a channel document has %d bytes", bindingSize)
		}
	case KindKMS:
		return checkRSA(p.PublicKey)
	default:
		return checkBootKeys(e.Kind, p.PublicKey)
	}
	return nil
}

func checkBootKeys(k Kind, key []byte) error {
	if len(key) != bootPublicSize {
		return refuse(ReasonKind, "public_key: a %s document has two keys of %d bytes", k, pointSize)
	}
	for _, half := range [][]byte{key[:pointSize], key[pointSize:]} {
		if !onP256(half) {
			return refuse(ReasonKind, "public_key: a key is not an uncompressed point on the curve P-256")
		}
	}
	return nil
}

// onP256 reports whether b is a 65-byte uncompressed point of P-256.
func onP256(b []byte) bool {
	if len(b) != pointSize || b[0] != 4 {
		return false
	}
	_, err := ecdh.P256().NewPublicKey(b)
	return err == nil
}

func checkRSA(der []byte) error {
	key, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return refuse(ReasonKind, "public_key: a kms document has a DER SubjectPublicKeyInfo")
	}
	if public, ok := key.(*rsa.PublicKey); !ok || public.N.BitLen() < minRSA {
		return refuse(ReasonKind, "public_key: a kms document has an RSA key of at least %d bits", minRSA)
	}
	return nil
}

// checkCommitments recomputes the registers that an enclave extends at boot.
// All 32 must be there: only locked registers are listed, and a register that
// is still open could have been extended after the fact.
func (p *payload) checkCommitments() error {
	for index := range uint64(PCRCount) {
		if p.PCRs[index] == nil {
			return refuse(ReasonMeasurements, "pcrs: register %d is not locked", index)
		}
	}
	for _, c := range []struct {
		index uint64
		data  []byte
	}{
		{PCRBootKey, BootKeyCommitment(p.PublicKey[:pointSize], p.UserData)},
		{PCRLive, LiveCommitment(p.PublicKey, p.UserData)},
		{PCRManifest, p.UserData},
	} {
		if !bytes.Equal(p.PCRs[c.index], ExtendPCR(nil, c.data)) {
			return refuse(ReasonMeasurements, "pcrs: register %d does not commit to the manifest and keys of the document", c.index)
		}
	}
	return nil
}
