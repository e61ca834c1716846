package org

import (
	"github.com/sallyport/sallyport/enclave/internal/codec"
	"github.com/sallyport/sallyport/enclave/wire"
)

// decodeResult reads a result that this enclave wrote to the journal.
func decodeResult[R any](b []byte) (R, error) {
	var r R
	if err := codec.Decode(b, &r); err != nil {
		return r, wire.Errorf(wire.Internal, "", "result in the journal: %v", err)
	}
	return r, nil
}
