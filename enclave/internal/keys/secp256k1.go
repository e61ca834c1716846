package keys

import (
	"crypto/subtle"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
)

// secp256k1Public returns the compressed public key of a scalar that [Check]
// has accepted.
func secp256k1Public(raw []byte) []byte {
	var k secp256k1.ModNScalar
	k.SetByteSlice(raw)
	defer k.Zero()
	var p secp256k1.JacobianPoint
	baseMult(&k, &p)
	p.ToAffine()
	return secp256k1.NewPublicKey(&p.X, &p.Y).SerializeCompressed()
}

// secp256k1Belongs compares raw*G with a public key of 33 or 65 bytes. The
// longer form is compared in Jacobian coordinates, which saves an inversion
// in the field: an eighth of what signing costs.
func secp256k1Belongs(raw *[Size]byte, public []byte) bool {
	var k secp256k1.ModNScalar
	defer k.Zero()
	if k.SetBytes(raw) != 0 || k.IsZero() {
		return false
	}
	var p secp256k1.JacobianPoint
	baseMult(&k, &p)
	if p.Z.IsZero() {
		return false
	}
	if len(public) == 65 && public[0] == 4 {
		return sameAffine(&p, public[1:33], public[33:])
	}
	p.ToAffine()
	own := secp256k1.NewPublicKey(&p.X, &p.Y).SerializeCompressed()
	return subtle.ConstantTimeCompare(own, public) == 1
}

// sameAffine reports whether p, which is not the point at infinity, has the
// affine coordinates x and y: X = x*Z^2 and Y = y*Z^3.
func sameAffine(p *secp256k1.JacobianPoint, x, y []byte) bool {
	var ax, ay, z2, z3 secp256k1.FieldVal
	if ax.SetByteSlice(x) || ay.SetByteSlice(y) {
		return false // not reduced: a second name for the same point
	}
	z2.SquareVal(&p.Z)
	z3.Mul2(&z2, &p.Z)
	ax.Mul(&z2).Normalize()
	ay.Mul(&z3).Normalize()
	return p.X.Normalize().Equals(&ax) && p.Y.Normalize().Equals(&ay)
}

// signSecp256k1 is ECDSA, SEC 1 section 4.1.3, with the nonce of RFC 6979
// under SHA-256 and s in the lower half of the order (BIP 62). V is 0 or 1
// for the parity of the nonce point's y; 2 is added in the case, never seen,
// that its x is not below the order.
func signSecp256k1(raw []byte, digest *[32]byte) Signature {
	var d secp256k1.ModNScalar
	d.SetByteSlice(raw)
	defer d.Zero()
	for iteration := uint32(0); ; iteration++ {
		k := secp256k1.NonceRFC6979(raw, digest[:], nil, nil, iteration)
		sig, ok := signWithNonce(&d, k, digest)
		k.Zero()
		if ok {
			return sig
		}
	}
}

func signWithNonce(d, k *secp256k1.ModNScalar, digest *[32]byte) (Signature, bool) {
	var p secp256k1.JacobianPoint
	baseMult(k, &p)
	p.ToAffine()
	x := p.X.Bytes()
	var r, e, s, kInverse secp256k1.ModNScalar
	overflow := r.SetBytes(x)
	e.SetBytes(digest)
	inverse(k, &kInverse)
	s.Mul2(d, &r).Add(&e).Mul(&kInverse)
	kInverse.Zero()
	if r.IsZero() || s.IsZero() {
		return Signature{}, false
	}
	v := byte(overflow<<1) | byte(p.Y.IsOddBit())
	if s.IsOverHalfOrder() {
		s.Negate()
		v ^= 1
	}
	return Signature{R: r.Bytes(), S: s.Bytes(), V: v}, true
}
