package keys

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func split(tb testing.TB, c Curve, s *Secret, t, n int) []Share {
	tb.Helper()
	shares, err := Split(c, s, t, n, rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	return shares
}

func TestEveryThresholdOfSharesCombines(t *testing.T) {
	for _, c := range allCurves {
		s, public := generate(t, c)
		for n := 1; n <= 5; n++ {
			for k := 1; k <= n; k++ {
				shares := split(t, c, s, k, n)
				for _, subset := range subsets(shares, k) {
					got, err := Combine(c, subset, public)
					if err != nil {
						t.Fatalf("%v %d of %d: %v", c, k, n, err)
					}
					if !got.Equal(s) {
						t.Fatalf("%v %d of %d: another secret", c, k, n)
					}
				}
			}
		}
	}
}

// subsets lists all choices of k shares.
func subsets(shares []Share, k int) [][]Share {
	if k == 0 {
		return [][]Share{nil}
	}
	var out [][]Share
	for i := 0; i+k <= len(shares); i++ {
		for _, rest := range subsets(shares[i+1:], k-1) {
			out = append(out, append([]Share{shares[i]}, rest...))
		}
	}
	return out
}

func TestSplitAndCombineForAllThresholds(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		c := rapid.SampledFrom(allCurves).Draw(r, "curve")
		n := rapid.IntRange(1, 255).Draw(r, "n")
		k := rapid.IntRange(1, min(n, 12)).Draw(r, "t")
		s, public := generate(t, c)
		shares := split(t, c, s, k, n)
		order := rapid.Permutation(shares).Draw(r, "order")
		got, err := Combine(c, order[:k], public)
		if err != nil || !got.Equal(s) {
			r.Fatalf("%v: %d of %d: %v", c, k, n, err)
		}
		if k > 1 {
			if _, err := Combine(c, order[:k-1], public); !errors.Is(err, ErrMismatch) {
				r.Fatalf("%d shares of a threshold of %d: %v", k-1, k, err)
			}
		}
	})
}

func TestTheLargestSplitCombines(t *testing.T) {
	for _, c := range allCurves {
		s, public := generate(t, c)
		got, err := Combine(c, split(t, c, s, 255, 255), public)
		if err != nil || !got.Equal(s) {
			t.Fatalf("%v: %v", c, err)
		}
	}
}

// Interpolation once more with big integers, and known coefficients.
func TestSharesArePointsOfThePolynomial(t *testing.T) {
	coefficients := bytes.Repeat([]byte{0x42}, 64)
	for _, c := range allCurves {
		secret := NewSecret(bytes.Repeat([]byte{0x17}, 32))
		shares, err := Split(c, secret, 3, 5, bytes.NewReader(coefficients))
		if err != nil {
			t.Fatal(err)
		}
		m, _ := modulus(c)
		var modBytes [Size]byte
		putNat(&modBytes, m.Nat())
		p := new(big.Int).SetBytes(modBytes[:])
		a0 := new(big.Int).SetBytes(secret.Expose())
		a := new(big.Int).SetBytes(coefficients[:32])
		for _, share := range shares {
			x := big.NewInt(int64(share.Index))
			want := new(big.Int).Mul(a, x)
			want.Add(want, a).Mul(want, x).Add(want, a0).Mod(want, p)
			if got := new(big.Int).SetBytes(share.Value.Expose()); got.Cmp(want) != 0 {
				t.Errorf("%v share %d: got %x, want %x", c, share.Index, got, want)
			}
		}
	}
}

func TestImpossibleThresholdsAreRefused(t *testing.T) {
	s, _ := generate(t, P256)
	for _, tt := range [][2]int{{0, 3}, {-1, 3}, {4, 3}, {2, 256}, {0, 0}, {256, 256}} {
		if _, err := Split(P256, s, tt[0], tt[1], rand.Reader); err == nil {
			t.Errorf("%d of %d was accepted", tt[0], tt[1])
		}
	}
	if _, err := Split(P256, s, 2, 3, bytes.NewReader(nil)); err == nil {
		t.Error("split without random bytes")
	}
}

func TestUnusableSharesAreRefusedByName(t *testing.T) {
	for _, c := range allCurves {
		s, public := generate(t, c)
		shares := split(t, c, s, 2, 3)
		bad := func(i uint8, b []byte) []Share { return []Share{shares[0], {Index: i, Value: NewSecret(b)}} }
		for _, tt := range []struct {
			name   string
			shares []Share
			want   string
		}{
			{"none", nil, "keys: cannot combine 0 shares"},
			{"too many", make([]Share, 256), "keys: cannot combine 256 shares"},
			{"twice", []Share{shares[1], shares[1]}, "keys: share 2 appears twice"},
			{"index zero", bad(0, make([]byte, 32)), "keys: share index 0 is the secret itself"},
			{"short", bad(2, make([]byte, 31)), "keys: share 2: must be 32 bytes, not 31"},
			{"erased", []Share{shares[0], {Index: 3}}, "keys: share 3: must be 32 bytes, not 0"},
			{"out of range", bad(2, bytes.Repeat([]byte{0xff}, 32)), "keys: share 2: must be below the modulus"},
			{"damaged", bad(2, bytes.Repeat([]byte{1}, 32)), ErrMismatch.Error()},
			{"too few", shares[:1], ErrMismatch.Error()},
			{"more than the threshold", shares, ""},
		} {
			got, err := Combine(c, tt.shares, public)
			if tt.want == "" {
				if err != nil || !got.Equal(s) {
					t.Errorf("%v %s: %v", c, tt.name, err)
				}
				continue
			}
			if err == nil || err.Error() != tt.want || got != nil {
				t.Errorf("%v %s: got %v, want %q", c, tt.name, err, tt.want)
			}
		}
	}
}

func TestCombineRefusesEveryOtherPublicKey(t *testing.T) {
	for _, c := range allCurves {
		s, public := generate(t, c)
		shares := split(t, c, s, 2, 3)[:2]
		_, other := generate(t, c)
		candidates := map[string][]byte{
			"nil": nil, "another": other, "shorter": public[:len(public)-1],
			"longer": append(bytes.Clone(public), 0), "zeros": make([]byte, 33),
			"65 zeros": make([]byte, 65), "65 fours": bytes.Repeat([]byte{4}, 65),
			"65 ones": append([]byte{4}, bytes.Repeat([]byte{0xff}, 64)...),
		}
		if c != Ed25519 {
			negated := bytes.Clone(public)
			negated[0] ^= 1
			candidates["negated"] = negated
			long, err := Uncompress(c, negated)
			if err != nil {
				t.Fatal(err)
			}
			candidates["negated, long"] = long
			long, _ = Uncompress(c, public)
			candidates["hybrid"] = append([]byte{6 + long[64]&1}, long[1:]...)
		}
		for name, candidate := range candidates {
			if _, err := Combine(c, shares, candidate); !errors.Is(err, ErrMismatch) {
				t.Errorf("%v %s: got %v", c, name, err)
			}
		}
	}
}

func TestCombineAcceptsTheUncompressedPublicKey(t *testing.T) {
	for _, c := range []Curve{Secp256k1, P256} {
		s, public := generate(t, c)
		long, err := Uncompress(c, public)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Combine(c, split(t, c, s, 2, 3)[1:], long)
		if err != nil || !got.Equal(s) {
			t.Errorf("%v: %v", c, err)
		}
	}
}

// Shares of a secret of zero combine to no key, whatever public key is named:
// the point at infinity has coordinates that compare equal to anything.
func TestSharesOfZeroNeverMatch(t *testing.T) {
	for _, c := range allCurves {
		zeros := []Share{{1, NewSecret(make([]byte, 32))}, {2, NewSecret(make([]byte, 32))}}
		for _, public := range [][]byte{make([]byte, 32), make([]byte, 33), make([]byte, 65), append([]byte{4}, make([]byte, 64)...)} {
			if _, err := Combine(c, zeros, public); !errors.Is(err, ErrMismatch) {
				t.Errorf("%v: got %v", c, err)
			}
		}
	}
}

func TestTheWeightCacheStaysBounded(t *testing.T) {
	s, public := generate(t, P256)
	shares := split(t, P256, s, 2, 60)
	for _, pair := range subsets(shares, 2) {
		if _, err := Combine(P256, pair, public); err != nil {
			t.Fatal(err)
		}
	}
	weights.mu.RLock()
	defer weights.mu.RUnlock()
	if len(weights.m) > maxWeights {
		t.Errorf("%d cached sets of weights", len(weights.m))
	}
}

func TestErrorsHoldNoKeyMaterial(t *testing.T) {
	value := bytes.Repeat([]byte{0xff}, 32)
	_, err := Combine(P256, []Share{{1, NewSecret(value)}}, nil)
	if err == nil || strings.Contains(strings.ToLower(err.Error()), "ffff") {
		t.Errorf("got %v", err)
	}
}

func BenchmarkCombine(b *testing.B) {
	for _, c := range allCurves {
		for _, k := range []int{2, 3, 5} {
			s, public := generate(b, c)
			shares := split(b, c, s, k, k+1)[:k]
			b.Run(fmt.Sprintf("%v/t=%d", c, k), func(b *testing.B) { benchCombine(b, c, shares, public) })
			if long, err := Uncompress(c, public); err == nil {
				b.Run(fmt.Sprintf("%v/t=%d/uncompressed", c, k), func(b *testing.B) { benchCombine(b, c, shares, long) })
			}
		}
	}
}

func benchCombine(b *testing.B, c Curve, shares []Share, public []byte) {
	b.ReportAllocs()
	for b.Loop() {
		s, err := Combine(c, shares, public)
		if err != nil {
			b.Fatal(err)
		}
		s.Erase()
	}
}
