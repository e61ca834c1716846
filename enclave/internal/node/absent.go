package node

import (
	"context"

	"github.com/sallyport/sallyport/enclave/internal/keys"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
)

// absent is the runner of a node that has no relay or engine: it can read and
// manage, and every operation of many parties fails.
type absent struct{}

func errAbsent() error {
	return mpc.Failf(mpc.CauseEngine, nil, "this node takes part in no operations")
}

func (absent) Keygen(context.Context, *mpc.KeygenRequest) (*mpc.Share, error) {
	return nil, errAbsent()
}

func (absent) Sign(context.Context, *mpc.SignRequest) ([]byte, error) { return nil, errAbsent() }

func (absent) Reshare(context.Context, *mpc.ReshareRequest) (*mpc.Share, error) {
	return nil, errAbsent()
}

func (absent) Export(context.Context, *mpc.ExportRequest) (*keys.Secret, error) {
	return nil, errAbsent()
}

func (absent) Agree(context.Context, mpc.Where, *mpc.Share, mpc.Terms) error { return errAbsent() }

func (absent) Forget([32]byte) {}
