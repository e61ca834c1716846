package engine

import (
	eddsakeygen "github.com/bnb-chain/tss-lib/v2/eddsa/keygen"
	eddsaresharing "github.com/bnb-chain/tss-lib/v2/eddsa/resharing"
	eddsasigning "github.com/bnb-chain/tss-lib/v2/eddsa/signing"
)

func (g *gate) judgeEDDSA(c *checker, l *letter) {
	switch m := l.msg.Content().(type) {
	case *eddsakeygen.KGRound1Message:
		c.hash(m.Commitment, "commitment")
	case *eddsakeygen.KGRound2Message1:
		c.scalar(m.Share, "share")
	case *eddsakeygen.KGRound2Message2:
		c.points(m.DeCommitment, g.e.setup.Threshold, "decommitment")
		c.point(m.ProofAlphaX, m.ProofAlphaY, "alpha")
		c.scalar(m.ProofT, "t")
	case *eddsasigning.SignRound1Message:
		c.hash(m.Commitment, "commitment")
	case *eddsasigning.SignRound2Message:
		c.points(m.DeCommitment, 1, "decommitment")
		c.point(m.ProofAlphaX, m.ProofAlphaY, "alpha")
		c.scalar(m.ProofT, "t")
	case *eddsasigning.SignRound3Message:
		c.scalar(m.S, "s")
	case *eddsaresharing.DGRound1Message:
		c.hash(m.VCommitment, "commitment")
		g.samePublic(c, m.EddsaPubX, m.EddsaPubY)
	case *eddsaresharing.DGRound3Message1:
		c.scalar(m.Share, "share")
	case *eddsaresharing.DGRound3Message2:
		c.points(m.VDecommitment, g.e.setup.Threshold, "decommitment")
	case *eddsaresharing.DGRound2Message, *eddsaresharing.DGRound4Message: // empty
	default:
		c.must(false, "is not known to the gate")
	}
}
