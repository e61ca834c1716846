package channel

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/enclave/internal/platform"
)

// A slow module holds every document until the test lets it go.
type slow struct {
	platform.Attester
	enter, leave chan struct{}
}

func (s *slow) Attest(ctx context.Context, userData, nonce, publicKey []byte) ([]byte, error) {
	s.enter <- struct{}{}
	<-s.leave
	return s.Attester.Attest(ctx, userData, nonce, publicKey)
}

func TestFloodOfHandshakesIsBounded(t *testing.T) {
	module := &slow{enter: make(chan struct{}, 100), leave: make(chan struct{})}
	a, b := pairOf(t, func(id *Identity) { module.Attester, id.Attester = id.Attester, module })
	to := node(b.quorum)
	ours, err := b.Initiate(t.Context(), node(a.quorum))
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range maxAnswering {
		one, _ := a.Initiate(t.Context(), to)
		all.Go(func() { _, _ = b.Handle(t.Context(), one) })
		<-module.enter
	}
	one, _ := a.Initiate(t.Context(), to)
	if _, err := b.Handle(t.Context(), one); err == nil || !strings.Contains(err.Error(), "too many") {
		t.Errorf("more documents than %d are being made: %v", maxAnswering, err)
	}
	close(module.leave)
	all.Wait()
	for range 3 * maxHandshakes {
		one, _ := a.Initiate(t.Context(), to)
		if _, err := b.Handle(t.Context(), one); err != nil {
			t.Fatal(err)
		}
	}
	if len(a.begun) != maxHandshakes || len(b.begun) != maxHandshakes+1 {
		t.Errorf("%d and %d handshakes", len(a.begun), len(b.begun))
	}
	at := place{peer: node(a.quorum), initial: true, id: [8]byte(decoded(t, ours).ID)}
	if b.find(at) == nil {
		t.Error("the flood ended a handshake of ours")
	}
	b.begun[at].began = time.Now().Add(-handshakeLife - time.Second)
	if b.find(at) != nil {
		t.Error("a handshake outlives its time")
	}
}

func TestModuleThatFailsEndsOneHandshake(t *testing.T) {
	a, b := pairOf(t, nil)
	one, _ := a.Initiate(t.Context(), node(b.quorum))
	b.id.Attester = broken{b.id.Attester}
	if _, err := b.Handle(t.Context(), one); err == nil || len(b.begun) != 0 {
		t.Errorf("%v, %d handshakes", err, len(b.begun))
	}
	b.id.Attester = b.module
	if _, err := b.Handle(t.Context(), one); err != nil {
		t.Errorf("the same message, later: %v", err)
	}
}

type broken struct{ platform.Attester }

func (broken) Attest(context.Context, []byte, []byte, []byte) ([]byte, error) {
	return nil, errors.New("the module is broken")
}
