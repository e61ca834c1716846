// Package keys holds private keys and what may be done with them: generate,
// split into shares, combine, sign, and show the public side. It trusts its
// caller to have checked policy; it does no input or output of its own.
//
// Secret values live in [Secret], are computed on with constant-time code of
// fixed width, and are wiped when the function that made them returns. Where
// a library offers only variable-time code (the base point multiplication of
// secp256k1), that code sees blinded values only.
package keys

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"filippo.io/bigmod"
)

// Size is the length in bytes of every private key and every share.
const Size = 32

// ErrMismatch says that a secret does not belong to the public key it was
// compared with: a share is damaged, or comes from another key.
var ErrMismatch = errors.New("keys: the shares do not combine to the private key of this public key")

// Curve names a curve. The numbers are stored and never change.
type Curve uint8

// The curves of the activity API.
const (
	Secp256k1 Curve = 1
	P256      Curve = 2
	Ed25519   Curve = 3
)

var curveNames = map[Curve]string{
	Secp256k1: "CURVE_SECP256K1",
	P256:      "CURVE_P256",
	Ed25519:   "CURVE_ED25519",
}

// String returns the name in the activity API: "CURVE_SECP256K1".
func (c Curve) String() string {
	if name, ok := curveNames[c]; ok {
		return name
	}
	return fmt.Sprintf("CURVE_UNKNOWN(%d)", uint8(c))
}

// ParseCurve is the inverse of [Curve.String] for the curves that exist.
func ParseCurve(name string) (Curve, error) {
	for c, n := range curveNames {
		if n == name {
			return c, nil
		}
	}
	return 0, fmt.Errorf("curve: %.64q is not supported", name)
}

// Moduli in which shares of a key are computed: the group orders, SEC 2
// section 2.4.1 and FIPS 186-5; for Ed25519, whose private key is a seed and
// no scalar, the largest prime below 2^256, 2^256 - 189.
var moduli = map[Curve]*bigmod.Modulus{
	Secp256k1: mustModulus("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141"),
	P256:      mustModulus("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551"),
	Ed25519:   mustModulus("ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff43"),
}

// mustModulus parses a constant.
func mustModulus(digits string) *bigmod.Modulus {
	b, err := hex.DecodeString(digits)
	if err != nil {
		panic("internal error: " + err.Error())
	}
	m, err := bigmod.NewModulus(b)
	if err != nil {
		panic("internal error: " + err.Error())
	}
	return m
}

func modulus(c Curve) (*bigmod.Modulus, error) {
	m, ok := moduli[c]
	if !ok {
		return nil, fmt.Errorf("keys: %v is not supported", c)
	}
	return m, nil
}

// maxTries bounds the rejection sampling in [Generate]. A sound source is
// refused with probability below 2^-32 per try.
const maxTries = 16

// Generate makes a private key from 32 bytes of rand: a scalar in [1, n-1],
// big endian, for the ECDSA curves; for Ed25519 a seed (RFC 8032, section
// 5.1.5) in [1, 2^256-190].
func Generate(c Curve, rand io.Reader) (*Secret, error) {
	if _, err := modulus(c); err != nil {
		return nil, err
	}
	var buf [Size]byte
	defer clear(buf[:])
	for range maxTries {
		if _, err := io.ReadFull(rand, buf[:]); err != nil {
			return nil, fmt.Errorf("keys: reading random bytes: %w", err)
		}
		if Check(c, buf[:]) == nil {
			return NewSecret(buf[:]), nil
		}
	}
	return nil, errors.New("keys: the random source gives no usable private key")
}

// Check reports whether raw is a private key of the curve: 32 bytes, not
// zero, and below the modulus in which its shares are computed. The error
// names the rule and no byte of raw.
func Check(c Curve, raw []byte) error {
	m, err := modulus(c)
	if err != nil {
		return err
	}
	if len(raw) != Size {
		return fmt.Errorf("private key: must be %d bytes, not %d", Size, len(raw))
	}
	n := bigmod.NewNat()
	defer func() { clear(n.Bits()) }()
	if _, err := n.SetBytes(raw, m); err != nil {
		return errors.New("private key: must be below the group order")
	}
	if n.IsZero() == 1 {
		return errors.New("private key: must not be zero")
	}
	return nil
}

// PublicKey returns the public key: 33 bytes compressed (SEC 1, section
// 2.3.3) for the ECDSA curves, 32 bytes (RFC 8032) for Ed25519. Its hex is
// what the activity API shows.
func PublicKey(c Curve, s *Secret) ([]byte, error) {
	raw := s.Expose()
	if err := Check(c, raw); err != nil {
		return nil, err
	}
	switch c {
	case Secp256k1:
		return secp256k1Public(raw), nil
	case P256:
		return p256Public(raw)
	default:
		return ed25519Public(raw), nil
	}
}
