package keys

import (
	"errors"
	"fmt"
	"io"
	"math/bits"

	"filippo.io/bigmod"
)

// Share is one point of the polynomial that hides a private key.
type Share struct {
	// Index is the x coordinate, 1 to 255.
	Index uint8
	// Value is the y coordinate: 32 bytes big endian, below the modulus.
	Value *Secret
}

// Split hides a private key in n shares, any t of which give it back (Shamir,
// "How to share a secret", 1979). The arithmetic is modulo the group order of
// the curve, and modulo 2^256-189 for the seed of Ed25519. Indexes are 1 to n.
func Split(c Curve, s *Secret, t, n int, rand io.Reader) ([]Share, error) {
	m, err := modulus(c)
	if err != nil {
		return nil, err
	}
	if t < 1 || n < t || n > 255 {
		return nil, fmt.Errorf("keys: cannot split %d of %d: need 1 <= t <= n <= 255", t, n)
	}
	if err := Check(c, s.Expose()); err != nil {
		return nil, err
	}
	coefficients := make([]*bigmod.Nat, t) // of rising degree
	defer func() { wipeNats(coefficients) }()
	if coefficients[0], err = bigmod.NewNat().SetBytes(s.Expose(), m); err != nil {
		return nil, errors.New("keys: internal error: private key out of range")
	}
	for i := 1; i < t; i++ {
		if coefficients[i], err = randomNat(m, rand); err != nil {
			return nil, err
		}
	}
	shares := make([]Share, n)
	for i := range shares {
		shares[i] = evaluate(coefficients, uint8(i+1), m)
	}
	return shares, nil
}

// evaluate is Horner's rule at x.
func evaluate(coefficients []*bigmod.Nat, x uint8, m *bigmod.Modulus) Share {
	at := smallNat(x, m)
	sum := bigmod.NewNat().ExpandFor(m)
	defer func() { clear(sum.Bits()) }()
	for i := len(coefficients) - 1; i >= 0; i-- {
		sum.Mul(at, m)
		sum.Add(coefficients[i], m)
	}
	var buf [Size]byte
	defer clear(buf[:])
	putNat(&buf, sum)
	return Share{Index: x, Value: NewSecret(buf[:])}
}

// Combine interpolates the private key from exactly the threshold's number of
// shares with distinct indexes, in any order, and compares its public key
// with public: [ErrMismatch] if they differ. Too few shares end there too.
//
// public is what [PublicKey] returns; for the ECDSA curves the 65-byte
// uncompressed form of [Uncompress] is accepted as well, and is the faster one.
// The comparison guards against damage, not against whoever can write shares.
func Combine(c Curve, shares []Share, public []byte) (*Secret, error) {
	var sum [Size]byte
	defer clear(sum[:])
	if err := combine(&sum, c, shares); err != nil {
		return nil, err
	}
	if !belongs(c, &sum, public) {
		return nil, ErrMismatch
	}
	return NewSecret(sum[:]), nil
}

// CombineUnchecked is Combine without the comparison, for a secret that has no
// public key: the caller knows by other means whether it is the right one.
func CombineUnchecked(c Curve, shares []Share) (*Secret, error) {
	var sum [Size]byte
	defer clear(sum[:])
	if err := combine(&sum, c, shares); err != nil {
		return nil, err
	}
	return NewSecret(sum[:]), nil
}

func combine(sum *[Size]byte, c Curve, shares []Share) error {
	m, err := modulus(c)
	if err != nil {
		return err
	}
	weights, err := lagrange(c, m, shares)
	if err != nil {
		return err
	}
	return interpolate(sum, shares, weights, m)
}

func interpolate(out *[Size]byte, shares []Share, weights []*bigmod.Nat, m *bigmod.Modulus) error {
	sum, value, term := bigmod.NewNat().ExpandFor(m), bigmod.NewNat(), bigmod.NewNat()
	defer func() {
		clear(sum.Bits())
		clear(value.Bits())
		clear(term.Bits())
	}()
	for i, share := range shares {
		raw := share.Value.Expose()
		if len(raw) != Size {
			return fmt.Errorf("keys: share %d: must be %d bytes, not %d", share.Index, Size, len(raw))
		}
		if _, err := value.SetBytes(raw, m); err != nil {
			return fmt.Errorf("keys: share %d: must be below the modulus", share.Index)
		}
		// The library copies the receiver where nobody can wipe it: let
		// that be the weight, which is public.
		setNat(term, weights[i], m)
		sum.Add(term.Mul(value, m), m)
	}
	putNat(out, sum)
	return nil
}

// belongs reports whether public is the public key of raw.
func belongs(c Curve, raw *[Size]byte, public []byte) bool {
	switch c {
	case Secp256k1:
		return secp256k1Belongs(raw, public)
	case P256:
		return p256Belongs(raw, public)
	default:
		return ed25519Belongs(raw, public)
	}
}

// randomNat draws a uniform value below m by rejection.
func randomNat(m *bigmod.Modulus, rand io.Reader) (*bigmod.Nat, error) {
	var buf [Size]byte
	defer clear(buf[:])
	for range maxTries {
		if _, err := io.ReadFull(rand, buf[:]); err != nil {
			return nil, fmt.Errorf("keys: reading random bytes: %w", err)
		}
		if n, err := bigmod.NewNat().SetBytes(buf[:], m); err == nil {
			return n, nil
		}
	}
	return nil, errors.New("keys: the random source gives no usable coefficient")
}

// putNat writes n big endian without allocating.
func putNat(out *[Size]byte, n *bigmod.Nat) {
	i := Size
	for _, limb := range n.Bits() {
		for range bits.UintSize / 8 {
			i--
			out[i] = byte(limb)
			limb >>= 8
		}
	}
}

// setNat copies a public value reduced modulo m into dst.
func setNat(dst, src *bigmod.Nat, m *bigmod.Modulus) {
	clear(dst.Bits())
	dst.ExpandFor(m)
	copy(dst.Bits(), src.Bits())
}

func smallNat(x uint8, m *bigmod.Modulus) *bigmod.Nat {
	return bigmod.NewNat().SetUint(uint(x)).ExpandFor(m)
}

func wipeNats(nats []*bigmod.Nat) {
	for _, n := range nats {
		if n != nil {
			clear(n.Bits())
		}
	}
}
