package boot

import (
	"context"
	"sync"

	"github.com/sallyport/sallyport/attestation"
	"github.com/sallyport/sallyport/enclave/wire"
)

// maxChallenges bounds how many client nonces wait for one document.
const maxChallenges = 1024

// challenges gathers the nonces that arrive while the module makes a document,
// so that all of them share the next one.
type challenges struct {
	boot *Boot

	mu      sync.Mutex
	waiting *round
	busy    bool
}

// A round is the nonces of one challenge document, and then the document.
type round struct {
	nonces [][]byte
	done   chan struct{}
	doc    []byte
	paths  []attestation.ChallengePath
	err    error
}

func newChallenges(b *Boot) *challenges { return &challenges{boot: b} }

// Challenge returns a document over a client's nonce, shared with the other
// clients that asked meanwhile.
func (b *Boot) Challenge(ctx context.Context, nonce []byte) (*attestation.FreshAttestation, error) {
	r, place, err := b.challenges.join(nonce)
	if err != nil {
		return nil, err
	}
	select {
	case <-r.done:
	case <-ctx.Done():
		return nil, wire.Errorf(wire.Unavailable, "", "the attestation was not ready in time; repeat the same request")
	}
	if r.err != nil {
		return nil, r.err
	}
	return &attestation.FreshAttestation{Document: r.doc, Path: r.paths[place]}, nil
}

func (c *challenges) join(nonce []byte) (*round, int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waiting == nil {
		c.waiting = &round{done: make(chan struct{})}
	}
	r := c.waiting
	if len(r.nonces) == maxChallenges {
		return nil, 0, wire.Errorf(wire.ResourceExhausted, "RATE_LIMIT_EXCEEDED", "too many requests wait for a fresh attestation")
	}
	r.nonces = append(r.nonces, nonce)
	if !c.busy {
		c.busy = true
		go c.run()
	}
	return r, len(r.nonces) - 1, nil
}

// run makes documents, one at a time, until no nonce waits.
func (c *challenges) run() {
	for {
		c.mu.Lock()
		r := c.waiting
		c.waiting = nil
		c.busy = r != nil
		c.mu.Unlock()
		if r == nil {
			return
		}
		root, paths := attestation.ChallengeTree(r.nonces)
		// The document is shared, so no one client's hanging up may cancel it.
		r.doc, r.err = c.boot.attester.Attest(context.Background(), c.boot.ManifestHash, root, c.boot.PublicKey)
		r.paths = paths
		close(r.done)
	}
}
