package keys

import (
	"crypto/sha512"
	"errors"
	"fmt"
	"io"
	"math/big"
	"slices"

	"filippo.io/bigmod"
	"filippo.io/edwards25519"
)

// scalarModuli are the group orders, in which shares of MPC keys are computed.
// For Ed25519 that is another modulus than that of [Split], which hides a seed:
// an MPC key has no seed.
var scalarModuli = map[Curve]*bigmod.Modulus{
	Secp256k1: moduli[Secp256k1],
	P256:      moduli[P256],
	Ed25519:   mustModulus("1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3ed"),
}

func scalarModulus(c Curve) (*bigmod.Modulus, error) {
	m, ok := scalarModuli[c]
	if !ok {
		return nil, fmt.Errorf("keys: %v is not supported", c)
	}
	return m, nil
}

// A Point is one point of the polynomial that hides the scalar of an MPC key.
type Point struct {
	X [Size]byte // big endian, not zero modulo the group order
	Y *Secret    // 32 bytes big endian, below the group order
}

// CheckScalar reports whether raw is a scalar: 32 bytes big endian, not zero,
// and below the group order, also for Ed25519.
func CheckScalar(c Curve, raw []byte) error {
	m, err := scalarModulus(c)
	if err != nil {
		return err
	}
	if len(raw) != Size {
		return fmt.Errorf("scalar: must be %d bytes, not %d", Size, len(raw))
	}
	n := bigmod.NewNat()
	defer func() { clear(n.Bits()) }()
	if _, err := n.SetBytes(raw, m); err != nil {
		return errors.New("scalar: must be below the group order")
	}
	if n.IsZero() == 1 {
		return errors.New("scalar: must not be zero")
	}
	return nil
}

// ReduceScalar reduces 64 bytes modulo the group order: what a hash gives is
// uniform but for 2^-256.
func ReduceScalar(c Curve, wide [sha512.Size]byte) ([Size]byte, error) {
	var out [Size]byte
	m, err := scalarModulus(c)
	if err != nil {
		return out, err
	}
	order := new(big.Int).SetBytes(m.Nat().Bytes(m))
	new(big.Int).Mod(new(big.Int).SetBytes(wide[:]), order).FillBytes(out[:])
	return out, nil
}

// ScalarPublic returns the base point times a scalar, in the form of [PublicKey].
func ScalarPublic(c Curve, s *Secret) ([]byte, error) {
	raw := s.Expose()
	if err := CheckScalar(c, raw); err != nil {
		return nil, err
	}
	if c != Ed25519 {
		return PublicKey(c, s)
	}
	little := slices.Clone(raw)
	defer clear(little)
	slices.Reverse(little)
	k, err := edwards25519.NewScalar().SetCanonicalBytes(little)
	if err != nil {
		return nil, errors.New("scalar: must be below the group order")
	}
	defer k.Set(edwards25519.NewScalar())
	return new(edwards25519.Point).ScalarBaseMult(k).Bytes(), nil
}

// CombinePoints interpolates the scalar from exactly the threshold's number of
// points, and compares its public key with public: [ErrMismatch] if they differ.
func CombinePoints(c Curve, points []Point, public []byte) (*Secret, error) {
	m, err := scalarModulus(c)
	if err != nil {
		return nil, err
	}
	weights, err := pointWeights(m, points)
	if err != nil {
		return nil, err
	}
	sum, value, term := bigmod.NewNat().ExpandFor(m), bigmod.NewNat(), bigmod.NewNat()
	defer wipeNats([]*bigmod.Nat{sum, value, term})
	for i, p := range points {
		if raw := p.Y.Expose(); len(raw) != Size {
			return nil, fmt.Errorf("keys: a share must be %d bytes, not %d", Size, len(raw))
		}
		if _, err := value.SetBytes(p.Y.Expose(), m); err != nil {
			return nil, errors.New("keys: a share must be below the group order")
		}
		setNat(term, weights[i], m)
		sum.Add(term.Mul(value, m), m)
	}
	var raw [Size]byte
	defer clear(raw[:])
	putNat(&raw, sum)
	out := NewSecret(raw[:])
	own, err := ScalarPublic(c, out)
	if err != nil || !slices.Equal(own, public) {
		out.Erase()
		return nil, ErrMismatch
	}
	return out, nil
}

// pointWeights are the Lagrange coefficients at zero. X coordinates are public, so time may vary.
func pointWeights(m *bigmod.Modulus, points []Point) ([]*bigmod.Nat, error) {
	if len(points) == 0 || len(points) > 255 {
		return nil, fmt.Errorf("keys: cannot combine %d shares", len(points))
	}
	xs := make([]*bigmod.Nat, len(points))
	for i, p := range points {
		x, err := bigmod.NewNat().SetBytes(p.X[:], m)
		if err != nil || x.IsZero() == 1 {
			return nil, errors.New("keys: an x coordinate must be above zero and below the group order")
		}
		for _, y := range xs[:i] {
			if x.Equal(y) == 1 {
				return nil, errors.New("keys: an x coordinate appears twice")
			}
		}
		xs[i] = x
	}
	out := make([]*bigmod.Nat, len(xs))
	for i, xi := range xs {
		numerator, denominator := smallNat(1, m), smallNat(1, m)
		for j, xj := range xs {
			if i == j {
				continue
			}
			numerator.Mul(xj, m)
			difference := bigmod.NewNat()
			setNat(difference, xj, m)
			denominator.Mul(difference.Sub(xi, m), m)
		}
		inverse, ok := bigmod.NewNat().InverseVarTime(denominator, m)
		if !ok {
			return nil, errors.New("keys: internal error: modulus is not prime")
		}
		out[i] = numerator.Mul(inverse, m)
	}
	return out, nil
}

// SplitPoints hides a scalar in shares at the given x coordinates, all of which are
// needed to get it back.
func SplitPoints(c Curve, s *Secret, xs [][Size]byte, rand io.Reader) ([]Point, error) {
	m, err := scalarModulus(c)
	if err != nil {
		return nil, err
	}
	if err := CheckScalar(c, s.Expose()); err != nil {
		return nil, err
	}
	coefficients := make([]*bigmod.Nat, len(xs))
	defer func() { wipeNats(coefficients) }()
	if coefficients[0], err = bigmod.NewNat().SetBytes(s.Expose(), m); err != nil {
		return nil, errors.New("keys: internal error: scalar out of range")
	}
	for i := 1; i < len(xs); i++ {
		if coefficients[i], err = randomScalarNat(m, rand); err != nil {
			return nil, err
		}
	}
	out := make([]Point, len(xs))
	for i, x := range xs {
		at, err := bigmod.NewNat().SetBytes(x[:], m)
		if err != nil || at.IsZero() == 1 {
			return nil, errors.New("keys: an x coordinate must be above zero and below the group order")
		}
		y := evaluateAt(coefficients, at, m)
		out[i] = Point{X: x, Y: y}
	}
	return out, nil
}

// evaluateAt computes the polynomial at one place, by Horner's rule.
func evaluateAt(coefficients []*bigmod.Nat, at *bigmod.Nat, m *bigmod.Modulus) *Secret {
	sum := bigmod.NewNat().ExpandFor(m)
	defer func() { clear(sum.Bits()) }()
	for i := len(coefficients) - 1; i >= 0; i-- {
		sum.Mul(at, m)
		sum.Add(coefficients[i], m)
	}
	var buf [Size]byte
	defer clear(buf[:])
	putNat(&buf, sum)
	return NewSecret(buf[:])
}

// randomScalarNat is uniform below a modulus that may be far below 2^256.
func randomScalarNat(m *bigmod.Modulus, rand io.Reader) (*bigmod.Nat, error) {
	var buf [Size]byte
	defer clear(buf[:])
	spare := 8*Size - m.BitLen()
	for range 8 * maxTries { // each fails with a chance of up to one half
		if _, err := io.ReadFull(rand, buf[:]); err != nil {
			return nil, fmt.Errorf("keys: reading random bytes: %w", err)
		}
		buf[0] &= 0xff >> spare
		if n, err := bigmod.NewNat().SetBytes(buf[:], m); err == nil {
			return n, nil
		}
	}
	return nil, errors.New("keys: the random source gives no usable coefficient")
}
