package faults

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/sallyport/sallyport/enclave/internal/keys"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
	"github.com/sallyport/sallyport/enclave/internal/mpc/mpctest"
)

// An operation is one that cases are played in.
type operation struct {
	name   string
	setups func() []*mpc.Setup
	digest []byte
	// good looks at a result that a party got.
	good func(*mpc.Result) error
	// patience is how long the others wait for a message that does not come.
	patience time.Duration
	// slow operations have few cases in a short run: so many of malicious contents.
	slow     bool
	contents int
}

// keygen makes the keys that the cases use: a whole generation in every run.
func (r *run) keygen(c keys.Curve) (shares []*mpc.Share, err error) {
	outcomes, err := r.session(mpctest.KeygenSetups(c, 3, 2), nil, nil, honestPatience)
	for _, o := range outcomes {
		if err == nil {
			err = o.Err()
		}
		if err != nil {
			return nil, fmt.Errorf("making a key: %w", err)
		}
		shares = append(shares, o.Result.Share)
	}
	return shares, err
}

func (r *run) operations() ([]operation, error) {
	ed, err := r.keygen(keys.Ed25519)
	if err != nil {
		return nil, err
	}
	ec, err := r.keygen(keys.Secp256k1)
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256([]byte("faults"))
	sign := func(op mpc.Op, shares []*mpc.Share) func() []*mpc.Setup {
		return func() []*mpc.Setup { return mpctest.SignSetups(op, shares, []int{0, 1}, digest[:], nil) }
	}
	signed := func(res *mpc.Result) error {
		if len(res.Signature) != keys.SignatureSize {
			return errors.New("no signature") // the engine has verified what it gives
		}
		return nil
	}
	shared := func(res *mpc.Result) error {
		public, err := keys.ScalarPublic(res.Share.Curve, res.Share.Secret)
		if err != nil || string(public) != string(res.Share.Members[res.Share.Member(res.Share.Self)].Public) {
			return errors.New("a share that does not belong to its public share")
		}
		return nil
	}
	return []operation{
		{"Ed25519 sign", sign(mpc.OpSign, ed), digest[:], signed, 300 * time.Millisecond, false, 0},
		{"Ed25519 keygen", func() []*mpc.Setup { return mpctest.KeygenSetups(keys.Ed25519, 2, 2) }, nil, shared, 500 * time.Millisecond, false, 0},
		{"Ed25519 reshare", func() []*mpc.Setup { return mpctest.ReshareSetups(ed[:2], 2, 2, true) }, nil, shared, 500 * time.Millisecond, false, 0},
		{"ECDSA sign", sign(mpc.OpSign, ec), digest[:], signed, 3 * time.Second, true, 6},
		{"ECDSA presign", sign(mpc.OpPresign, ec), digest[:], signed, 3 * time.Second, true, 2},
		{"ECDSA keygen", func() []*mpc.Setup { return mpctest.KeygenSetups(keys.Secp256k1, 2, 2) }, nil, shared, 10 * time.Second, true, 1},
		{"ECDSA reshare", func() []*mpc.Setup { return mpctest.ReshareSetups(ec[:2], 2, 2, true) }, nil, shared, 10 * time.Second, true, 1},
	}, nil
}
