package node

import (
	"context"
	"crypto/sha256"

	"github.com/sallyport/sallyport/enclave/internal/seal"
	"github.com/sallyport/sallyport/enclave/wire"
)

// putBlob makes a sealed blob durable at the host.
func (s *Service) putBlob(ctx context.Context, blob []byte) error {
	if err := s.Host.PutBlobs(ctx, [][]byte{blob}); err != nil {
		s.Log.Warn("node API: keeping a blob", "error", err)
		return wire.Errorf(wire.Unavailable, "", "the store did not keep what the request needs; repeat it")
	}
	return nil
}

// openBlob gets a blob from the host and opens it. What the host gives must
// hash to the name, and be sealed as this object.
func (s *Service) openBlob(ctx context.Context, o seal.Object, name [32]byte) ([]byte, error) {
	blobs, err := s.Host.GetBlobs(ctx, [][]byte{name[:]})
	if err != nil {
		s.Log.Warn("node API: getting a blob", "error", err)
		return nil, wire.Errorf(wire.Unavailable, "", "the store did not give what the request needs; repeat it")
	}
	if len(blobs) != 1 || sha256.Sum256(blobs[0]) != name {
		return nil, wire.Errorf(wire.Unavailable, "", "the store has lost or damaged what the request needs")
	}
	plain, err := s.Sealer.Open(o, blobs[0])
	if err != nil {
		return nil, wire.Errorf(wire.Unavailable, "", "what the store gave does not open")
	}
	return plain, nil
}
