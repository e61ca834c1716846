package engine

import (
	"fmt"
	"testing"

	"github.com/bnb-chain/tss-lib/v2/common"
	ecdsasigning "github.com/bnb-chain/tss-lib/v2/ecdsa/signing"
	"github.com/bnb-chain/tss-lib/v2/tss"
	"github.com/sallyport/sallyport/enclave/internal/keys"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
	"github.com/sallyport/sallyport/enclave/internal/mpc/mpctest"
)

// BenchmarkSign is a whole signature by two parties in one process.
func BenchmarkSign(b *testing.B) {
	for _, c := range []keys.Curve{keys.Secp256k1, keys.Ed25519} {
		shares := mpctest.Key(b, c)
		b.Run(fmt.Sprintf("%v", c), func(b *testing.B) {
			for b.Loop() {
				out := mpctest.Run(b.Context(), mpctest.Start(b, New(), mpctest.SignSetups(mpc.OpSign, shares, []int{0, 1}, digest[:], nil)), nil, nil)
				if err := out[0].Err(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("bare library", bareSign)
}

// bareSign is the same as the library's own tests do it.
func bareSign(b *testing.B) {
	shares := mpctest.Key(b, keys.Secp256k1)
	for b.Loop() {
		all := mpctest.SignSetups(mpc.OpSign, shares, []int{0, 1}, digest[:], nil)
		ids := partyIDs(all[0])
		out, end := make(chan tss.Message, outQueue), make(chan *common.SignatureData, 2)
		parties := make([]tss.Party, 2)
		for i, s := range all {
			save, err := ecdsaSave(s.Share.Secret, s.Roles[i].X, s.Share.State, s.Public, s.Roles, nil)
			if err != nil {
				b.Fatal(err)
			}
			p := tss.NewParameters(tss.S256(), tss.NewPeerContext(tss.SortPartyIDs(tss.UnSortedPartyIDs{ids[0], ids[1]})), ids[i], 2, 1)
			parties[i] = ecdsasigning.NewLocalParty(integer(digest[:]), p, save, out, end, digestSize)
			if err := parties[i].Start(); err != nil {
				b.Fatal(err)
			}
		}
		for len(end) < 2 {
			m := <-out
			wire, _, err := m.WireBytes()
			if err != nil {
				b.Fatal(err)
			}
			for _, p := range parties {
				if p.PartyID() != m.GetFrom() {
					if _, err := p.UpdateFromBytes(wire, m.GetFrom(), m.IsBroadcast()); err != nil {
						b.Fatal(err)
					}
				}
			}
		}
	}
}
