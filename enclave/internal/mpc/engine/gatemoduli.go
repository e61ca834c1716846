package engine

import "math/big"

// moduli checks a member's public parameters, and remembers them.
func (g *gate) moduli(c *checker, role int, n, nTilde, h1, h2 []byte, dln1, dln2 [][]byte) {
	p := &peerModuli{n: integer(n), nTilde: integer(nTilde), h1: integer(h1), h2: integer(h2)}
	c.modulus(p.n, "Paillier modulus")
	c.modulus(p.nTilde, "N-tilde")
	c.must(coprime(p.n, p.nTilde), "N-tilde must have no factor in common with the Paillier modulus")
	c.residue(h1, p.nTilde, "h1")
	c.residue(h2, p.nTilde, "h2")
	c.must(p.h1.Cmp(p.h2) != 0, "h1 and h2 must differ")
	g.unlikeOthers(c, p)
	for _, proof := range [][][]byte{dln1, dln2} {
		c.must(len(proof) == 2*(dlnParts+1), "proof of a discrete logarithm must have 258 numbers")
		if c.err != nil {
			return
		}
		for i, b := range proof {
			if i%(dlnParts+1) == 0 {
				c.must(len(b) == 1 && b[0] == dlnParts, "proof of a discrete logarithm must have 128 repetitions")
			} else {
				c.bounded(b, modulusBits, "proof of a discrete logarithm")
			}
		}
	}
	if c.err == nil {
		g.peers[role] = p
	}
}

// modulus has exactly 2048 bits, and is neither prime, nor a square, nor
// divisible by a small prime. That it has two factors is for proofs to show.
func (c *checker) modulus(n *big.Int, what string) {
	c.must(n.BitLen() == modulusBits, what+" must have 2048 bits")
	if c.err != nil {
		return
	}
	c.must(coprime(n, smallPrimes), what+" must have no small factor")
	root := new(big.Int).Sqrt(n)
	c.must(square(root).Cmp(n) != 0, what+" must not be a square")
	c.must(!n.ProbablyPrime(0), what+" must not be prime")
}

// smallPrimes is the product of all primes below 2^12.
var smallPrimes = func() *big.Int {
	product := big.NewInt(2)
	for n := int64(3); n < 1<<12; n += 2 {
		if p := big.NewInt(n); p.ProbablyPrime(0) {
			product.Mul(product, p)
		}
	}
	return product
}()

func coprime(a, b *big.Int) bool {
	return new(big.Int).GCD(nil, nil, a, b).Cmp(big.NewInt(1)) == 0
}

// unlikeOthers refuses parameters that share anything with another member's or
// with this party's.
func (g *gate) unlikeOthers(c *checker, p *peerModuli) {
	if g.own != nil {
		for _, own := range []*big.Int{g.own.n, g.own.nTilde} {
			c.must(coprime(own, p.n) && coprime(own, p.nTilde), "moduli must be the member's own")
		}
		for _, own := range []*big.Int{g.own.h1, g.own.h2} {
			c.must(own.Cmp(p.h1) != 0 && own.Cmp(p.h2) != 0, "h1 and h2 must be the member's own")
		}
	}
	for role, o := range g.peers {
		for _, theirs := range []*big.Int{o.n, o.nTilde} {
			c.unlike(coprime(theirs, p.n) && coprime(theirs, p.nTilde), role, "moduli must be the member's own")
		}
		for _, theirs := range []*big.Int{o.h1, o.h2} {
			c.unlike(theirs.Cmp(p.h1) != 0 && theirs.Cmp(p.h2) != 0, role, "h1 and h2 must be the member's own")
		}
	}
}

// modulusProof adds to the library's check that W is coprime to N: a W that is
// not passes for a non-residue and lets the proof be forged.
func (g *gate) modulusProof(c *checker, role int, parts [][]byte) {
	c.must(len(parts) == 2*modParts+3, "proof of the Paillier modulus must have 163 numbers")
	if c.err != nil {
		return
	}
	n := g.peers[role].n
	c.residue(parts[0], n, "w")
	if c.err == nil {
		c.must(big.Jacobi(integer(parts[0]), n) == -1, "w must be no residue")
	}
	for i, b := range parts[1:] {
		if i == modParts || i == modParts+1 {
			c.must(integer(b).BitLen() == modParts+1, "proof of the Paillier modulus must have 80 choices")
		} else {
			c.residue(b, n, "proof of the Paillier modulus")
		}
	}
}
