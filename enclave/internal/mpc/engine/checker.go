package engine

import (
	"errors"
	"fmt"
	"math/big"

	"github.com/bnb-chain/tss-lib/v2/crypto"
	"github.com/bnb-chain/tss-lib/v2/crypto/commitments"
	"github.com/sallyport/sallyport/enclave/internal/keys"
)

// A checker collects the first thing that is wrong.
type checker struct {
	order *big.Int
	curve keys.Curve
	err   error
	other *int // a role that may be to blame as well
}

func (c *checker) must(ok bool, what string) {
	if c.err == nil && !ok {
		c.err = errors.New(what)
	}
}

// unlike refuses what does not go together with what another role sent: one of the
// two is to blame, and messages come in any order.
func (c *checker) unlike(ok bool, other int, what string) {
	if c.err == nil && !ok {
		c.err, c.other = errors.New(what), &other
	}
}

// committed keeps a commitment: a hash of at most 32 bytes, of which leading zeros
// may be left out.
func (g *gate) committed(c *checker, l *letter, b []byte) {
	c.must(len(b) > 0 && len(b) <= 32, "commitment must have up to 32 bytes")
	g.commits[commitKey{l.from, l.kind.round}] = b
}

// opened checks an opening, a randomizer and coordinates of exactly n points,
// against the sender's commitment. The library does as well, but does not always
// say whose it was.
func (g *gate) opened(c *checker, l *letter, parts [][]byte, n int) {
	c.points(parts, n, "decommitment")
	if c.err != nil {
		return
	}
	commit := commitments.HashCommitDecommit{
		C: integer(g.commits[commitKey{l.from, l.kind.opens}]), D: commitments.NewHashDeCommitmentFromBytes(parts),
	}
	c.must(commit.Verify(), "decommitment must be that of the commitment")
}

// scalar is a number above zero and below the group order: the library
// multiplies points by it, and panics when the result is the identity.
func (c *checker) scalar(b []byte, what string) {
	n := integer(b)
	c.must(len(b) <= 32 && n.Sign() > 0 && n.Cmp(c.order) < 0, what+" must be above zero and below the group order")
}

// point is on the curve, its coordinates are below the field's order, and it is
// in the group: an Ed25519 point may have a part of small order besides.
func (c *checker) point(x, y []byte, what string) {
	if c.err != nil {
		return
	}
	p := group(c.curve).Params().P
	px, py := integer(x), integer(y)
	c.must(len(x) <= 32 && len(y) <= 32 && px.Cmp(p) < 0 && py.Cmp(p) < 0, what+" must have coordinates below the field's order")
	if c.err != nil {
		return
	}
	_, err := crypto.NewECPoint(group(c.curve), px, py)
	c.must(err == nil, what+" must be a point on the curve")
	if c.err == nil && c.curve == keys.Ed25519 {
		c.must(inGroup(px, py), what+" must be in the group of prime order and not its identity")
	}
}

// points are a randomizer and then coordinates, of exactly n points.
func (c *checker) points(parts [][]byte, n int, what string) {
	c.must(len(parts) == 1+2*n, fmt.Sprintf("%s must have %d numbers", what, 1+2*n))
	if c.err != nil {
		return
	}
	c.must(len(parts[0]) <= 32, what)
	for i := 1; i < len(parts); i += 2 {
		c.point(parts[i], parts[i+1], what)
	}
}

// residue is above one, below the modulus, and has no factor in common with it.
func (c *checker) residue(b []byte, modulus *big.Int, what string) {
	if c.err != nil {
		return
	}
	n := integer(b)
	c.must(n.Cmp(big.NewInt(1)) > 0 && n.Cmp(modulus) < 0 && coprime(n, modulus),
		what+" must be above one, below its modulus and coprime to it")
}

// bounded has at most so many bits, and at least one.
func (c *checker) bounded(b []byte, bits int, what string) {
	c.must(len(b) > 0 && integer(b).BitLen() <= bits, what+" is out of its range")
}
