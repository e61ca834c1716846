package ceremony_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/attestation"
	"github.com/sallyport/sallyport/enclave/enclavetest"
	"github.com/sallyport/sallyport/enclave/wire"
	"github.com/sallyport/sallyport/host/client/ceremony"
)

func TestThreeOfFiveHoldersGiveTheRoot(t *testing.T) {
	w := newWorld(t)
	w.found()
	again, err := w.client(w.signed).Genesis(t.Context())
	if err == nil {
		t.Errorf("genesis under an operating manifest: %v", again)
	}
	for _, holders := range [][]int{{0, 1, 2}, {4, 2, 0}, {3, 1, 4}} {
		w.give(holders...)
		if s := w.phase(wire.PhaseReady); s.QuorumPublicKey == "" || s.JournalSize < 2 {
			t.Errorf("ready with %+v", s)
		}
		w.boot(w.signed)
	}
}

func TestGenesisGivesItsOutcomeAgain(t *testing.T) {
	w := newWorld(t)
	first, err := w.client(w.signed).Genesis(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	second, err := w.client(w.signed).Genesis(t.Context())
	if err != nil || !bytes.Equal(first.Manifest.Encode(), second.Manifest.Encode()) || !bytes.Equal(first.Sharing, second.Sharing) {
		t.Errorf("another outcome in the same boot: %v", err)
	}
	w.boot(w.signed)
	var refused *ceremony.RefusedError
	if _, err := w.client(w.signed).Genesis(t.Context()); !errors.As(err, &refused) || refused.Reason != "STORE_NOT_EMPTY" {
		t.Errorf("genesis over a journal: %v", err)
	}
}

// TestGenesisHappensWhoeverHangsUp: a client that goes away in the middle leaves the
// outcome to the next one.
func TestGenesisHappensWhoeverHangsUp(t *testing.T) {
	w := newWorld(t)
	ctx, hangUp := context.WithCancel(t.Context())
	w.host.Edit(func(h *enclavetest.Host) {
		h.FailAppend = func(uint64, [][]byte) (bool, error) {
			hangUp()
			return false, nil
		}
	})
	_, _ = w.enclave.Do(ctx, &wire.Request{API: wire.APISallyport, Path: "/sallyport/v1/ceremony/genesis", Body: []byte("{}")})
	w.found()
	w.give(0, 1, 2)
	w.phase(wire.PhaseReady)
}

func TestOperatingManifestNeedsItsOperators(t *testing.T) {
	w := newWorld(t)
	w.found()
	for name, test := range map[string]struct {
		change func(m *attestation.Manifest)
		by     []int
		want   string
	}{
		"signed by one":          {func(*attestation.Manifest) {}, []int{1}, "1 operators have signed"},
		"another quorum key":     {func(m *attestation.Manifest) { m.QuorumPublicKey = m.CheckpointPublicKey }, []int{0, 1}, "identity"},
		"another sharing":        {func(m *attestation.Manifest) { m.Root.Sharing = make([]byte, 32) }, []int{0, 1}, "sharing"},
		"more than one version":  {func(m *attestation.Manifest) { m.Version = 2 }, []int{0, 1}, "version"},
		"a lower root threshold": {func(m *attestation.Manifest) { m.Root.Threshold = 2 }, []int{0, 1}, "sharing"},
		"an image it does not run": {func(m *attestation.Manifest) {
			m.Assurance = "nitro"
			m.Measurements = []attestation.Measurements{{PCR0: [48]byte{1}, PCR1: [48]byte{1}, PCR2: [48]byte{1}}}
		}, []int{0, 1}, "assurance"},
	} {
		m, plan := *w.outcome.Manifest, *w.outcome.Manifest.Root
		m.Root = &plan
		test.change(&m)
		signed := w.sign(&m, test.by...)
		w.enclave.Manifest = signed.Encode()
		w.enclave.Reboot(t)
		if want := test.want; want == "identity" || want == "version" { // found when the journal is open
			w.signed = signed
			w.serve()
			w.give(0, 1, 2)
		}
		if s := w.enclave.Wait(t); s.Phase != wire.PhaseBroken || !strings.Contains(s.Reason, test.want) {
			t.Errorf("%s: enclave is %s: %s", name, s.Phase, s.Reason)
		}
	}
}

func TestSharesAreRefusedByName(t *testing.T) {
	w := newWorld(t)
	w.found()
	stranger := newWorld(t)
	if _, err := w.client(w.signed).Provision(t.Context(), stranger.holders[0]); err == nil || !strings.Contains(err.Error(), "names no holder") {
		t.Errorf("a stranger: %v", err)
	}
	w.give(0, 1)
	for range 3 { // replayed, and counted once
		if p, err := w.client(w.signed).Provision(t.Context(), w.holders[1]); err != nil || p.Received != 2 {
			t.Errorf("the same holder again: %v, %v", p, err)
		}
	}
	w.boot(w.signed) // what was given is gone
	w.give(2)
	for name, test := range map[string]struct{ body, reason string }{
		"another boot's":   {w.recorded(t), "SHARE_NOT_FOR_THIS_BOOT"},
		"no holder's":      {`{"holder":"` + strings.Repeat("00", 65) + `","sealedShare":"00"}`, "HOLDER_UNKNOWN"},
		"of another form":  {`{"holder":"","sealedShare":"","more":1}`, ""},
		"without a holder": {`{"sealedShare":"00"}`, ""},
	} {
		err := w.post(test.body)
		if got, ok := errors.AsType[*wire.Error](err); !ok || got.Reason != test.reason {
			t.Errorf("%s: %v", name, err)
		}
	}
	if s := w.phase(wire.PhaseAwaitingRoot); s.Phase != wire.PhaseAwaitingRoot {
		t.Error(s.Phase)
	}
}

// post sends a body to the enclave as a host would.
func (w *world) post(body string) error {
	_, err := w.enclave.Do(w.Context(), &wire.Request{API: wire.APISallyport, Path: "/sallyport/v1/ceremony/share", Body: []byte(body)})
	return err
}

// recorded is a good share of a holder, which a host kept in an earlier boot.
func (w *world) recorded(t *testing.T) string {
	t.Helper()
	tap := &tap{Enclave: w.enclave.Enclave}
	w.enclave.Enclave = tap
	w.serve()
	if _, err := w.client(w.signed).Provision(t.Context(), w.holders[3]); err != nil {
		t.Fatal(err)
	}
	w.boot(w.signed)
	return tap.share
}

func TestHolderGivesNothingToAnotherEnclave(t *testing.T) {
	w, other := newWorld(t), newWorld(t)
	w.found()
	other.found()
	// The genuine image, on the same kind of machine, under a manifest of the host's own.
	tap := &tap{Enclave: other.enclave.Enclave}
	other.enclave.Enclave = tap
	other.serve()
	theirs := w.client(w.signed)
	theirs.BaseURL = other.url
	if _, err := theirs.Provision(t.Context(), w.holders[0]); err == nil {
		t.Error("gave a share to an enclave under another root of attestation")
	}
	theirs.Trust = other.enclave.Trust
	if _, err := theirs.Provision(t.Context(), w.holders[0]); err == nil || !strings.Contains(err.Error(), "manifest") {
		t.Errorf("gave a share to an enclave under another manifest: %v", err)
	}
	// A host that swaps the key, the proof or the attestation.
	for name, change := range map[string]func(*swap){
		"the proof":       func(s *swap) { s.proof = true },
		"the attestation": func(s *swap) { s.fresh = true },
		"the sharing":     func(s *swap) { s.sharing = true },
	} {
		s := &swap{Enclave: w.enclave.Enclave, other: other.enclave.Enclave}
		change(s)
		w.enclave.Enclave = s
		w.serve()
		if _, err := w.client(w.signed).Provision(t.Context(), w.holders[0]); err == nil {
			t.Errorf("%s swapped: gave a share", name)
		}
		if s.posted {
			t.Errorf("%s swapped: a share left", name)
		}
		w.enclave.Enclave = s.Enclave
	}
	if tap.share != "" {
		t.Error("a share left")
	}
}

func TestNoSecretIsInAFrameOrTheStore(t *testing.T) {
	w := newWorld(t)
	w.found()
	var shares [][]byte
	for _, h := range w.holders {
		shares = append(shares, w.share(h))
	}
	tap := &tap{Enclave: w.enclave.Enclave}
	w.enclave.Enclave = tap
	w.serve()
	w.give(0, 1, 2)
	w.phase(wire.PhaseReady)
	seen := append(tap.seen.Bytes(), w.log.bytes()...)
	w.host.Edit(func(h *enclavetest.Host) {
		for _, r := range h.Records {
			seen = append(seen, r...)
		}
		for _, b := range h.Blobs {
			seen = append(seen, b...)
		}
	})
	for i, s := range shares {
		if bytes.Contains(seen, s[1:]) || bytes.Contains(seen, []byte(hexOf(s[1:]))) {
			t.Errorf("the share of holder %d is in the open", i)
		}
	}
}
