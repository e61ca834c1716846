//go:build testroot

package ceremony_test

import (
	"strings"
	"testing"

	"github.com/sallyport/sallyport/attestation"
	"github.com/sallyport/sallyport/enclave/enclavetest"
	"github.com/sallyport/sallyport/enclave/wire"
	"github.com/sallyport/sallyport/host/client"
	"github.com/sallyport/sallyport/host/client/ceremony"
)

func image(b byte) (m attestation.Measurements) {
	for i := range m.PCR0 {
		m.PCR0[i], m.PCR1[i], m.PCR2[i] = b, b, b
	}
	return m
}

// measured is a world on Nitro, as far as tests can tell, of image A.
func measured(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.genesis.Assurance, w.genesis.Measurements = "nitro", []attestation.Measurements{image('a')}
	w.signed = w.sign(w.genesis, 0, 1)
	w.enclave = enclavetest.Images(t, enclavetest.Options{Host: w.host, Log: w.log}, w.signed.Encode(), image('a'), image('a'), image('b'))
	w.serve()
	return w
}

// as boots another image beside.
func (w *world) as(signed *attestation.Signed, own attestation.Measurements) *world {
	w.Helper()
	o := *w
	o.signed = signed
	o.enclave = w.enclave.BesideAs(w, signed.Encode(), own, image('a'), image('b'))
	return &o
}

func accept(images ...attestation.Measurements) func(m *attestation.Manifest) {
	return func(m *attestation.Manifest) { m.Measurements = images }
}

// TestUpgradeLosesNoKey: a thousand keys that were made under image A sign and leave
// under image B, and at no time can both serve.
func TestUpgradeLosesNoKey(t *testing.T) {
	w := measured(t)
	w.found()
	w.give(0, 1, 2)
	w.phase(wire.PhaseReady)
	at, keys := w.customer(1000)
	next := w.successor(accept(image('b')), 0, 1)
	for name, c := range map[string]struct {
		signed *attestation.Signed
		own    attestation.Measurements
	}{"the new image under the old manifest": {w.signed, image('b')}, "the old image under the new manifest": {next, image('a')}} {
		o := w.as(c.signed, c.own)
		if s := o.enclave.Wait(t); s.Phase != wire.PhaseBroken || !strings.Contains(s.Reason, "measurements") {
			t.Errorf("%s: enclave is %s: %s", name, s.Phase, s.Reason)
		}
	}
	b := w.as(next, image('b'))
	b.serve()
	if err := ceremony.Handover(t.Context(), w.client(w.signed), b.client(next), w.operators[1]); err != nil {
		t.Fatal(err)
	}
	b.phase(wire.PhaseReady)
	w.phase(wire.PhaseStale)
	if _, err := at(w.url).ListPrivateKeys(t.Context()); err == nil {
		t.Error("both serve")
	}
	c := at(b.url)
	for i, k := range keys {
		if _, err := c.SignRawPayload(t.Context(), client.SignRawPayloadParams{
			SignWith: k.PrivateKeyID, Payload: "x", Encoding: client.EncodingText, HashFunction: client.HashSHA256,
		}); err != nil {
			t.Fatalf("key %d: %v", i, err)
		}
		if _, err := c.ExportPrivateKey(t.Context(), k.PrivateKeyID, nil); err != nil {
			t.Fatalf("key %d: %v", i, err)
		}
	}
	// Image A has no way back: under its manifest the journal does not open.
	b.enclave.Stop()
	w.boot(w.signed)
	w.give(0, 3, 4)
	if s := w.enclave.Wait(t); s.Phase != wire.PhaseBroken || !strings.Contains(s.Reason, "no successor") {
		t.Errorf("image A: enclave is %s: %s", s.Phase, s.Reason)
	}
}

func TestHolderIsShownWrongMeasurements(t *testing.T) {
	w := measured(t)
	w.found()
	c := w.client(w.signed)
	c.Trust = attestation.TrustTest(w.enclave.Root(), image('b'))
	if _, err := c.Provision(t.Context(), w.holders[0]); err == nil || !strings.Contains(err.Error(), "not an accepted measurement") {
		t.Errorf("gave a share to an image that the holder does not accept: %v", err)
	}
	w.phase(wire.PhaseAwaitingRoot)
}

// TestRootIsNotHandedToAnImageOutsideTheManifest: an image that the successor does not
// name cannot get the root from the running one.
func TestRootIsNotHandedToAnImageOutsideTheManifest(t *testing.T) {
	w := measured(t)
	w.found()
	w.give(0, 1, 2)
	w.phase(wire.PhaseReady)
	next := w.successor(accept(image('a'), image('b')), 0, 1)
	a := w.as(next, image('a'))
	a.serve()
	if err := ceremony.Handover(t.Context(), w.client(w.signed), a.client(next), w.operators[1]); err != nil {
		t.Fatal(err) // both images are named
	}
	a.phase(wire.PhaseReady)
	last := a.successor(accept(image('b')), 0, 1)
	o := a.as(last, image('c'))
	if s := o.enclave.Wait(t); s.Phase != wire.PhaseBroken {
		t.Errorf("image C: enclave is %s: %s", s.Phase, s.Reason)
	}
}
