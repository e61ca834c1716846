package engine

import (
	eddsakeygen "github.com/bnb-chain/tss-lib/v2/eddsa/keygen"
	eddsaresharing "github.com/bnb-chain/tss-lib/v2/eddsa/resharing"
	eddsasigning "github.com/bnb-chain/tss-lib/v2/eddsa/signing"
)

func (g *gate) judgeEDDSA(c *checker, l *letter) {
	switch m := l.msg.Content().(type) {
	case *eddsakeygen.KGRound1Message:
		g.committed(c, l, m.Commitment)
	case *eddsakeygen.KGRound2Message1:
		c.scalar(m.Share, "share")
	case *eddsakeygen.KGRound2Message2:
		g.opened(c, l, m.DeCommitment, g.e.setup.Threshold)
		c.point(m.ProofAlphaX, m.ProofAlphaY, "alpha")
		c.scalar(m.ProofT, "t")
	case *eddsasigning.SignRound1Message:
		g.committed(c, l, m.Commitment)
	case *eddsasigning.SignRound2Message:
		g.opened(c, l, m.DeCommitment, 1)
		c.point(m.ProofAlphaX, m.ProofAlphaY, "alpha")
		c.scalar(m.ProofT, "t")
	case *eddsasigning.SignRound3Message:
		c.scalar(m.S, "s")
	case *eddsaresharing.DGRound1Message:
		g.committed(c, l, m.VCommitment)
		g.samePublic(c, m.EddsaPubX, m.EddsaPubY)
	case *eddsaresharing.DGRound3Message1:
		c.scalar(m.Share, "share")
	case *eddsaresharing.DGRound3Message2:
		g.opened(c, l, m.VDecommitment, g.e.setup.Threshold)
		g.ownShare(c, l.from, m.VDecommitment)
	case *eddsaresharing.DGRound2Message, *eddsaresharing.DGRound4Message: // empty
	default:
		c.must(false, "is not known to the gate")
	}
}
