package preparams

import (
	"encoding/binary"
	"math/big"
	"math/bits"
	"math/rand/v2"
	"sync"
)

// A sieve knows the small primes by which candidates of one size are sifted.
// It is read only once made.
type sieve struct {
	bits   int // of the safe primes sought
	slots  int // candidates in one window, 6 apart
	groups []sieveGroup
}

// A sieveGroup are primes whose product fits a word: one pass of divisions
// over the start of a window serves all of them.
type sieveGroup struct {
	product uint64
	primes  []sievePrime
}

type sievePrime struct {
	r       uint64
	inverse uint64 // of 6 modulo r
}

// sieveFor keeps what a size needs; there is one size outside of tests.
var sieveFor = sync.OnceValue(func() *sieve { return newSieve(primeBits) })

// newSieve prepares windows of bits^2/16 integers, 2^16 for 1024 bits, and
// primes below bits^2/4, 2^18 for 1024 bits. What these sizes do to the
// distribution is told at [Generate]. More primes cost more to divide by than
// they save in exponentiations.
func newSieve(size int) *sieve {
	s := &sieve{bits: size, slots: size * size / (16 * 6)}
	g := sieveGroup{product: 1}
	for _, r := range primesBelow(size * size / 4) {
		if r < 5 {
			continue // taken care of by the step of 6
		}
		if over, _ := bits.Mul64(g.product, r); over != 0 {
			s.groups = append(s.groups, g)
			g = sieveGroup{product: 1}
		}
		g.product *= r
		g.primes = append(g.primes, sievePrime{r, inverseOf6(r)})
	}
	s.groups = append(s.groups, g)
	return s
}

// primesBelow is the sieve of Eratosthenes.
func primesBelow(n int) (out []uint64) {
	composite := make([]bool, n)
	for i := 2; i < n; i++ {
		if composite[i] {
			continue
		}
		out = append(out, uint64(i))
		for j := i * i; j < n; j += i {
			composite[j] = true
		}
	}
	return out
}

// inverseOf6 finds k r = -1 modulo 6: then (k r + 1) / 6 is the inverse.
func inverseOf6(r uint64) uint64 {
	for k := uint64(1); ; k++ {
		if (k*r+1)%6 == 0 {
			return (k*r + 1) / 6
		}
	}
}

// survivors returns, in random order, each k below the number of slots for
// which neither q = start + 6k nor 2q + 1 is divisible by a prime of the
// sieve. Start is 5 modulo 6; then neither is divisible by 2 or 3.
func (s *sieve) survivors(start *big.Int, order *rand.Rand) []int {
	words := make([]byte, (start.BitLen()+63)/64*8)
	defer clear(words)
	start.FillBytes(words)
	out := make([]bool, s.slots)
	for _, g := range s.groups {
		rest := uint64(0)
		for w := words; len(w) > 0; w = w[8:] {
			_, rest = bits.Div64(rest, binary.BigEndian.Uint64(w), g.product)
		}
		for _, p := range g.primes {
			m := rest % p.r
			p.strike(out, (p.r-m)%p.r)       // q = 0
			p.strike(out, (p.r/2+p.r-m)%p.r) // q = (r-1)/2, so 2q+1 = 0
		}
	}
	var left []int
	for k, struck := range out {
		if !struck {
			left = append(left, k)
		}
	}
	order.Shuffle(len(left), func(i, j int) { left[i], left[j] = left[j], left[i] })
	return left
}

// strike strikes out each k with 6k = distance modulo r.
func (p sievePrime) strike(out []bool, distance uint64) {
	for k := distance * p.inverse % p.r; k < uint64(len(out)); k += p.r {
		out[k] = true
	}
}
