// Package engine computes MPC protocols with tss-lib: GG18 for ECDSA over
// secp256k1, and threshold Schnorr for Ed25519. It is the only package that
// imports that library.
//
// Every message of another party is hostile. It passes a gate, which knows
// what an honest message of its type looks like, before the library sees it:
// the library panics on some that no honest party makes, in goroutines where
// nothing can catch it. Whatever the gate lets through may still end the
// process, so a signer runs the engine in a process of its own (package
// engineproc), which may die without harm.
package engine

import (
	"context"
	"crypto/elliptic"
	"errors"
	"fmt"
	"math/big"

	"github.com/bnb-chain/tss-lib/v2/tss"
	"github.com/sallyport/sallyport/enclave/internal/keys"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
)

// Engine implements [mpc.Engine].
type Engine struct{}

var _ mpc.Engine = (*Engine)(nil)

// New makes an engine.
func New() *Engine { return &Engine{} }

// Check implements [mpc.Engine].
func (*Engine) Check(op mpc.Op, curve keys.Curve) error { return mpc.Sound(op, curve) }

// Start implements [mpc.Engine].
func (*Engine) Start(ctx context.Context, s *mpc.Setup) (_ mpc.Session, err error) {
	defer func() {
		if r := recover(); r != nil { // the library's constructors panic on bad shares
			err = mpc.Failf(mpc.CauseEngine, nil, "the engine cannot begin: %v", r)
		}
	}()
	if err := checkSetup(s); err != nil {
		return nil, mpc.Failf(mpc.CauseSetup, nil, "%v", err)
	}
	e, err := newSession(s)
	if err != nil {
		return nil, err
	}
	go e.run(ctx)
	return e, nil
}

// checkSetup refuses what the library would take and should not.
func checkSetup(s *mpc.Setup) error {
	if err := mpc.Sound(s.Op, s.Curve); err != nil {
		return err
	}
	olds, news := 0, 0
	order := group(s.Curve).Params().N
	seen := map[string]bool{}
	for i, r := range s.Roles {
		if r.Party < 0 || r.Party >= len(s.Parties) {
			return fmt.Errorf("role %d: has no party", i)
		}
		x := new(big.Int).SetBytes(r.X[:])
		if x.Sign() == 0 || x.Cmp(order) >= 0 {
			return fmt.Errorf("role %d: its x coordinate must be above zero and below the group order", i)
		}
		at := fmt.Sprint(r.Old, x)
		if seen[at] {
			return fmt.Errorf("role %d: its x coordinate is taken", i)
		}
		seen[at] = true
		if r.Old {
			olds++
		} else {
			news++
		}
		if (r.Old || s.Op == mpc.OpSign || s.Op == mpc.OpPresign) && len(r.Public) == 0 {
			return fmt.Errorf("role %d: has no public share", i)
		}
	}
	switch {
	case s.Self < 0 || s.Self >= len(s.Parties):
		return errors.New("self: is no party")
	case len(s.Parties) < 2 || len(s.Parties) > 2*mpc.MaxParties:
		return errors.New("parties: too few or too many")
	case s.Threshold < mpc.MinThreshold || s.Threshold > news || news > mpc.MaxParties:
		return fmt.Errorf("threshold: %d of %d", s.Threshold, news)
	case s.Op == mpc.OpReshare && (s.OldThreshold < mpc.MinThreshold || s.OldThreshold > olds):
		return fmt.Errorf("old threshold: %d, and %d old shares", s.OldThreshold, olds)
	case s.Op != mpc.OpReshare && olds > 0:
		return errors.New("roles: old members are for a reshare")
	}
	return nil
}

// group is the library's curve.
func group(c keys.Curve) elliptic.Curve {
	if c == keys.Ed25519 {
		return tss.Edwards()
	}
	return tss.S256()
}
