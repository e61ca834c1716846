package keys

import "fmt"

// Signature is a signature of any of the curves.
type Signature struct {
	// R and S are big endian for ECDSA, with S in the lower half of the
	// order. For Ed25519 they are the two halves of the signature (RFC 8032).
	R, S [32]byte
	// V is the recovery id of an ECDSA signature, 0 or 1; 0 for Ed25519.
	V byte
}

// SignatureSize is the length of a signature as [Signature.Put] writes it.
const SignatureSize = 65

// Put writes R || S || V, [SignatureSize] bytes, into memory of the caller.
func (s *Signature) Put(b []byte) {
	copy(b[:32], s.R[:])
	copy(b[32:64], s.S[:])
	b[64] = s.V
}

// Sign signs. For the ECDSA curves message is a digest of exactly 32 bytes
// and the nonce is that of RFC 6979 with SHA-256; for Ed25519 it is the
// message itself. The same input gives the same signature.
func Sign(c Curve, s *Secret, message []byte) (Signature, error) {
	raw := s.Expose()
	if err := Check(c, raw); err != nil {
		return Signature{}, err
	}
	if c == Ed25519 {
		return signEd25519(raw, message), nil
	}
	if len(message) != 32 {
		return Signature{}, fmt.Errorf("keys: digest: must be 32 bytes, not %d", len(message))
	}
	digest := [32]byte(message)
	if c == Secp256k1 {
		return signSecp256k1(raw, &digest), nil
	}
	return signP256(raw, &digest)
}
