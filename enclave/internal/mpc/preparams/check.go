package preparams

import (
	"errors"
	"fmt"
	"math/big"
)

// Check computes whether a set is sound: sizes, primality of all four safe
// primes and their halves, distances, and that both bases are what they must be. It takes
// about a tenth of a second. Errors name the field and the rule, and no value.
func (s *Set) Check() error { return s.check(primeBits) }

func (s *Set) check(size int) error {
	for _, f := range []struct {
		name string
		b    []byte
		bits int
	}{
		{"paillier p", s.PaillierP, size},
		{"paillier q", s.PaillierQ, size},
		{"p", s.P, size - 1},
		{"q", s.Q, size - 1},
	} {
		if err := checkPrime(f.b, f.bits, size); err != nil {
			return fmt.Errorf("preparams: %s: %w", f.name, err)
		}
	}
	p1, p2 := number(s.PaillierP), number(s.PaillierQ)
	q1, q2 := number(s.P), number(s.Q)
	defer wipe(p1, p2, q1, q2)
	if err := checkModulus("the paillier modulus", p1, p2, size); err != nil {
		return err
	}
	if err := checkModulus("the pedersen modulus", safe(q1), safe(q2), size); err != nil {
		return err
	}
	if !coprime(product(p1, p2), product(safe(q1), safe(q2))) {
		return errors.New("preparams: the moduli share a prime")
	}
	return s.checkBases(q1, q2)
}

// checkPrime checks a safe prime, or the half of one, by its length.
func checkPrime(b []byte, bits, size int) error {
	n := number(b)
	defer wipe(n)
	if n.BitLen() != bits || len(b) != (bits+7)/8 {
		return fmt.Errorf("must be %d bits without leading zeros", bits)
	}
	half := new(big.Int).Set(n)
	if bits == size {
		half.Rsh(half, 1)
	}
	defer wipe(half)
	if n.Bit(0) == 0 || !half.ProbablyPrime(rounds) || !safe(half).ProbablyPrime(rounds) {
		return errors.New("must belong to a safe prime")
	}
	return nil
}

func checkModulus(name string, p, q *big.Int, size int) error {
	if product(p, q).BitLen() != 2*size {
		return fmt.Errorf("preparams: %s must be %d bits", name, 2*size)
	}
	if new(big.Int).Sub(p, q).BitLen() < size-maxBitsLost {
		return fmt.Errorf("preparams: %s: its primes must differ by %d bits", name, size-maxBitsLost)
	}
	return nil
}

func (s *Set) checkBases(p, q *big.Int) error {
	n, order := product(safe(p), safe(q)), product(p, q)
	h1, alpha := number(s.H1), number(s.Alpha)
	defer wipe(order, alpha)
	if h1.Cmp(n) >= 0 || !generates(h1, n) || big.Jacobi(h1, safe(p)) != 1 || big.Jacobi(h1, safe(q)) != 1 {
		return errors.New("preparams: h1 must be a square that generates all squares")
	}
	if alpha.Cmp(order) >= 0 || !coprime(alpha, order) {
		return errors.New("preparams: alpha must be below p q and invertible modulo p q")
	}
	return nil
}

func number(b []byte) *big.Int { return new(big.Int).SetBytes(b) }
