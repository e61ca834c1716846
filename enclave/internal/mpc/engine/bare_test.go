package engine

import (
	"crypto/elliptic"
	"errors"
	"math/big"

	"github.com/bnb-chain/tss-lib/v2/common"
	"github.com/bnb-chain/tss-lib/v2/crypto"
	"github.com/bnb-chain/tss-lib/v2/crypto/vss"
	ecdsakeygen "github.com/bnb-chain/tss-lib/v2/ecdsa/keygen"
	ecdsaresharing "github.com/bnb-chain/tss-lib/v2/ecdsa/resharing"
	ecdsasigning "github.com/bnb-chain/tss-lib/v2/ecdsa/signing"
	"github.com/bnb-chain/tss-lib/v2/tss"

	"github.com/sallyport/sallyport/enclave/internal/mpc/mpctest"
)

// A Bare key is what benchmarks compare with: the library's parties in one
// process, as its own tests run them. Messages are written and parsed, and
// nothing else is between the parties.
type Bare struct {
	Threshold int
	ids       tss.SortedPartyIDs
	saves     []ecdsakeygen.LocalPartySaveData
}

var bareCurve elliptic.Curve = tss.S256()

func bareIDs(n int, first int64) tss.SortedPartyIDs {
	var ids tss.UnSortedPartyIDs
	for i := range n {
		ids = append(ids, tss.NewPartyID("", "", big.NewInt(first+int64(i))))
	}
	return tss.SortPartyIDs(ids)
}

func parameters(ids tss.SortedPartyIDs, i, threshold int) *tss.Parameters {
	return tss.NewParameters(bareCurve, tss.NewPeerContext(ids), ids[i], len(ids), threshold-1)
}

func bareSet(i int) ecdsakeygen.LocalPreParams {
	pre, err := preParams(mpctest.PreParams(i))
	if err != nil {
		panic(err)
	}
	return pre
}

// NewBare makes a key.
func NewBare(n, threshold int) (*Bare, error) {
	b := &Bare{Threshold: threshold, ids: bareIDs(n, 1000)}
	out, end := make(chan tss.Message, outQueue), make(chan *ecdsakeygen.LocalPartySaveData, n)
	var parties []tss.Party
	for i := range n {
		parties = append(parties, ecdsakeygen.NewLocalParty(parameters(b.ids, i, threshold), out, end, bareSet(i)))
	}
	err := carry(parties, out, func() bool { return len(end) == n })
	b.take(end)
	return b, err
}

func (b *Bare) take(end chan *ecdsakeygen.LocalPartySaveData) {
	b.saves = make([]ecdsakeygen.LocalPartySaveData, len(b.ids))
	for range b.ids {
		s := <-end
		for i, id := range b.ids {
			if s.ShareID.Cmp(id.KeyInt()) == 0 {
				b.saves[i] = *s
			}
		}
	}
}

// Sign signs with the first parties.
func (b *Bare) Sign(digest []byte) error {
	n := b.Threshold
	ids := tss.SortPartyIDs(tss.UnSortedPartyIDs(b.ids[:n]))
	out, end := make(chan tss.Message, outQueue), make(chan *common.SignatureData, n)
	var parties []tss.Party
	for i := range n {
		save := ecdsakeygen.BuildLocalSaveDataSubset(b.saves[i], ids)
		parties = append(parties, ecdsasigning.NewLocalParty(integer(digest), parameters(ids, i, n), save, out, end, digestSize))
	}
	return carry(parties, out, func() bool { return len(end) == n })
}

// Export combines the shares of the first parties.
func (b *Bare) Export() error {
	var shares vss.Shares
	for i := range b.Threshold {
		shares = append(shares, &vss.Share{Threshold: b.Threshold - 1, ID: b.ids[i].KeyInt(), Share: b.saves[i].Xi})
	}
	key, err := shares.ReConstruct(bareCurve)
	if err != nil {
		return err
	}
	if !crypto.ScalarBaseMult(bareCurve, key).Equals(b.saves[0].ECDSAPub) {
		return errors.New("combined another key")
	}
	return nil
}

// Reshare gives the key to as many others, under the same threshold.
func (b *Bare) Reshare() error {
	n := len(b.ids)
	next := &Bare{Threshold: b.Threshold, ids: bareIDs(n, b.ids[n-1].KeyInt().Int64()+1)}
	out, end := make(chan tss.Message, outQueue), make(chan *ecdsakeygen.LocalPartySaveData, 2*n)
	var parties []tss.Party
	for _, old := range []bool{true, false} {
		for i := range n {
			id, save := b.ids[i], b.saves[i]
			if !old {
				id, save = next.ids[i], ecdsakeygen.NewLocalPartySaveData(n)
				save.LocalPreParams = bareSet(3 + i)
			}
			p := tss.NewReSharingParameters(bareCurve, tss.NewPeerContext(b.ids), tss.NewPeerContext(next.ids), id, n, b.Threshold-1, n, next.Threshold-1)
			parties = append(parties, ecdsaresharing.NewLocalParty(p, save, out, end))
		}
	}
	err := carry(parties, out, func() bool { return len(end) == 2*n })
	close(end)
	made := make(chan *ecdsakeygen.LocalPartySaveData, n)
	for s := range end {
		if s.Xi != nil {
			made <- s
		}
	}
	if len(made) != n {
		return errors.Join(err, errors.New("not every new party has a share"))
	}
	next.take(made)
	*b = *next
	return err
}

// carry runs parties to their end. Whoever a message names gets it, or all others.
func carry(parties []tss.Party, out chan tss.Message, done func() bool) error {
	for _, p := range parties {
		if err := p.Start(); err != nil {
			return err
		}
	}
	for !done() {
		m := <-out
		wire, _, err := m.WireBytes()
		if err != nil {
			return err
		}
		for _, p := range parties {
			if p.PartyID() == m.GetFrom() || !isFor(m, p.PartyID()) {
				continue
			}
			if _, err := p.UpdateFromBytes(wire, m.GetFrom(), m.IsBroadcast()); err != nil {
				return err
			}
		}
	}
	return nil
}

func isFor(m tss.Message, id *tss.PartyID) bool {
	for _, to := range m.GetTo() {
		if to == id {
			return true
		}
	}
	return m.GetTo() == nil
}

// GenerateBare makes one set of pre-parameters with the library's generator.
func GenerateBare(concurrency int) error {
	_, err := ecdsakeygen.GeneratePreParams(10*60*1e9, concurrency)
	return err
}
