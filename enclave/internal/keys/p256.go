package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/subtle"
	"errors"

	"filippo.io/bigmod"
	"filippo.io/nistec"
	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

var errP256 = errors.New("keys: internal error: P-256 signature does not verify")

// p256Half is (n-1)/2: s must not be above it.
var p256Half = moduli[P256].Nat().ShiftRightVarTime(1).ExpandFor(moduli[P256])

// p256Public returns the compressed public key of a scalar that [Check] has
// accepted.
func p256Public(raw []byte) ([]byte, error) {
	p, err := nistec.NewP256Point().ScalarBaseMult(raw)
	if err != nil {
		return nil, errors.New("keys: internal error: P-256 base point multiplication")
	}
	return p.BytesCompressed(), nil
}

// p256Belongs compares raw*G with a public key of 33 or 65 bytes. The point
// at infinity encodes as one byte and so equals neither.
func p256Belongs(raw *[Size]byte, public []byte) bool {
	if Check(P256, raw[:]) != nil {
		return false
	}
	p, err := nistec.NewP256Point().ScalarBaseMult(raw[:])
	if err != nil {
		return false
	}
	if len(public) == 65 {
		return subtle.ConstantTimeCompare(p.Bytes(), public) == 1
	}
	return subtle.ConstantTimeCompare(p.BytesCompressed(), public) == 1
}

// signP256 is deterministic ECDSA by the standard library, made low-s as
// for secp256k1. The recovery id comes from the verification equation, so a
// signature that does not verify is never returned.
func signP256(raw []byte, digest *[32]byte) (Signature, error) {
	priv, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), raw)
	if err != nil {
		return Signature{}, errors.New("keys: internal error: P-256 private key out of range")
	}
	defer func() { clear(priv.D.Bits()) }() //nolint:staticcheck // only to wipe it
	der, err := priv.Sign(nil, digest[:], crypto.SHA256)
	if err != nil {
		return Signature{}, errors.New("keys: internal error: P-256 signing")
	}
	public, err := priv.PublicKey.Bytes()
	if err != nil {
		return Signature{}, errors.New("keys: internal error: P-256 public key")
	}
	r, s, err := parseDER(der)
	if err != nil {
		return Signature{}, err
	}
	if above(s, p256Half) {
		zero := bigmod.NewNat().ExpandFor(moduli[P256])
		s = zero.Sub(s, moduli[P256])
	}
	v, err := recoverP256(public, digest, r, s)
	if err != nil {
		return Signature{}, err
	}
	sig := Signature{V: v}
	putNat(&sig.R, r)
	putNat(&sig.S, s)
	return sig, nil
}

// recoverP256 computes the nonce point R = (e/s)G + (r/s)Q of a signature,
// demands that its x is r, and returns the parity of its y, with 2 added
// if x was reduced.
func recoverP256(public []byte, digest *[32]byte, r, s *bigmod.Nat) (byte, error) {
	m := moduli[P256]
	e, err := bigmod.NewNat().SetOverflowingBytes(digest[:], m)
	if err != nil {
		return 0, errP256
	}
	w, ok := bigmod.NewNat().InverseVarTime(s, m)
	if !ok {
		return 0, errP256
	}
	var u1, u2 [Size]byte
	putNat(&u1, e.Mul(w, m))
	putNat(&u2, w.Mul(r, m))
	q, err := nistec.NewP256Point().SetBytes(public)
	if err != nil {
		return 0, errP256
	}
	left, err := nistec.NewP256Point().ScalarBaseMult(u1[:])
	if err != nil {
		return 0, errP256
	}
	right, err := nistec.NewP256Point().ScalarMult(q, u2[:])
	if err != nil {
		return 0, errP256
	}
	point := left.Add(left, right).BytesCompressed()
	if len(point) != 33 {
		return 0, errP256
	}
	x, err := bigmod.NewNat().SetOverflowingBytes(point[1:], m)
	if err != nil || x.Equal(r) != 1 {
		return 0, errP256
	}
	v := point[0] & 1
	if _, err := bigmod.NewNat().SetBytes(point[1:], m); err != nil {
		v |= 2
	}
	return v, nil
}

// parseDER takes r and s out of the standard library's own encoding.
func parseDER(der []byte) (r, s *bigmod.Nat, err error) {
	var inner cryptobyte.String
	var rb, sb []byte
	input := cryptobyte.String(der)
	if !input.ReadASN1(&inner, asn1.SEQUENCE) || !input.Empty() ||
		!inner.ReadASN1Integer(&rb) || !inner.ReadASN1Integer(&sb) || !inner.Empty() {
		return nil, nil, errP256
	}
	if r, err = bigmod.NewNat().SetBytes(rb, moduli[P256]); err != nil {
		return nil, nil, errP256
	}
	if s, err = bigmod.NewNat().SetBytes(sb, moduli[P256]); err != nil {
		return nil, nil, errP256
	}
	return r, s, nil
}

// above reports a > b for public values of the same length.
func above(a, b *bigmod.Nat) bool {
	al, bl := a.Bits(), b.Bits()
	for i := len(al) - 1; i >= 0; i-- {
		if al[i] != bl[i] {
			return al[i] > bl[i]
		}
	}
	return false
}
