package node

import (
	"context"
	"sync"

	"github.com/sallyport/sallyport/attestation/strictjson"
	"github.com/sallyport/sallyport/enclave/internal/keys"
	"github.com/sallyport/sallyport/enclave/wire"
)

const (
	// maxBatch bounds the messages of one call.
	maxBatch = 100
	// batchWidth is how many of them are signed at a time, in order: all
	// parties have the same list, and meet in its rooms.
	batchWidth = 16
)

// batchSign signs each message in a room of its own. Each result is a signature
// or an error.
func batchSign(s *Service, ctx context.Context, c *call) (any, error) {
	list, err := c.readBatch()
	if err != nil {
		return nil, err
	}
	out := make([]any, len(list))
	turns := make(chan struct{}, batchWidth)
	var all sync.WaitGroup
	for i, in := range list {
		turns <- struct{}{}
		all.Go(func() {
			defer func() { <-turns }()
			result, err := s.sign(ctx, c, in)
			if out[i] = result; err != nil {
				out[i] = s.item(err)
			}
		})
	}
	all.Wait()
	return out, nil
}

func (c *call) readBatch() (list []*ecdsaBody, err error) {
	if c.scheme.curve == keys.Ed25519 {
		var in struct {
			Requests []signBody `json:"sign_requests" strict:"required"`
		}
		err = c.read(&in)
		for _, r := range in.Requests {
			list = append(list, &ecdsaBody{signBody: r})
		}
	} else {
		var in struct {
			Requests []*ecdsaBody `json:"sign_requests" strict:"required"`
		}
		err = c.read(&in)
		list = in.Requests
	}
	switch {
	case err != nil:
		return nil, err
	case len(list) == 0:
		return nil, bad("sign_requests: must not be empty")
	case len(list) > maxBatch:
		return nil, refuse(typeBatch, "sign_requests: must be at most %d", maxBatch)
	}
	return list, nil
}

// item is the error of one message, in the form of every error.
func (s *Service) item(err error) any {
	e, ok := outward(err).(*wire.Error)
	if !ok || e.Code == wire.Internal {
		s.Log.Error("node API: batch-sign", "error", err.Error())
		e = wire.Errorf(wire.Internal, "", "internal error")
	}
	_, body := wire.NodeEnvelope(e)
	return strictjson.Raw(body)
}
