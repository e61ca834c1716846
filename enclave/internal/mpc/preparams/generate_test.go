package preparams

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"math"
	"math/big"
	mrand "math/rand/v2"
	"slices"
	"testing"
	"testing/iotest"
)

func small(size int, random io.Reader) *generator {
	return &generator{rand: random, sieve: newSieve(size)}
}

func TestGenerateMakesASoundSet(t *testing.T) {
	set, err := Generate(t.Context(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if err := set.Check(); err != nil {
		t.Error(err)
	}
	secret := set.Encode()
	defer secret.Erase()
	again, err := Decode(secret)
	if err != nil || !bytes.Equal(again.Alpha, set.Alpha) || !bytes.Equal(again.PaillierQ, set.PaillierQ) {
		t.Errorf("decoded to another set: %v", err)
	}
	// Against numbers of our own, beside Check.
	p, q := number(set.PaillierP), number(set.PaillierQ)
	if n := product(p, q); n.BitLen() != 2048 || !p.ProbablyPrime(1) || !q.ProbablyPrime(1) {
		t.Errorf("paillier modulus of %d bits", n.BitLen())
	}
	if d := new(big.Int).Sub(p, q); d.BitLen() < 1021 {
		t.Errorf("paillier primes differ by %d bits", d.BitLen())
	}
	order := product(number(set.P), number(set.Q))
	if beta := new(big.Int).ModInverse(number(set.Alpha), order); beta == nil {
		t.Error("alpha has no inverse")
	}
}

func TestGenerateDependsOnItsRandomBytesOnly(t *testing.T) {
	var sets [3]*Set
	for i := range sets {
		seed := [32]byte{byte(i / 2)} // the first two alike
		set, err := small(128, mrand.NewChaCha8(seed)).set(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := set.check(128); err != nil {
			t.Error(err)
		}
		sets[i] = set
	}
	a, b, c := sets[0].Encode(), sets[1].Encode(), sets[2].Encode()
	if !a.Equal(b) || a.Equal(c) {
		t.Error("sets do not follow from their random bytes")
	}
}

func TestGenerateEndsEarly(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Generate(ctx, rand.Reader); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	broken := errors.New("no entropy")
	if _, err := Generate(t.Context(), iotest.ErrReader(broken)); !errors.Is(err, broken) {
		t.Errorf("a broken source: %v", err)
	}
	if _, err := Generate(t.Context(), bytes.NewReader(make([]byte, 128))); err == nil {
		t.Error("a source that ends")
	}
}

func TestSurvivorsAreAllThatIsLeft(t *testing.T) {
	g := small(64, rand.Reader)
	primes := primesBelow(64 * 64 / 4)
	for range 50 {
		start, err := g.start()
		if err != nil {
			t.Fatal(err)
		}
		var want []int
		for k := range g.sieve.slots {
			q := new(big.Int).Add(start, big.NewInt(int64(6*k))).Uint64()
			if !slices.ContainsFunc(primes, func(r uint64) bool { return q%r == 0 || q%r == r/2 && r > 2 }) {
				want = append(want, k)
			}
		}
		got := g.sieve.survivors(start, mrand.New(mrand.NewPCG(1, 2)))
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Fatalf("from %v: %v, want %v", start, got, want)
		}
	}
}

// chiSquare refuses counts that are further from even than the mean and six
// deviations of the distribution. The tests' random bytes are always the same.
func chiSquare(t *testing.T, name string, counts []int) {
	t.Helper()
	total := 0
	for _, n := range counts {
		total += n
	}
	mean, x := float64(total)/float64(len(counts)), 0.0
	for _, n := range counts {
		d := float64(n) - mean
		x += d * d / mean
	}
	df := float64(len(counts) - 1)
	if x > df+6*math.Sqrt(2*df) {
		t.Errorf("%s: %v are not even (chi square %.1f of %.0f degrees)", name, counts, x, df)
	}
}

func TestSafePrimesAreSpreadEvenly(t *testing.T) {
	const size, samples = 64, 4000
	g := small(size, mrand.NewChaCha8([32]byte{7}))
	top, low := make([]int, 8), make([]int, 4)
	residues := map[uint64][]int{5: nil, 7: nil, 11: nil, 13: nil}
	seen := map[uint64]bool{}
	for range samples {
		q, err := g.half(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		p := safe(q).Uint64()
		if p>>(size-2) != 3 || p%12 != 11 || !q.ProbablyPrime(5) || !safe(q).ProbablyPrime(5) || seen[p] {
			t.Fatalf("%d is no safe prime, of another size, or repeated", p)
		}
		seen[p] = true
		top[p>>(size-5)&7]++ // the bits below the upper two
		low[q.Uint64()/6&3]++
		for r := range residues {
			if residues[r] == nil {
				residues[r] = make([]int, r)
			}
			residues[r][q.Uint64()%r]++
		}
	}
	chiSquare(t, "top bits", top)
	chiSquare(t, "low bits", low)
	for r, counts := range residues {
		if counts[0] != 0 || counts[r/2] != 0 {
			t.Errorf("modulo %d: %v", r, counts)
		}
		chiSquare(t, "residues", slices.Delete(slices.Delete(counts, int(r/2), int(r/2)+1), 0, 1))
	}
}

func TestCheckRefuses(t *testing.T) {
	const size = 128
	good, err := small(size, mrand.NewChaCha8([32]byte{3})).set(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	n := product(safe(number(good.P)), safe(number(good.Q)))
	order := product(number(good.P), number(good.Q))
	for name, change := range map[string]func(s *Set){
		"empty":                  func(s *Set) { *s = Set{} },
		"leading zero":           func(s *Set) { s.P = append([]byte{0}, s.P...) },
		"short prime":            func(s *Set) { s.PaillierP = s.PaillierP[1:] },
		"composite":              func(s *Set) { s.PaillierQ = new(big.Int).Add(number(s.PaillierQ), two).Bytes() },
		"even":                   func(s *Set) { s.PaillierP = new(big.Int).Sub(number(s.PaillierP), one).Bytes() },
		"prime but not safe":     func(s *Set) { s.PaillierP = plainPrime(size).Bytes() },
		"half of no safe prime":  func(s *Set) { s.Q = plainPrime(size - 1).Bytes() },
		"one prime twice":        func(s *Set) { s.PaillierQ = s.PaillierP },
		"halves alike":           func(s *Set) { s.Q = s.P },
		"same primes for both":   func(s *Set) { s.PaillierP, s.PaillierQ = safe(number(s.P)).Bytes(), safe(number(s.Q)).Bytes() },
		"h1 is one":              func(s *Set) { s.H1 = []byte{1} },
		"h1 is zero":             func(s *Set) { s.H1 = nil },
		"h1 is minus one":        func(s *Set) { s.H1 = new(big.Int).Sub(n, one).Bytes() },
		"h1 above the modulus":   func(s *Set) { s.H1 = new(big.Int).Add(number(s.H1), n).Bytes() },
		"h1 of another modulus":  func(s *Set) { s.H1 = new(big.Int).Sub(n, number(s.H1)).Bytes() },
		"h1 one modulo a factor": func(s *Set) { s.H1 = new(big.Int).Add(safe(number(s.P)), one).Bytes() },
		"alpha is zero":          func(s *Set) { s.Alpha = nil },
		"alpha not invertible":   func(s *Set) { s.Alpha = s.P },
		"alpha above the order":  func(s *Set) { s.Alpha = new(big.Int).Add(number(s.Alpha), order).Bytes() },
	} {
		t.Run(name, func(t *testing.T) {
			s := *good
			change(&s)
			if s.check(size) == nil {
				t.Error("accepted")
			}
		})
	}
	if err := good.check(size); err != nil {
		t.Errorf("the set itself: %v", err)
	}
}

// plainPrime returns a prime of a size with its upper two bits set, whose
// neighbours in both directions of "safe" are composite.
func plainPrime(size int) *big.Int {
	n := new(big.Int).Lsh(big.NewInt(3), uint(size-2))
	for n.Add(n, one); ; n.Add(n, two) {
		if n.ProbablyPrime(5) && !safe(n).ProbablyPrime(5) && !new(big.Int).Rsh(n, 1).ProbablyPrime(5) {
			return n
		}
	}
}

func BenchmarkGenerate(b *testing.B) {
	for b.Loop() {
		if _, err := Generate(b.Context(), rand.Reader); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSieve(b *testing.B) {
	g := &generator{rand: rand.Reader, sieve: sieveFor()}
	start, err := g.start()
	if err != nil {
		b.Fatal(err)
	}
	left := 0
	for b.Loop() {
		left = len(g.sieve.survivors(start, mrand.New(mrand.NewPCG(1, 2))))
	}
	b.ReportMetric(float64(left), "left")
}

func BenchmarkFermat(b *testing.B) {
	n, err := rand.Prime(rand.Reader, primeBits)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		fermat(n)
	}
}
