package engine

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"

	"github.com/bnb-chain/tss-lib/v2/common"
	"github.com/bnb-chain/tss-lib/v2/tss"
	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"
	"github.com/sallyport/sallyport/enclave/internal/keys"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
)

// results looks whether the roles have come to their end.
func (e *session) results() (over bool) {
	var share *mpc.Share
	var signature []byte
	all := true
	for _, r := range e.local {
		if r.ended {
			continue
		}
		s, sig, ended := r.result()
		r.ended = ended
		all = all && ended
		var err error
		switch {
		case sig != nil:
			signature, err = e.signature(sig)
		case s != nil && !e.setup.Roles[r.index].Old:
			if share, err = s.share(e.setup, e.news()); err == nil && e.setup.Public != nil && string(share.Public) != string(e.setup.Public) {
				err = errors.New("the new shares are of another key")
			}
		}
		if err != nil {
			e.fail(mpc.Failf(mpc.CauseProtocol, nil, "%v", err))
			return true
		}
		if share != nil {
			e.share = share
		}
	}
	if !all {
		return false
	}
	e.given = e.emit(mpc.Event{Result: &mpc.Result{Share: e.share, Signature: signature}})
	return true
}

// news are the roles of the new committee.
func (e *session) news() (out []int) {
	for i, r := range e.setup.Roles {
		if !r.Old {
			out = append(out, i)
		}
	}
	return out
}

// signature checks what the library made, by another library, under the key
// that was asked for.
func (e *session) signature(d *common.SignatureData) ([]byte, error) {
	p, err := point(e.setup.Curve, e.setup.Public)
	if err != nil {
		return nil, err
	}
	if p, err = newShift(e.setup.Curve, integer(e.setup.Delta)).add(p); err != nil {
		return nil, err
	}
	public := compressed(e.setup.Curve, p)
	out := make([]byte, keys.SignatureSize)
	wrong := errors.New("the signature does not verify")
	if e.setup.Curve == keys.Ed25519 {
		if len(d.Signature) != ed25519.SignatureSize || !ed25519.Verify(public, e.setup.Digest, d.Signature) {
			return nil, wrong
		}
		copy(out, d.Signature)
		return out, nil
	}
	// The key that is recovered from a signature is one under which it verifies:
	// this checks r, s and v.
	var sr, ss secp256k1.ModNScalar
	if len(d.R) != 32 || len(d.S) != 32 || sr.SetByteSlice(d.R) || ss.SetByteSlice(d.S) || ss.IsOverHalfOrder() || len(d.SignatureRecovery) != 1 {
		return nil, wrong
	}
	compact := append([]byte{27 + 4 + d.SignatureRecovery[0]}, append(slices.Clone(d.R), d.S...)...)
	if got, _, err := ecdsa.RecoverCompact(compact, e.digest); err != nil || string(got.SerializeCompressed()) != string(public) {
		return nil, wrong
	}
	copy(out, d.R)
	copy(out[32:], d.S)
	out[64] = d.SignatureRecovery[0]
	return out, nil
}

func sortMembers(m []mpc.Member) {
	slices.SortFunc(m, func(a, b mpc.Member) int { return a.Party.Compare(b.Party) })
}

// blame makes a failure of the library's error. This party is never to blame.
func (e *session) blame(err *tss.Error) *mpc.Failure {
	f := &mpc.Failure{Cause: mpc.CauseProtocol, Round: err.Round(), Reason: "a proof does not verify"}
	if err.Cause() != nil { // there is none for a bad proof of no small factor
		f.Reason = brief(err.Cause())
	}
	for _, c := range err.Culprits() {
		for i, id := range e.roles {
			if id == c && e.setup.Roles[i].Party != e.setup.Self {
				f.Culprits = append(f.Culprits, e.setup.Parties[e.setup.Roles[i].Party])
			}
		}
	}
	slices.SortFunc(f.Culprits, mpc.PartyID.Compare)
	f.Culprits = slices.Compact(f.Culprits)
	return f
}

// brief shortens what the library says: it may print whole messages.
func brief(v any) string {
	s := fmt.Sprint(v)
	return s[:min(len(s), 160)]
}
