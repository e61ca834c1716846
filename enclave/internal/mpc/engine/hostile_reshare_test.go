package engine

import (
	"math/big"
	"testing"

	"github.com/bnb-chain/tss-lib/v2/crypto/commitments"
	ecdsaresharing "github.com/bnb-chain/tss-lib/v2/ecdsa/resharing"
	eddsakeygen "github.com/bnb-chain/tss-lib/v2/eddsa/keygen"
	eddsaresharing "github.com/bnb-chain/tss-lib/v2/eddsa/resharing"
	eddsasigning "github.com/bnb-chain/tss-lib/v2/eddsa/signing"
	"github.com/sallyport/sallyport/enclave/internal/keys"
)

func TestHostileReshareIsStopped(t *testing.T) {
	run(t, "secp256k1 reshare", []hostile{
		{"of another key", on(func(m *ecdsaresharing.DGRound1Message) { m.EcdsaPubX, m.EcdsaPubY = baseOf(keys.Secp256k1) }), "another key"},
		{"no session id", on(func(m *ecdsaresharing.DGRound1Message) { m.Ssid = huge }), "32 bytes"},
		{"h1 is h2", on(func(m *ecdsaresharing.DGRound2Message1) { m.H1 = m.H2 }), "must differ"},
		{"N of 2047 bits", on(func(m *ecdsaresharing.DGRound2Message1) { m.PaillierN = m.PaillierN[1:] }), "2048 bits"},
		{"no proof of the modulus", on(func(m *ecdsaresharing.DGRound2Message1) { m.ModProof = nil }), "163 numbers"},
		{"zero share", on(func(m *ecdsaresharing.DGRound3Message1) { m.Share = zero }), "share"},
		{"short commitment vector", on(func(m *ecdsaresharing.DGRound3Message2) { m.VDecommitment = shorter(m.VDecommitment) }), "decommitment must have"},
		{"another polynomial", on(func(m *ecdsaresharing.DGRound3Message2) { copy(m.VDecommitment[3:], m.VDecommitment[1:3]) }), "of the commitment"},
		{"no proof of factors", on(func(m *ecdsaresharing.DGRound4Message1) { m.FacProof = nil }), "11 numbers"},
	})
	run(t, "ed25519 reshare", []hostile{
		{"of another key", on(func(m *eddsaresharing.DGRound1Message) { m.EddsaPubX, m.EddsaPubY = baseOf(keys.Ed25519) }), "another key"},
		{"zero share", on(func(m *eddsaresharing.DGRound3Message1) { m.Share = zero }), "share"},
		{"share is the order", on(func(m *eddsaresharing.DGRound3Message1) { m.Share = order25.Bytes() }), "share"},
		{"short commitment vector", on(func(m *eddsaresharing.DGRound3Message2) { m.VDecommitment = shorter(m.VDecommitment) }), "decommitment must have"},
	})
}

// An old member whose commitment and opening go together may still share out
// something else than its share. Then the sum would be of another key, and nobody
// would know whose fault it is.
func TestOldMembersShareOutTheirOwn(t *testing.T) {
	for _, c := range []keys.Curve{keys.Secp256k1, keys.Ed25519} {
		r := record(t, map[keys.Curve]string{keys.Secp256k1: "secp256k1 reshare", keys.Ed25519: "ed25519 reshare"}[c])
		x, y := baseOf(c)
		parts := [][]byte{{1}, x, y, x, y} // two points
		commit := commitments.NewHashCommitmentWithRandomness(integer(parts[0]), integer(x), integer(y), integer(x), integer(y)).C.Bytes()
		f, _ := r.replay(t, func(content any) bool {
			switch m := content.(type) {
			case *ecdsaresharing.DGRound1Message:
				m.VCommitment = commit
			case *ecdsaresharing.DGRound3Message2:
				m.VDecommitment = parts
			case *eddsaresharing.DGRound1Message:
				m.VCommitment = commit
			case *eddsaresharing.DGRound3Message2:
				m.VDecommitment = parts
			default:
				return false
			}
			return true
		})
		blames(t, r.setup, f, "must be the member's own")
	}
}

func TestHostileEd25519IsStopped(t *testing.T) {
	run(t, "ed25519 keygen", []hostile{
		{"short commitment vector", on(func(m *eddsakeygen.KGRound2Message2) { m.DeCommitment = shorter(m.DeCommitment) }), "decommitment must have"},
		{"identity", on(func(m *eddsakeygen.KGRound2Message2) { set(m.DeCommitment, 1, zero); set(m.DeCommitment, 2, []byte{1}) }), "identity"},
		{"point of order four", on(func(m *eddsakeygen.KGRound2Message2) {
			set(m.DeCommitment, 1, rootOfMinusOne())
			set(m.DeCommitment, 2, zero)
		}), "prime order"},
		{"point with a part of order two", on(func(m *eddsakeygen.KGRound2Message2) { twist(m.DeCommitment) }), "prime order"},
		{"zero share", on(func(m *eddsakeygen.KGRound2Message1) { m.Share = zero }), "share"},
		{"proof is zero", on(func(m *eddsakeygen.KGRound2Message2) { m.ProofT = zero }), "t must"},
	})
	run(t, "ed25519 sign", []hostile{
		{"R off the curve", on(func(m *eddsasigning.SignRound2Message) { m.DeCommitment[1][3] ^= 1 }), "on the curve"},
		{"R in two points", on(func(m *eddsasigning.SignRound2Message) { m.DeCommitment = longer(m.DeCommitment) }), "lacks a part"},
		{"alpha off the curve", on(func(m *eddsasigning.SignRound2Message) { m.ProofAlphaX = huge }), "alpha"},
		{"another R", on(func(m *eddsasigning.SignRound2Message) { m.DeCommitment[0][0] ^= 1 }), "of the commitment"},
		{"s is the order", on(func(m *eddsasigning.SignRound3Message) { m.S = order25.Bytes() }), "s must"},
		{"s is huge", on(func(m *eddsasigning.SignRound3Message) { m.S = huge }), "s must"},
	})
}

func baseOf(c keys.Curve) (x, y []byte) {
	p := group(c).Params()
	return p.Gx.Bytes(), p.Gy.Bytes()
}

// rootOfMinusOne is the x coordinate of a point of order four; its y is zero.
func rootOfMinusOne() []byte {
	p := group(keys.Ed25519).Params().P
	return new(big.Int).ModSqrt(big.NewInt(-1), p).Bytes()
}

// twist adds the point of order two to the first point: it negates both
// coordinates.
func twist(parts [][]byte) {
	p := group(keys.Ed25519).Params().P
	for i := 1; i <= 2; i++ {
		parts[i] = new(big.Int).Sub(p, integer(parts[i])).Bytes()
	}
}
