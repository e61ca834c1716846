package keys

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/subtle"
	"encoding/asn1"
	"errors"
	"math/big"

	"filippo.io/bigmod"
	"filippo.io/nistec"
)

var errP256 = errors.New("keys: internal error: P-256 signature does not verify")

// The order of P-256 and half of it, for signatures, which are public.
var (
	p256Order = elliptic.P256().Params().N
	p256Half  = new(big.Int).Rsh(p256Order, 1)
)

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
// for secp256k1. The nonce point is computed again from r and s, so a
// signature that does not verify is never returned.
func signP256(raw []byte, digest *[32]byte) (Signature, error) {
	priv, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), raw)
	if err != nil {
		return Signature{}, errors.New("keys: internal error: P-256 private key out of range")
	}
	//lint:ignore SA1019 nothing else reaches the library's copy to wipe it
	defer func() { clear(priv.D.Bits()) }()
	der, err := priv.Sign(nil, digest[:], crypto.SHA256)
	if err != nil {
		return Signature{}, errors.New("keys: internal error: P-256 signing")
	}
	var rs struct{ R, S *big.Int }
	if rest, err := asn1.Unmarshal(der, &rs); err != nil || len(rest) > 0 {
		return Signature{}, errP256
	}
	if rs.R.Sign() <= 0 || rs.R.Cmp(p256Order) >= 0 || rs.S.Sign() <= 0 || rs.S.Cmp(p256Order) >= 0 {
		return Signature{}, errP256
	}
	if rs.S.Cmp(p256Half) > 0 {
		rs.S.Sub(p256Order, rs.S)
	}
	var sig Signature
	rs.R.FillBytes(sig.R[:])
	rs.S.FillBytes(sig.S[:])
	rs.S.ModInverse(rs.S, p256Order)
	var sInverse [Size]byte
	rs.S.FillBytes(sInverse[:])
	sig.V, err = recoveryP256(raw, digest, &sig.R, &sInverse)
	return sig, err
}

// recoveryP256 computes the nonce k = (e + r*d)/s and from it the nonce point,
// demands that its x is r, and returns the parity of its y, with 2 added if x
// is not below the order.
func recoveryP256(raw []byte, digest, r, sInverse *[32]byte) (byte, error) {
	m := moduli[P256]
	k, t := bigmod.NewNat(), bigmod.NewNat()
	var nonce [Size]byte
	defer func() {
		clear(k.Bits())
		clear(t.Bits())
		clear(nonce[:])
	}()
	// The receiver of Mul is copied out of our reach: never a secret.
	if _, err := k.SetBytes(r[:], m); err != nil {
		return 0, errP256
	}
	if _, err := t.SetBytes(raw, m); err != nil {
		return 0, errP256
	}
	k.Mul(t, m) // r*d
	if _, err := t.SetOverflowingBytes(digest[:], m); err != nil {
		return 0, errP256
	}
	t.Add(k, m) // e + r*d
	if _, err := k.SetBytes(sInverse[:], m); err != nil {
		return 0, errP256
	}
	putNat(&nonce, k.Mul(t, m))
	p, err := nistec.NewP256Point().ScalarBaseMult(nonce[:])
	if err != nil {
		return 0, errP256
	}
	point := p.BytesCompressed()
	if len(point) != 33 {
		return 0, errP256
	}
	x := point[1:]
	if _, err := t.SetOverflowingBytes(x, m); err != nil {
		return 0, errP256
	}
	if _, err := k.SetBytes(r[:], m); err != nil || t.Equal(k) != 1 {
		return 0, errP256
	}
	v := point[0] & 1
	if !bytes.Equal(x, r[:]) {
		v |= 2
	}
	return v, nil
}
