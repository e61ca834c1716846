package ceremony_test

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/attestation"
	"github.com/sallyport/sallyport/enclave/enclavetest"
	"github.com/sallyport/sallyport/enclave/wire"
	"github.com/sallyport/sallyport/host/client/ceremony"
	"github.com/sallyport/sallyport/host/internal/turnkey"
)

// A world is an appliance of three operators, of whom two sign, and five holders, of
// whom three give the root, behind a host.
type world struct {
	*testing.T
	operators []*ecdsa.PrivateKey
	holders   []*ecdh.PrivateKey
	enclave   *enclavetest.Enclave
	host      *enclavetest.Host
	url       string
	log       *notebook
	genesis   *attestation.Manifest
	signed    *attestation.Signed // what the enclave has booted with
	outcome   *ceremony.Outcome
}

// A notebook keeps what enclaves log.
type notebook struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (n *notebook) Write(b []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.b.Write(b)
}

// bytes are a copy of all there is.
func (n *notebook) bytes() []byte {
	n.mu.Lock()
	defer n.mu.Unlock()
	return bytes.Clone(n.b.Bytes())
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, host: enclavetest.NewHost(), log: new(notebook)}
	w.genesis = &attestation.Manifest{
		Name: "vault", Assurance: "local", Measurements: []attestation.Measurements{attestation.LocalMeasurements()},
		Flags: attestation.Flags{OpenOrganizations: true}, OperatorThreshold: 2, Root: &attestation.RootPlan{Set: 1, Threshold: 3},
	}
	for i := range 3 {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		point, _ := key.PublicKey.Bytes()
		w.operators = append(w.operators, key)
		w.genesis.Operators = append(w.genesis.Operators, attestation.Operator{
			Name: fmt.Sprintf("operator %d", i), PublicKey: append([]byte{2 | point[64]&1}, point[1:33]...),
		})
	}
	for i := range 5 {
		key, err := ecdh.P256().GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		w.holders = append(w.holders, key)
		w.genesis.Root.Holders = append(w.genesis.Root.Holders, attestation.Holder{Name: fmt.Sprintf("holder %d", i), PublicKey: key.PublicKey().Bytes()})
	}
	w.signed = w.sign(w.genesis, 0, 2)
	w.enclave = enclavetest.Unfounded(t, enclavetest.Options{Host: w.host, Log: w.log}, w.signed.Encode())
	w.serve()
	return w
}

// serve puts a host in front of the enclave as it is now.
func (w *world) serve() {
	server := httptest.NewServer(turnkey.New(w.enclave, turnkey.Config{}))
	w.Cleanup(server.Close)
	w.url = server.URL
	w.phase(wire.PhaseAwaitingRoot)
}

// phase waits for a phase.
func (w *world) phase(want wire.Phase) *wire.Status {
	w.Helper()
	for range 2000 {
		s, err := w.enclave.Status(w.Context())
		if err != nil {
			w.Fatal(err)
		}
		if s.Phase == want && (want != wire.PhaseAwaitingRoot || s.Reason != "") {
			return s
		}
		if s.Phase == wire.PhaseBroken {
			w.Fatalf("enclave is %s: %s", s.Phase, s.Reason)
		}
		time.Sleep(time.Millisecond)
	}
	w.Fatalf("the enclave does not become %s", want)
	return nil
}

func (w *world) sign(m *attestation.Manifest, by ...int) *attestation.Signed {
	w.Helper()
	s := &attestation.Signed{Manifest: m.Encode()}
	for _, i := range by {
		if err := s.Sign(w.operators[i]); err != nil {
			w.Fatal(err)
		}
	}
	return s
}

// client is what a person has who trusts this appliance and brings a manifest.
func (w *world) client(signed *attestation.Signed) *ceremony.Client {
	return &ceremony.Client{BaseURL: w.url, Trust: w.enclave.Trust, Signed: signed}
}

// found goes through genesis and boots under the operating manifest.
func (w *world) found() {
	w.Helper()
	var err error
	if w.outcome, err = w.client(w.signed).Genesis(w.Context()); err != nil {
		w.Fatal(err)
	}
	w.boot(w.sign(w.outcome.Manifest, 0, 1))
}

// boot starts the enclave again, under a manifest.
func (w *world) boot(signed *attestation.Signed) {
	w.Helper()
	w.signed, w.enclave.Manifest = signed, signed.Encode()
	w.enclave.Reboot(w)
	w.serve()
}

// give has holders give their shares, and wants what is counted.
func (w *world) give(holders ...int) {
	w.Helper()
	for i, h := range holders {
		p, err := w.client(w.signed).Provision(w.Context(), w.holders[h])
		if err != nil || p.Received != i+1 || p.Threshold != 3 {
			w.Fatalf("holder %d: %v, %v", h, p, err)
		}
	}
}
