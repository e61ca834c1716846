package hd

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"filippo.io/edwards25519"
	"github.com/decred/dcrd/dcrec/secp256k1/v4"
)

// Nothing here is secret: time may vary.

type secp256k1Step struct {
	point secp256k1.JacobianPoint // affine
	sum   secp256k1.ModNScalar
}

func newSecp256k1(public []byte) (*secp256k1Step, error) {
	if len(public) != 33 {
		return nil, fmt.Errorf("public key: must be 33 bytes, not %d", len(public))
	}
	key, err := secp256k1.ParsePubKey(public)
	if err != nil {
		return nil, errors.New("public key: is not on the curve secp256k1")
	}
	s := new(secp256k1Step)
	key.AsJacobian(&s.point)
	return s, nil
}

func (s *secp256k1Step) data() []byte {
	return secp256k1.NewPublicKey(&s.point.X, &s.point.Y).SerializeCompressed()
}

func (s *secp256k1Step) add(left *[32]byte) error {
	var k secp256k1.ModNScalar
	if k.SetBytes(left) != 0 {
		return errNoChild
	}
	var p, sum secp256k1.JacobianPoint
	secp256k1.ScalarBaseMultNonConst(&k, &p)
	secp256k1.AddNonConst(&p, &s.point, &sum)
	if sum.Z.IsZero() || sum.X.IsZero() && sum.Y.IsZero() {
		return errNoChild
	}
	sum.ToAffine()
	s.point = sum
	s.sum.Add(&k)
	return nil
}

func (s *secp256k1Step) result() (public, delta []byte) {
	b := s.sum.Bytes()
	return s.data(), b[:]
}

type ed25519Step struct {
	point *edwards25519.Point
	sum   *edwards25519.Scalar
}

// newEd25519 refuses second encodings of a point, and points outside of the
// group that the base point generates: no private key belongs to them.
func newEd25519(public []byte) (*ed25519Step, error) {
	if len(public) != 32 {
		return nil, fmt.Errorf("public key: must be 32 bytes, not %d", len(public))
	}
	p, err := new(edwards25519.Point).SetBytes(public)
	if err != nil || !bytes.Equal(p.Bytes(), public) {
		return nil, errors.New("public key: is not on the curve edwards25519")
	}
	// (L-1) P = -P holds in the group only.
	zero := edwards25519.NewScalar()
	last := edwards25519.NewScalar().Subtract(zero, one)
	minus := new(edwards25519.Point).Negate(p)
	if new(edwards25519.Point).ScalarMult(last, p).Equal(minus) != 1 || p.Equal(edwards25519.NewIdentityPoint()) == 1 {
		return nil, errors.New("public key: is not in the group of edwards25519's base point")
	}
	return &ed25519Step{p, zero}, nil
}

var one = reduce(&[32]byte{31: 1})

// reduce takes a big-endian number modulo L.
func reduce(big *[32]byte) *edwards25519.Scalar {
	var wide [64]byte
	copy(wide[:], big[:])
	slices.Reverse(wide[:32])
	s, err := edwards25519.NewScalar().SetUniformBytes(wide[:])
	if err != nil {
		panic("internal error: " + err.Error()) // of another length only
	}
	return s
}

func (s *ed25519Step) data() []byte { return append([]byte{0}, s.point.Bytes()...) }

func (s *ed25519Step) add(left *[32]byte) error {
	k := reduce(left)
	p := new(edwards25519.Point).ScalarBaseMult(k)
	if p.Add(p, s.point).Equal(edwards25519.NewIdentityPoint()) == 1 {
		return errNoChild
	}
	s.point = p
	s.sum.Add(s.sum, k)
	return nil
}

func (s *ed25519Step) result() (public, delta []byte) {
	delta = s.sum.Bytes()
	slices.Reverse(delta)
	return s.point.Bytes(), delta
}
