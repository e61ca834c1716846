package ceremony_test

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/attestation"
	"github.com/sallyport/sallyport/enclave/enclavetest"
	"github.com/sallyport/sallyport/enclave/wire"
)

// succeed returns a successor of an enclave's manifest, changed by a test.
func succeed(t *testing.T, manifest []byte, change func(m *attestation.Manifest)) []byte {
	t.Helper()
	m, err := attestation.ParseManifest(manifest)
	if err != nil {
		t.Fatal(err)
	}
	m.Version++
	m.NodeAPI = &attestation.NodeAPI{BearerMay: []string{"sign"}}
	if change != nil {
		change(m)
	}
	return m.Encode()
}

func point(t *testing.T) []byte {
	t.Helper()
	k, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k.PublicKey().Bytes()
}

func records(host *enclavetest.Host) (n int) {
	host.Edit(func(h *enclavetest.Host) { n = len(h.Records) })
	return n
}

func TestSuccessorIsRecordedBeforeItServes(t *testing.T) {
	host := enclavetest.NewHost()
	e := enclavetest.New(t, enclavetest.Options{Host: host})
	first, before := e.Manifest, records(host)
	for i := range 2 { // one successor, and the next
		e.Manifest = succeed(t, e.Manifest, nil)
		for range 2 { // recorded once
			status := e.Restart(t)
			if status.Phase != wire.PhaseReady || !bytes.Equal(status.Manifest, e.Manifest) {
				t.Fatalf("enclave is %s: %s", status.Phase, status.Reason)
			}
			if n := records(host); n != before+1+i {
				t.Errorf("%d records after successor %d, were %d", n, i, before)
			}
			if !slices.ContainsFunc(status.Warnings, func(w string) bool { return strings.HasSuffix(w, "ask alone for sign") }) {
				t.Errorf("no warning of the bearer credential: %q", status.Warnings)
			}
		}
	}
	e.Manifest = first
	if status := e.Restart(t); status.Phase != wire.PhaseBroken || !strings.Contains(status.Reason, "version") {
		t.Errorf("after a downgrade enclave is %s: %s", status.Phase, status.Reason)
	}
}

func TestManifestThatIsNoSuccessorBreaks(t *testing.T) {
	host := enclavetest.NewHost()
	e := enclavetest.New(t, enclavetest.Options{Host: host})
	first, before := e.Manifest, records(host)
	for name, test := range map[string]struct {
		change func(m *attestation.Manifest)
		want   string
	}{
		"a version skipped":      {func(m *attestation.Manifest) { m.Version++ }, "version"},
		"the same version":       {func(m *attestation.Manifest) { m.Version-- }, "version"},
		"another epoch":          {func(m *attestation.Manifest) { m.Epoch++ }, "epoch"},
		"another appliance":      {func(m *attestation.Manifest) { m.Appliance = make([]byte, len(m.Appliance)) }, "entry 0"},
		"another quorum key":     {func(m *attestation.Manifest) { m.QuorumPublicKey = point(t) }, "identity"},
		"another checkpoint key": {func(m *attestation.Manifest) { m.CheckpointPublicKey = point(t) }, "identity"},
		"another genesis":        {func(m *attestation.Manifest) { m.Genesis = make([]byte, len(m.Genesis)) }, "genesis"},
		"itself as a peer": {func(m *attestation.Manifest) {
			m.Peers = []attestation.Peer{{Name: "x", QuorumPublicKey: m.QuorumPublicKey, Measurements: m.Measurements, AttestationRoot: []byte{1}}}
		}, "peers[0]"},
	} {
		e.Manifest = succeed(t, first, test.change)
		if status := e.Restart(t); status.Phase != wire.PhaseBroken || !strings.Contains(status.Reason, test.want) {
			t.Errorf("%s: enclave is %s: %s, want %q", name, status.Phase, status.Reason, test.want)
		}
		if n := records(host); n != before {
			t.Fatalf("%s: %d records, were %d", name, n, before)
		}
	}
	e.Manifest = first
	if status := e.Restart(t); status.Phase != wire.PhaseReady {
		t.Errorf("under the recorded manifest enclave is %s: %s", status.Phase, status.Reason)
	}
}

// A host may lose the answer to the record, or the record. Under the successor
// the enclave serves when it is there, whoever remembers it.
func TestSuccessorSurvivesAHostThatLoses(t *testing.T) {
	for name, keep := range map[string]bool{"the answer": true, "the record": false} {
		host := enclavetest.NewHost()
		e := enclavetest.New(t, enclavetest.Options{Host: host})
		first, before := e.Manifest, records(host)
		lost := false
		host.Edit(func(h *enclavetest.Host) {
			h.FailAppend = func(uint64, [][]byte) (bool, error) {
				if lost {
					return false, nil
				}
				lost = true
				return keep, enclavetest.ErrLost
			}
		})
		e.Manifest = succeed(t, first, nil)
		if status := e.Restart(t); status.Phase == wire.PhaseReady && records(host) != before+1 {
			t.Errorf("%s: serves under a manifest that is not recorded", name)
		}
		if status := e.Restart(t); status.Phase != wire.PhaseReady || records(host) != before+1 {
			t.Errorf("%s: enclave is %s: %s, %d records, were %d", name, status.Phase, status.Reason, records(host), before)
		}
		e.Manifest = first
		if status := e.Restart(t); status.Phase != wire.PhaseBroken {
			t.Errorf("%s: after a downgrade enclave is %s", name, status.Phase)
		}
	}
}
