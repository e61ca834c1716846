package mpc

import (
	"errors"
	"fmt"

	"github.com/sallyport/sallyport/enclave/internal/keys"
)

// Sound says whether the engine of this release is sound for an operation on a
// curve, and why not.
func Sound(op Op, curve keys.Curve) error {
	switch {
	case curve == keys.P256:
		return errors.New("CURVE_P256: MPC keys are made on secp256k1 and Ed25519: the protocol's proofs were reviewed for no other curve")
	case curve != keys.Secp256k1 && curve != keys.Ed25519:
		return fmt.Errorf("%v: there is no MPC protocol for it", curve)
	case op == OpPresign && curve == keys.Ed25519:
		return errors.New("CURVE_ED25519: signing is not done ahead of its message")
	}
	switch op {
	case OpKeygen, OpSign, OpPresign, OpReshare:
		return nil
	}
	return fmt.Errorf("there is no operation %q", op)
}
