package engine

import (
	"fmt"
	"math/big"
	"slices"

	"github.com/bnb-chain/tss-lib/v2/common"
	ecdsakeygen "github.com/bnb-chain/tss-lib/v2/ecdsa/keygen"
	ecdsaresharing "github.com/bnb-chain/tss-lib/v2/ecdsa/resharing"
	ecdsasigning "github.com/bnb-chain/tss-lib/v2/ecdsa/signing"
	eddsakeygen "github.com/bnb-chain/tss-lib/v2/eddsa/keygen"
	eddsaresharing "github.com/bnb-chain/tss-lib/v2/eddsa/resharing"
	eddsasigning "github.com/bnb-chain/tss-lib/v2/eddsa/signing"
	"github.com/bnb-chain/tss-lib/v2/tss"
	"github.com/sallyport/sallyport/enclave/internal/keys"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
)

// outQueue holds what the library says in one call: a message to each of 16
// parties, in up to four rounds that follow each other at once.
const outQueue = 256

// digestSize is given to the library always: without it, leading zero bytes are lost.
const digestSize = 32

// partyIDs makes the library's names of all roles, sorted within their committee.
func partyIDs(s *mpc.Setup) []*tss.PartyID {
	out := make([]*tss.PartyID, len(s.Roles))
	var olds, news tss.UnSortedPartyIDs
	for i, r := range s.Roles {
		out[i] = tss.NewPartyID(fmt.Sprint(i), fmt.Sprint(i), integer(r.X[:]))
		if r.Old {
			olds = append(olds, out[i])
		} else {
			news = append(news, out[i])
		}
	}
	tss.SortPartyIDs(olds)
	tss.SortPartyIDs(news)
	return out
}

// committee is the sorted ids of the old or new members.
func (e *session) committee(old bool) tss.SortedPartyIDs {
	var out tss.SortedPartyIDs
	for i, r := range e.setup.Roles {
		if r.Old == old {
			out = append(out, e.roles[i])
		}
	}
	slices.SortFunc(out, func(a, b *tss.PartyID) int { return a.Index - b.Index })
	return out
}

// join makes the library's party of every role that is ours.
func (e *session) join() (err error) {
	if e.setup.Op == mpc.OpReshare {
		if e.gate.old, err = oldPoints(e.setup); err != nil {
			return mpc.Failf(mpc.CauseSetup, nil, "%v", err)
		}
	}
	for i, r := range e.setup.Roles {
		if r.Party != e.setup.Self {
			continue
		}
		out := make(chan tss.Message, outQueue)
		joined := &role{index: i, out: out}
		switch e.setup.Op {
		case mpc.OpKeygen:
			err = e.joinKeygen(joined)
		case mpc.OpSign, mpc.OpPresign:
			err = e.joinSigning(joined)
		case mpc.OpReshare:
			err = e.joinReshare(joined)
		}
		if err != nil {
			return mpc.Failf(mpc.CauseEngine, nil, "the engine cannot begin: %v", err)
		}
		e.local = append(e.local, joined)
	}
	if len(e.local) == 0 {
		return mpc.Failf(mpc.CauseSetup, nil, "this party has no role")
	}
	return nil
}

func (e *session) parameters(id *tss.PartyID, old bool) *tss.Parameters {
	ids := e.committee(old)
	return tss.NewParameters(group(e.setup.Curve), tss.NewPeerContext(ids), id, len(ids), e.setup.Threshold-1)
}

func (e *session) joinKeygen(r *role) error {
	p := e.parameters(e.roles[r.index], false)
	if e.setup.Curve == keys.Ed25519 {
		end := make(chan *eddsakeygen.LocalPartySaveData, 1)
		r.party, r.result = eddsakeygen.NewLocalParty(p, r.out, end), eddsaShare(end)
		return nil
	}
	pre, err := preParams(e.setup.PreParams)
	if err != nil {
		return err
	}
	e.gate.own = &ownModuli{n: pre.PaillierSK.N, nTilde: pre.NTildei, h1: pre.H1i, h2: pre.H2i}
	end := make(chan *ecdsakeygen.LocalPartySaveData, 1)
	r.party, r.result = ecdsakeygen.NewLocalParty(p, r.out, end, pre), ecdsaShare(end)
	return nil
}

func (e *session) joinSigning(r *role) error {
	s := e.setup
	var delta *big.Int
	if s.Delta != nil {
		if delta = integer(s.Delta); delta.Sign() == 0 {
			delta = nil
		}
	}
	end := make(chan *common.SignatureData, 1)
	r.result = func() (*saved, *common.SignatureData, bool) {
		select {
		case sig := <-end:
			return nil, sig, true
		default:
			return nil, nil, false
		}
	}
	p := e.parameters(e.roles[r.index], false)
	e.setDigest(slices.Clone(s.Digest))
	if s.Curve == keys.Ed25519 {
		save, err := eddsaSave(s.Share.Secret, s.Roles[r.index].X, s.Public, s.Roles, delta)
		if err == nil {
			r.party = eddsasigning.NewLocalParty(e.message, p, save, r.out, end, len(s.Digest))
		}
		return err
	}
	save, err := ecdsaSave(s.Share.Secret, s.Roles[r.index].X, s.Share.State, s.Public, s.Roles, delta)
	if err != nil {
		return err
	}
	e.gate.own = &ownModuli{n: save.PaillierSK.N, nTilde: save.NTildei}
	for i := range s.Roles {
		e.gate.peers[i] = &peerModuli{n: save.PaillierPKs[i].N}
	}
	r.party = ecdsasigning.NewLocalParty(e.message, p, save, r.out, end, digestSize)
	return nil
}

// setDigest writes what is signed to where the library reads it. An ECDSA digest
// counts modulo the group order, and the library takes no larger one.
func (e *session) setDigest(digest []byte) {
	e.digest = digest
	e.message.SetBytes(digest)
	if e.setup.Curve != keys.Ed25519 {
		e.message.Mod(e.message, group(e.setup.Curve).Params().N)
	}
}

func (e *session) joinReshare(r *role) error {
	s := e.setup
	olds, news := e.committee(true), e.committee(false)
	p := tss.NewReSharingParameters(group(s.Curve), tss.NewPeerContext(olds), tss.NewPeerContext(news), e.roles[r.index],
		len(olds), s.OldThreshold-1, len(news), s.Threshold-1)
	var secret, state *keys.Secret
	var members []mpc.Role
	if s.Roles[r.index].Old {
		at := slices.IndexFunc(s.Old, func(o mpc.OldShare) bool { return o.Role == r.index })
		if at < 0 {
			return mpc.Failf(mpc.CauseSetup, nil, "an old share is missing")
		}
		secret, state = s.Old[at].Secret, s.Old[at].State
		for _, m := range s.Roles {
			if m.Old {
				members = append(members, m)
			}
		}
	}
	if s.Curve == keys.Ed25519 {
		save := eddsakeygen.NewLocalPartySaveData(len(news))
		if members != nil {
			var err error
			if save, err = eddsaSave(secret, s.Roles[r.index].X, s.Public, members, nil); err != nil {
				return err
			}
		}
		end := make(chan *eddsakeygen.LocalPartySaveData, 1)
		r.party, r.result = eddsaresharing.NewLocalParty(p, save, r.out, end), eddsaShare(end)
		return nil
	}
	save := ecdsakeygen.NewLocalPartySaveData(len(news))
	if members != nil {
		var err error
		if save, err = ecdsaSave(secret, s.Roles[r.index].X, state, s.Public, members, nil); err != nil {
			return err
		}
	} else {
		pre, err := preParams(s.PreParams)
		if err != nil {
			return err
		}
		save.LocalPreParams = pre
		e.gate.own = &ownModuli{n: pre.PaillierSK.N, nTilde: pre.NTildei, h1: pre.H1i, h2: pre.H2i}
	}
	end := make(chan *ecdsakeygen.LocalPartySaveData, 1)
	r.party, r.result = ecdsaresharing.NewLocalParty(p, save, r.out, end), ecdsaShare(end)
	return nil
}

// ecdsaShare and eddsaShare adapt the library's channels of results. A role of
// an old committee ends with a share of nothing.
func ecdsaShare(c <-chan *ecdsakeygen.LocalPartySaveData) func() (*saved, *common.SignatureData, bool) {
	return func() (*saved, *common.SignatureData, bool) {
		select {
		case d := <-c:
			if d.Xi == nil || d.PaillierSK == nil {
				return nil, nil, true
			}
			return fromECDSA(d), nil, true
		default:
			return nil, nil, false
		}
	}
}

func eddsaShare(c <-chan *eddsakeygen.LocalPartySaveData) func() (*saved, *common.SignatureData, bool) {
	return func() (*saved, *common.SignatureData, bool) {
		select {
		case d := <-c:
			if d.Xi == nil {
				return nil, nil, true
			}
			return fromEDDSA(d), nil, true
		default:
			return nil, nil, false
		}
	}
}
