package keys

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha512"
	"errors"
	"slices"
	"testing"
)

func randomScalarSecret(t *testing.T, c Curve) *Secret {
	t.Helper()
	var wide [64]byte
	rand.Read(wide[:])
	raw, err := ReduceScalar(c, wide)
	if err != nil {
		t.Fatal(err)
	}
	return NewSecret(raw[:])
}

func TestScalarsSplitAndCombine(t *testing.T) {
	for _, c := range []Curve{Secp256k1, P256, Ed25519} {
		for n := 1; n <= 4; n++ {
			s := randomScalarSecret(t, c)
			xs := make([][Size]byte, n)
			for i := range xs {
				xs[i] = [Size]byte(randomScalarSecret(t, c).Expose())
			}
			points, err := SplitPoints(c, s, xs, rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			public, err := ScalarPublic(c, s)
			if err != nil {
				t.Fatal(err)
			}
			got, err := CombinePoints(c, points, public)
			if err != nil || !got.Equal(s) {
				t.Fatalf("%v, %d shares: %v", c, n, err)
			}
			if n == 1 {
				continue
			}
			if _, err := CombinePoints(c, points[1:], public); !errors.Is(err, ErrMismatch) {
				t.Errorf("%v: one share too few: %v", c, err)
			}
			points[0] = points[1]
			if _, err := CombinePoints(c, points, public); err == nil {
				t.Errorf("%v: one share twice was taken", c)
			}
		}
	}
}

// The scalar of an Ed25519 seed (RFC 8032, section 5.1.5) has the seed's public key.
func TestEd25519ScalarHasItsSeedsPublicKey(t *testing.T) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	h := sha512.Sum512(private.Seed())
	h[0] &= 248
	h[31] = h[31]&127 | 64
	little := h[:32]
	slices.Reverse(little)
	var wide [64]byte
	copy(wide[32:], little)
	raw, err := ReduceScalar(Ed25519, wide)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ScalarPublic(Ed25519, NewSecret(raw[:]))
	if err != nil || !bytes.Equal(got, public) {
		t.Errorf("got %x, %v", got, err)
	}
}

func TestScalarsOutOfRangeAreRefused(t *testing.T) {
	for _, c := range []Curve{Secp256k1, P256, Ed25519} {
		m := scalarModuli[c]
		for name, raw := range map[string][]byte{
			"zero": make([]byte, Size), "order": m.Nat().Bytes(m), "all ones": bytes.Repeat([]byte{0xff}, Size), "short": make([]byte, 31),
		} {
			if err := CheckScalar(c, raw); err == nil {
				t.Errorf("%v: %s was taken", c, name)
			}
			if _, err := ScalarPublic(c, NewSecret(raw)); err == nil {
				t.Errorf("%v: public key of %s", c, name)
			}
		}
	}
}
