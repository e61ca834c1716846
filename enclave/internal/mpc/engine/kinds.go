package engine

import (
	"github.com/bnb-chain/tss-lib/v2/tss"

	ecdsakeygen "github.com/bnb-chain/tss-lib/v2/ecdsa/keygen"
	ecdsaresharing "github.com/bnb-chain/tss-lib/v2/ecdsa/resharing"
	ecdsasigning "github.com/bnb-chain/tss-lib/v2/ecdsa/signing"
	eddsakeygen "github.com/bnb-chain/tss-lib/v2/eddsa/keygen"
	eddsaresharing "github.com/bnb-chain/tss-lib/v2/eddsa/resharing"
	eddsasigning "github.com/bnb-chain/tss-lib/v2/eddsa/signing"
	"github.com/sallyport/sallyport/enclave/internal/keys"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
)

// presignRound is the round whose messages are held while what is signed is
// not known: the library reads the message when it begins round 5, and nothing
// before depends on it.
const presignRound = 4

// A kind is a type of message of one protocol.
type kind struct {
	name         string
	curve        keys.Curve
	ops          []mpc.Op
	round        int
	broadcast    bool
	fromOld      bool // sent by members of an old committee
	toOld, toNew bool
	// first: nothing else of its sender is judged before.
	first bool
	// opens is the round of the commitment that this opens; 0: none.
	opens int
}

var (
	keygen  = []mpc.Op{mpc.OpKeygen}
	signing = []mpc.Op{mpc.OpSign, mpc.OpPresign}
	reshare = []mpc.Op{mpc.OpReshare}
)

// kindOf finds a message's kind; nil if it has none.
func kindOf(m tss.ParsedMessage) *kind {
	k := ecdsaKind(m)
	if k == nil {
		k = eddsaKind(m)
	}
	if k != nil {
		k.name = m.Type()
	}
	return k
}

func ecdsaKind(m tss.ParsedMessage) *kind {
	const c = keys.Secp256k1
	switch m.Content().(type) {
	case *ecdsakeygen.KGRound1Message:
		return &kind{curve: c, ops: keygen, round: 1, broadcast: true, toNew: true, first: true}
	case *ecdsakeygen.KGRound2Message1:
		return &kind{curve: c, ops: keygen, round: 2}
	case *ecdsakeygen.KGRound2Message2:
		return &kind{curve: c, ops: keygen, round: 2, broadcast: true, toNew: true, opens: 1}
	case *ecdsakeygen.KGRound3Message:
		return &kind{curve: c, ops: keygen, round: 3, broadcast: true, toNew: true}
	case *ecdsasigning.SignRound1Message1:
		return &kind{curve: c, ops: signing, round: 1}
	case *ecdsasigning.SignRound1Message2:
		return &kind{curve: c, ops: signing, round: 1, broadcast: true, toNew: true}
	case *ecdsasigning.SignRound2Message:
		return &kind{curve: c, ops: signing, round: 2}
	case *ecdsasigning.SignRound3Message:
		return &kind{curve: c, ops: signing, round: 3, broadcast: true, toNew: true}
	case *ecdsasigning.SignRound4Message:
		return &kind{curve: c, ops: signing, round: 4, broadcast: true, toNew: true, opens: 1}
	case *ecdsasigning.SignRound5Message:
		return &kind{curve: c, ops: signing, round: 5, broadcast: true, toNew: true}
	case *ecdsasigning.SignRound6Message:
		return &kind{curve: c, ops: signing, round: 6, broadcast: true, toNew: true, opens: 5}
	case *ecdsasigning.SignRound7Message:
		return &kind{curve: c, ops: signing, round: 7, broadcast: true, toNew: true}
	case *ecdsasigning.SignRound8Message:
		return &kind{curve: c, ops: signing, round: 8, broadcast: true, toNew: true, opens: 7}
	case *ecdsasigning.SignRound9Message:
		return &kind{curve: c, ops: signing, round: 9, broadcast: true, toNew: true}
	}
	return ecdsaReshareKind(m)
}

func ecdsaReshareKind(m tss.ParsedMessage) *kind {
	const c = keys.Secp256k1
	switch m.Content().(type) {
	case *ecdsaresharing.DGRound1Message:
		return &kind{curve: c, ops: reshare, round: 1, broadcast: true, fromOld: true, toNew: true}
	case *ecdsaresharing.DGRound2Message1:
		return &kind{curve: c, ops: reshare, round: 2, broadcast: true, toNew: true, first: true}
	case *ecdsaresharing.DGRound2Message2:
		return &kind{curve: c, ops: reshare, round: 2, broadcast: true, toOld: true}
	case *ecdsaresharing.DGRound3Message1:
		return &kind{curve: c, ops: reshare, round: 3, fromOld: true}
	case *ecdsaresharing.DGRound3Message2:
		return &kind{curve: c, ops: reshare, round: 3, broadcast: true, fromOld: true, toNew: true, opens: 1}
	case *ecdsaresharing.DGRound4Message1:
		return &kind{curve: c, ops: reshare, round: 4}
	case *ecdsaresharing.DGRound4Message2:
		return &kind{curve: c, ops: reshare, round: 4, broadcast: true, toOld: true, toNew: true}
	}
	return nil
}

func eddsaKind(m tss.ParsedMessage) *kind {
	const c = keys.Ed25519
	switch m.Content().(type) {
	case *eddsakeygen.KGRound1Message:
		return &kind{curve: c, ops: keygen, round: 1, broadcast: true, toNew: true}
	case *eddsakeygen.KGRound2Message1:
		return &kind{curve: c, ops: keygen, round: 2}
	case *eddsakeygen.KGRound2Message2:
		return &kind{curve: c, ops: keygen, round: 2, broadcast: true, toNew: true, opens: 1}
	case *eddsasigning.SignRound1Message:
		return &kind{curve: c, ops: signing, round: 1, broadcast: true, toNew: true}
	case *eddsasigning.SignRound2Message:
		return &kind{curve: c, ops: signing, round: 2, broadcast: true, toNew: true, opens: 1}
	case *eddsasigning.SignRound3Message:
		return &kind{curve: c, ops: signing, round: 3, broadcast: true, toNew: true}
	case *eddsaresharing.DGRound1Message:
		return &kind{curve: c, ops: reshare, round: 1, broadcast: true, fromOld: true, toNew: true}
	case *eddsaresharing.DGRound2Message:
		return &kind{curve: c, ops: reshare, round: 2, broadcast: true, toOld: true}
	case *eddsaresharing.DGRound3Message1:
		return &kind{curve: c, ops: reshare, round: 3, fromOld: true}
	case *eddsaresharing.DGRound3Message2:
		return &kind{curve: c, ops: reshare, round: 3, broadcast: true, fromOld: true, toNew: true, opens: 1}
	case *eddsaresharing.DGRound4Message:
		return &kind{curve: c, ops: reshare, round: 4, broadcast: true, toOld: true, toNew: true}
	}
	return nil
}
