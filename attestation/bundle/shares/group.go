package shares

import (
	"crypto/ecdh"
	"errors"
	"math/big"
	"slices"

	"filippo.io/edwards25519"
	"github.com/decred/dcrd/dcrec/secp256k1/v4"
)

// group is a curve's group of prime order. Numbers are math/big: this runs
// where the whole key is about to be, once.
type group struct {
	order     *big.Int
	pointSize int
	// basePoint multiplies the base point with a scalar of 32 bytes big endian,
	// in [1, order-1]. It returns the point in the form of Share.Public.
	basePoint func(scalar []byte) ([]byte, error)
}

var groups = map[Curve]*group{
	Secp256k1: {integer("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141"), 33, secp256k1Point},
	P256:      {integer("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551"), 33, p256Point},
	Ed25519:   {integer("1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3ed"), 32, ed25519Point},
}

func integer(digits string) *big.Int {
	n, ok := new(big.Int).SetString(digits, 16)
	if !ok {
		panic("internal error: not hex: " + digits)
	}
	return n
}

func groupOf(c Curve) (*group, error) {
	g := groups[c]
	if g == nil {
		return nil, errors.New("share: curve: is not known")
	}
	return g, nil
}

// public is the point of a scalar that must be in [1, order-1].
func (g *group) public(scalar []byte) ([]byte, error) {
	if n := new(big.Int).SetBytes(scalar); n.Sign() == 0 || n.Cmp(g.order) >= 0 {
		return nil, errors.New("share: secret: must be above zero and below the group order")
	}
	return g.basePoint(scalar)
}

func secp256k1Point(scalar []byte) ([]byte, error) {
	k := secp256k1.PrivKeyFromBytes(scalar)
	defer k.Zero()
	return k.PubKey().SerializeCompressed(), nil
}

func p256Point(scalar []byte) ([]byte, error) {
	k, err := ecdh.P256().NewPrivateKey(scalar)
	if err != nil {
		return nil, err
	}
	b := k.PublicKey().Bytes()
	return append([]byte{2 + b[64]&1}, b[1:33]...), nil
}

func ed25519Point(scalar []byte) ([]byte, error) {
	little := slices.Clone(scalar)
	defer clear(little)
	slices.Reverse(little)
	k, err := edwards25519.NewScalar().SetCanonicalBytes(little)
	if err != nil {
		return nil, err
	}
	defer k.Set(edwards25519.NewScalar())
	return new(edwards25519.Point).ScalarBaseMult(k).Bytes(), nil
}

// weight is the Lagrange coefficient at zero of the i-th of these x coordinates.
func (g *group) weight(xs []*big.Int, i int) *big.Int {
	numerator, denominator := big.NewInt(1), big.NewInt(1)
	for j, x := range xs {
		if j != i {
			numerator.Mod(numerator.Mul(numerator, x), g.order)
			difference := new(big.Int).Sub(x, xs[i])
			denominator.Mod(denominator.Mul(denominator, difference), g.order)
		}
	}
	if denominator.ModInverse(denominator, g.order) == nil {
		return nil // two are the same modulo the order
	}
	return numerator.Mod(numerator.Mul(numerator, denominator), g.order)
}
