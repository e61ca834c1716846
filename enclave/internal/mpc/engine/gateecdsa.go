package engine

import (
	"math/big"

	ecdsakeygen "github.com/bnb-chain/tss-lib/v2/ecdsa/keygen"
	ecdsaresharing "github.com/bnb-chain/tss-lib/v2/ecdsa/resharing"
	ecdsasigning "github.com/bnb-chain/tss-lib/v2/ecdsa/signing"
)

// Sizes of numbers, in bits. q is the group order; proofs mask with q^3 and q^7.
const (
	modulusBits  = 2048
	orderBits    = 256
	maskedBits   = 3*orderBits + 1               // e m + alpha
	maskedWide   = 3*orderBits + modulusBits + 2 // e rho + gamma
	maskedBeta   = 7*orderBits + 1
	dlnParts     = 128 // repetitions of the proof of a discrete logarithm
	modParts     = 80  // of the proof of a Paillier-Blum modulus
	facParts     = 11
	facWide      = 3*orderBits + 2*modulusBits + 8
	paillierSize = 13
)

func (g *gate) judgeECDSA(c *checker, l *letter) {
	switch m := l.msg.Content().(type) {
	case *ecdsakeygen.KGRound1Message:
		g.committed(c, l, m.Commitment)
		g.moduli(c, l.from, m.PaillierN, m.NTilde, m.H1, m.H2, m.Dlnproof_1, m.Dlnproof_2)
	case *ecdsakeygen.KGRound2Message1:
		c.scalar(m.Share, "share")
		g.factorProof(c, m.FacProof)
	case *ecdsakeygen.KGRound2Message2:
		g.opened(c, l, m.DeCommitment, g.e.setup.Threshold)
		g.modulusProof(c, l.from, m.ModProof)
	case *ecdsakeygen.KGRound3Message:
		c.must(len(m.PaillierProof) == paillierSize, "proof of the Paillier key must have 13 numbers")
		for _, b := range m.PaillierProof {
			c.residue(b, g.peers[l.from].n, "proof of the Paillier key")
		}
	default:
		g.judgeReshare(c, l)
	}
}

func (g *gate) judgeReshare(c *checker, l *letter) {
	switch m := l.msg.Content().(type) {
	case *ecdsaresharing.DGRound1Message:
		g.committed(c, l, m.VCommitment)
		g.samePublic(c, m.EcdsaPubX, m.EcdsaPubY)
		c.must(len(m.Ssid) > 0 && len(m.Ssid) <= 32, "session id must have up to 32 bytes")
		if g.ssid == nil {
			g.ssid, g.first = m.Ssid, l.from
		}
		c.unlike(string(g.ssid) == string(m.Ssid), g.first, "session id differs from that of another old member")
	case *ecdsaresharing.DGRound2Message1:
		g.moduli(c, l.from, m.PaillierN, m.NTilde, m.H1, m.H2, m.Dlnproof_1, m.Dlnproof_2)
		g.modulusProof(c, l.from, m.ModProof)
	case *ecdsaresharing.DGRound3Message1:
		c.scalar(m.Share, "share")
	case *ecdsaresharing.DGRound3Message2:
		g.opened(c, l, m.VDecommitment, g.e.setup.Threshold)
		g.ownShare(c, l.from, m.VDecommitment)
	case *ecdsaresharing.DGRound4Message1:
		g.factorProof(c, m.FacProof)
	case *ecdsaresharing.DGRound2Message2, *ecdsaresharing.DGRound4Message2: // empty
	default:
		g.judgeSigning(c, l)
	}
}

func (g *gate) judgeSigning(c *checker, l *letter) {
	switch m := l.msg.Content().(type) {
	case *ecdsasigning.SignRound1Message1:
		n := g.peers[l.from].n
		c.residue(m.C, square(n), "ciphertext")
		g.rangeProof(c, n, m.RangeProofAlice)
	case *ecdsasigning.SignRound1Message2:
		g.committed(c, l, m.Commitment)
	case *ecdsasigning.SignRound2Message:
		c.residue(m.C1, square(g.own.n), "first ciphertext")
		c.residue(m.C2, square(g.own.n), "second ciphertext")
		g.affineProof(c, m.ProofBob, 10)
		g.affineProof(c, m.ProofBobWc, 12)
	case *ecdsasigning.SignRound3Message:
		c.scalar(m.Theta, "theta")
		g.theta(c, l.from, integer(m.Theta))
	case *ecdsasigning.SignRound4Message:
		g.opened(c, l, m.DeCommitment, 1)
		c.point(m.ProofAlphaX, m.ProofAlphaY, "alpha")
		c.scalar(m.ProofT, "t")
	case *ecdsasigning.SignRound5Message:
		g.committed(c, l, m.Commitment)
	case *ecdsasigning.SignRound6Message:
		g.opened(c, l, m.DeCommitment, 2)
		c.point(m.ProofAlphaX, m.ProofAlphaY, "alpha")
		c.scalar(m.ProofT, "t")
		c.point(m.VProofAlphaX, m.VProofAlphaY, "alpha of v")
		c.scalar(m.VProofT, "t of v")
		c.scalar(m.VProofU, "u of v")
	case *ecdsasigning.SignRound7Message:
		g.committed(c, l, m.Commitment)
	case *ecdsasigning.SignRound8Message:
		g.opened(c, l, m.DeCommitment, 2)
	case *ecdsasigning.SignRound9Message:
		c.scalar(m.S, "s")
	default:
		c.must(false, "is not known to the gate")
	}
}

// samePublic refuses an old member that reshares another key.
func (g *gate) samePublic(c *checker, x, y []byte) {
	c.point(x, y, "public key")
	want, err := point(c.curve, g.e.setup.Public)
	c.must(err == nil && want.X().Cmp(integer(x)) == 0 && want.Y().Cmp(integer(y)) == 0, "public key is that of another key")
}

// theta refuses parts whose sum is zero: the library divides by it. With more
// than one other party it may be any of them that waited for the rest.
func (g *gate) theta(c *checker, role int, part *big.Int) {
	g.thetas[role] = part
	if len(g.thetas) < len(g.e.setup.Roles) {
		return
	}
	sum := new(big.Int)
	for _, t := range g.thetas {
		sum.Add(sum, t)
	}
	c.must(sum.Mod(sum, c.order).Sign() != 0, "the sum of all theta must not be zero")
}

func square(n *big.Int) *big.Int { return new(big.Int).Mul(n, n) }

// factorProof is under our own N-tilde.
func (g *gate) factorProof(c *checker, parts [][]byte) {
	c.must(len(parts) == facParts, "proof of no small factor must have 11 numbers")
	if c.err != nil {
		return
	}
	for i, what := range []string{"P", "Q", "A", "B", "T"} {
		c.residue(parts[i], g.own.nTilde, what)
	}
	for _, b := range parts[5:] {
		c.bounded(b, facWide, "proof of no small factor")
	}
}

// rangeProof is under our own N-tilde, of a ciphertext under the peer's n.
func (g *gate) rangeProof(c *checker, n *big.Int, parts [][]byte) {
	c.must(len(parts) == 6, "range proof must have 6 numbers")
	if c.err != nil {
		return
	}
	c.residue(parts[0], g.own.nTilde, "z")
	c.residue(parts[1], square(n), "u")
	c.residue(parts[2], g.own.nTilde, "w")
	c.residue(parts[3], n, "s")
	c.bounded(parts[4], maskedBits, "s1")
	c.bounded(parts[5], maskedWide, "s2")
	c.must(integer(parts[4]).Cmp(integer(parts[5])) != 0, "s1 and s2 must differ")
}

// affineProof is Bob's, without and with the check of a public share.
func (g *gate) affineProof(c *checker, parts [][]byte, count int) {
	c.must(len(parts) == count, "proof of Bob has another number of parts")
	if c.err != nil {
		return
	}
	for _, i := range []int{0, 1, 2, 4} { // z, z', t, w
		c.residue(parts[i], g.own.nTilde, "z, t or w")
	}
	c.residue(parts[3], square(g.own.n), "v")
	c.residue(parts[5], g.own.n, "s")
	c.bounded(parts[6], maskedBits, "s1")
	c.bounded(parts[7], maskedWide, "s2")
	c.bounded(parts[8], maskedBeta, "t1")
	c.bounded(parts[9], maskedWide, "t2")
	c.must(integer(parts[6]).Cmp(integer(parts[7])) != 0 && integer(parts[8]).Cmp(integer(parts[9])) != 0, "s1 and s2, and t1 and t2, must differ")
	if count == 12 {
		// The library multiplies the base point by it and panics at the identity.
		s1 := integer(parts[6])
		c.must(s1.Mod(s1, c.order).Sign() != 0, "s1 must not be a multiple of the group order")
		c.point(parts[10], parts[11], "u")
	}
}
