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
//
// What the gate cannot add: the library binds its proofs to the parties and the
// key but not to a session, and has no proof that N-tilde is a product of two
// primes. Fresh x coordinates make keygen and resharing differ each time; that
// messages are of this session is for who delivers them to know.
package engine

import (
	"context"
	"crypto/elliptic"

	"github.com/bnb-chain/tss-lib/v2/tss"
	golog "github.com/ipfs/go-log"
	"github.com/sallyport/sallyport/enclave/internal/keys"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
)

// Engine implements [mpc.Engine].
type Engine struct{}

var _ mpc.Engine = (*Engine)(nil)

// New makes an engine.
func New() *Engine { return &Engine{} }

// The library writes to standard error. What it has to say comes back as errors.
func init() { _ = golog.SetLogLevel("tss-lib", "FATAL") }

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

// group is the library's curve.
func group(c keys.Curve) elliptic.Curve {
	if c == keys.Ed25519 {
		return tss.Edwards()
	}
	return tss.S256()
}
