package ceremony_test

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/attestation"
	"github.com/sallyport/sallyport/enclave/wire"
)

// order asks for shares to others, two of whom give the root.
func (w *world) order(holders []*ecdh.PrivateKey, by ...int) *attestation.Signed {
	return w.successor(func(m *attestation.Manifest) {
		plan := *m.Root
		plan.Sharing, plan.Holders, plan.Threshold = nil, nil, 2
		for i, h := range holders {
			plan.Holders = append(plan.Holders, attestation.Holder{Name: string(rune('p' + i)), PublicKey: h.PublicKey().Bytes()})
		}
		m.Root = &plan
	}, by...)
}

func TestNewHoldersGiveTheSameRoot(t *testing.T) {
	w := newWorld(t)
	w.found()
	w.give(0, 1, 2)
	w.phase(wire.PhaseReady)
	at, keys := w.customer(3)
	var others []*ecdh.PrivateKey
	for range 3 {
		k, err := ecdh.P256().GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		others = append(others, k)
	}
	for name, order := range map[string]*attestation.Signed{
		"signed by one":   w.order(others, 0),
		"not an order":    w.successor(nil, 0, 1),
		"of another root": w.successor(func(m *attestation.Manifest) { plan := *m.Root; plan.Set, plan.Sharing = 2, nil; m.Root = &plan }, 0, 1),
		"without holders": w.successor(func(m *attestation.Manifest) {
			m.Root = &attestation.RootPlan{Set: 1, KMS: &attestation.KMSPlan{KeyID: "arn:x", PublicKey: rsaKey(t)}}
			m.Flags.SingleCustodian = true
		}, 0, 1),
	} {
		if o, err := w.client(w.signed).Resplit(t.Context(), order); err == nil {
			t.Errorf("%s: made %v", name, o)
		}
	}
	o, err := w.client(w.signed).Resplit(t.Context(), w.order(others, 1, 2))
	if err != nil {
		t.Fatal(err)
	}
	again, err := w.client(w.signed).Resplit(t.Context(), w.order(others, 1, 2))
	if err != nil || !bytes.Equal(again.Sharing, o.Sharing) {
		t.Errorf("the same order was carried out twice: %v", err)
	}
	before := w.signed
	w.boot(before) // nothing has changed until an enclave boots under the new manifest
	w.give(2, 3, 4)
	w.phase(wire.PhaseReady)

	w.boot(w.sign(o.Manifest, 0, 1))
	if _, err := w.client(w.signed).Provision(t.Context(), w.holders[0]); err == nil || !strings.Contains(err.Error(), "names no holder") {
		t.Errorf("a holder of before: %v", err)
	}
	for i, h := range others[1:] {
		if p, err := w.client(w.signed).Provision(t.Context(), h); err != nil || p.Received != i+1 || p.Threshold != 2 {
			t.Fatalf("holder %d: %v, %v", i, p, err)
		}
	}
	w.phase(wire.PhaseReady)
	for _, k := range keys {
		if _, err := at(w.url).ExportPrivateKey(t.Context(), k.PrivateKeyID, nil); err != nil {
			t.Error(err)
		}
	}
	// An order is nothing to boot under.
	w.enclave.Manifest = w.order(others, 0, 1).Encode()
	w.enclave.Reboot(t)
	if s := w.enclave.Wait(t); s.Phase != wire.PhaseBroken || !strings.Contains(s.Reason, "order") {
		t.Errorf("under an order the enclave is %s: %s", s.Phase, s.Reason)
	}
}
