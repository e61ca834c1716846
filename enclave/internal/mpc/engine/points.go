package engine

import (
	"errors"
	"math/big"
	"slices"

	"filippo.io/edwards25519"
	"github.com/bnb-chain/tss-lib/v2/crypto"
	"github.com/decred/dcrd/dcrec/edwards/v2"
	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/sallyport/sallyport/enclave/internal/keys"
)

// compressed is a point in the form of [mpc.Member] Public.
func compressed(c keys.Curve, p *crypto.ECPoint) []byte {
	if c == keys.Ed25519 {
		return edwards.NewPublicKey(p.X(), p.Y()).SerializeCompressed()
	}
	var x, y secp256k1.FieldVal
	x.SetByteSlice(p.X().Bytes())
	y.SetByteSlice(p.Y().Bytes())
	return secp256k1.NewPublicKey(&x, &y).SerializeCompressed()
}

// point reads what compressed writes.
func point(c keys.Curve, b []byte) (*crypto.ECPoint, error) {
	if c == keys.Ed25519 {
		k, err := edwards.ParsePubKey(b)
		if err != nil || len(b) != 32 {
			return nil, errors.New("not a point of Ed25519")
		}
		return crypto.NewECPoint(group(c), k.GetX(), k.GetY())
	}
	k, err := secp256k1.ParsePubKey(b)
	if err != nil || len(b) != 33 {
		return nil, errors.New("not a compressed point of secp256k1")
	}
	return crypto.NewECPoint(group(c), k.X(), k.Y())
}

// A shift adds delta times the base point to points, for derivation.
type shift struct{ by *crypto.ECPoint } // nil: nothing

func newShift(c keys.Curve, delta *big.Int) shift {
	if delta == nil || delta.Sign() == 0 {
		return shift{}
	}
	return shift{crypto.ScalarBaseMult(group(c), delta)}
}

// add refuses the identity, in which no key lies.
func (s shift) add(p *crypto.ECPoint) (*crypto.ECPoint, error) {
	if s.by == nil {
		return p, nil
	}
	sum, err := p.Add(s.by)
	if err != nil || sum.X().Sign() == 0 {
		return nil, errors.New("derivation leads to no key")
	}
	return sum, nil
}

// inGroup tells whether a point of the Ed25519 curve is in the subgroup of prime
// order, and is not the identity.
func inGroup(x, y *big.Int) bool {
	var b [32]byte
	y.FillBytes(b[:])
	slices.Reverse(b[:])
	b[31] |= byte(x.Bit(0) << 7)
	p, err := new(edwards25519.Point).SetBytes(b[:])
	if err != nil || p.Equal(edwards25519.NewIdentityPoint()) == 1 {
		return false
	}
	// (order - 1) P = -P
	one := edwards25519.NewScalar().Subtract(edwards25519.NewScalar(), scalarOne())
	q := new(edwards25519.Point).VarTimeDoubleScalarBaseMult(one, p, edwards25519.NewScalar())
	return q.Equal(new(edwards25519.Point).Negate(p)) == 1
}

func scalarOne() *edwards25519.Scalar {
	one, err := edwards25519.NewScalar().SetCanonicalBytes(append([]byte{1}, make([]byte, 31)...))
	if err != nil {
		panic("internal error: one is a scalar")
	}
	return one
}
