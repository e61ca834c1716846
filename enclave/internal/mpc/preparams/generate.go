package preparams

import (
	"context"
	crand "crypto/rand"
	"fmt"
	"io"
	"math/big"
	"math/rand/v2"
)

const (
	// primeBits is the size of each safe prime.
	primeBits = 1024
	// maxBitsLost bounds how close two primes of one modulus may be: their
	// difference has at least primeBits - 3 bits, as tss-lib asks (audit finding
	// KS-BTL-F-03: close primes fall to Fermat's factoring).
	maxBitsLost = 3
	// rounds of Miller and Rabin's test, after which big.Int adds a test of
	// Lucas. Composites pass with a chance below 4^-20, and those that were
	// drawn at random far less often.
	rounds = 20
)

var (
	one = big.NewInt(1)
	two = big.NewInt(2)
)

// Generate makes one set. It takes some seconds of CPU time in the caller's
// goroutine, most of it in modular exponentiations, and ends early with the
// context's error. Time and garbage of math/big depend on the primes.
//
// Safe primes p = 2q + 1 are found with a combined sieve (Wiener, "Safe Prime
// Generation with a Combined Sieve", eprint 2003/186). A window of 2^16
// integers begins at a uniform place of the range in which p has 1024 bits of which the
// upper two are set, so that products have exactly 2048. The sieve strikes
// out each q of the window for which q or 2q + 1 has a prime factor below
// 2^18; the rest is tested in random order, first by Fermat's test to base 2,
// and the first safe prime is taken. A window without one is followed by
// another at a new uniform place.
//
// Each safe prime lies in as many windows as any other. Windows hold L = 0.17
// of them in the mean, so one is taken at most L / (1 - e^-L) < 1.1 times as
// often as if all were equally likely, which costs at most 0.13 bits of 1005; and
// k of them in one window share its chance evenly. The second prime of a
// modulus is drawn far from the first.
func Generate(ctx context.Context, random io.Reader) (*Set, error) {
	return (&generator{rand: random, sieve: sieveFor()}).set(ctx)
}

type generator struct {
	rand  io.Reader
	sieve *sieve
}

func (g *generator) set(ctx context.Context) (*Set, error) {
	p1, p2, err := g.pair(ctx)
	if err != nil {
		return nil, err
	}
	defer wipe(p1, p2)
	q1, q2, err := g.pair(ctx)
	if err != nil {
		return nil, err
	}
	defer wipe(q1, q2)
	h1, alpha, err := g.bases(q1, q2)
	if err != nil {
		return nil, err
	}
	defer wipe(alpha)
	n1, n2 := safe(p1), safe(p2)
	defer wipe(n1, n2)
	return &Set{
		PaillierP: n1.Bytes(), PaillierQ: n2.Bytes(),
		P: q1.Bytes(), Q: q2.Bytes(), H1: h1.Bytes(), Alpha: alpha.Bytes(),
	}, nil
}

// pair returns the halves of two safe primes that are far from each other.
func (g *generator) pair(ctx context.Context) (q1, q2 *big.Int, err error) {
	if q1, err = g.half(ctx, nil); err != nil {
		return nil, nil, err
	}
	if q2, err = g.half(ctx, q1); err != nil {
		wipe(q1)
		return nil, nil, err
	}
	return q1, q2, nil
}

// half returns a prime q of which 2q+1 is prime as well, far from another.
func (g *generator) half(ctx context.Context, other *big.Int) (*big.Int, error) {
	for {
		start, err := g.start()
		if err != nil {
			return nil, err
		}
		if other == nil || far(start, other, g.sieve.bits) {
			q, err := g.search(ctx, start)
			wipe(start)
			// At the edges of its range a window may have begun well and ended badly.
			if err != nil || q != nil && (other == nil || far(q, other, g.sieve.bits)) {
				return q, err
			}
		}
	}
}

// start returns a uniform integer of the range of q, moved up to 5 modulo 6.
func (g *generator) start() (*big.Int, error) {
	size := g.sieve.bits - 1
	raw := make([]byte, (size+7)/8)
	defer clear(raw)
	if _, err := io.ReadFull(g.rand, raw); err != nil {
		return nil, fmt.Errorf("preparams: reading random bytes: %w", err)
	}
	raw[0] &= 0xff >> (8*len(raw) - size)
	x := new(big.Int).SetBytes(raw)
	x.SetBit(x, size-1, 1).SetBit(x, size-2, 1)
	rest := new(big.Int).Mod(x, big.NewInt(6)).Int64()
	return x.Add(x, big.NewInt(5-rest)), nil
}

// search tests what the sieve has left of a window; nil if nothing is right.
func (g *generator) search(ctx context.Context, start *big.Int) (*big.Int, error) {
	var seed [32]byte
	if _, err := io.ReadFull(g.rand, seed[:]); err != nil {
		return nil, fmt.Errorf("preparams: reading random bytes: %w", err)
	}
	for _, k := range g.sieve.survivors(start, rand.New(rand.NewChaCha8(seed))) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		q := new(big.Int).Add(start, big.NewInt(6*int64(k)))
		if q.BitLen() != g.sieve.bits-1 || !fermat(q) {
			continue
		}
		if p := safe(q); fermat(p) && q.ProbablyPrime(rounds) && p.ProbablyPrime(rounds) {
			wipe(p)
			return q, nil
		}
	}
	return nil, nil
}

// bases returns h1, a random square that generates all squares modulo
// (2p+1)(2q+1), and alpha, uniform among the units modulo pq.
func (g *generator) bases(p, q *big.Int) (h1, alpha *big.Int, err error) {
	order := new(big.Int).Mul(p, q)
	defer wipe(order)
	n := product(safe(p), safe(q))
	for {
		f, err := crand.Int(g.rand, n)
		if err != nil {
			return nil, nil, fmt.Errorf("preparams: reading random bytes: %w", err)
		}
		h1 = f.Mul(f, f).Mod(f, n)
		if alpha, err = crand.Int(g.rand, order); err != nil {
			return nil, nil, fmt.Errorf("preparams: reading random bytes: %w", err)
		}
		if generates(h1, n) && coprime(alpha, order) {
			return h1, alpha, nil
		}
	}
}

// fermat reports whether 2^(n-1) = 1 modulo n, which hardly any large composite does.
func fermat(n *big.Int) bool {
	return new(big.Int).Exp(two, new(big.Int).Sub(n, one), n).Cmp(one) == 0
}

// safe returns 2q + 1.
func safe(q *big.Int) *big.Int {
	p := new(big.Int).Lsh(q, 1)
	return p.Add(p, one)
}

// far reports whether the safe primes of two halves differ by enough; size is
// that of the safe primes.
func far(q1, q2 *big.Int, size int) bool {
	d := new(big.Int).Sub(q1, q2)
	return d.BitLen()+1 >= size-maxBitsLost
}

func coprime(a, b *big.Int) bool {
	return a.Sign() > 0 && new(big.Int).GCD(nil, nil, a, b).Cmp(one) == 0
}

// generates reports whether a square modulo n, a product of two safe primes
// 2p+1 and 2q+1, has order pq: it is 1 modulo neither of them.
func generates(square, n *big.Int) bool {
	return coprime(square, n) && coprime(new(big.Int).Sub(square, one), n)
}

func product(a, b *big.Int) *big.Int { return new(big.Int).Mul(a, b) }

func wipe(numbers ...*big.Int) {
	for _, n := range numbers {
		clear(n.Bits())
		n.SetInt64(0)
	}
}
