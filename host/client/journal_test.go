package client_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/attestation"
	"github.com/sallyport/sallyport/enclave/enclavetest"
	"github.com/sallyport/sallyport/host/client"
	"github.com/sallyport/sallyport/host/internal/turnkey"
)

// rollBack restarts the enclave on a journal without its last entries.
func (w *world) rollBack(entries int) {
	w.Helper()
	w.enclave.Host.(*enclavetest.Host).Edit(func(h *enclavetest.Host) {
		h.Records = h.Records[:len(h.Records)-entries]
	})
	if st := w.enclave.Restart(w); st.Phase != "Ready" {
		w.Fatalf("enclave is %s: %s", st.Phase, st.Reason)
	}
	w.host.honest = turnkey.New(w.enclave, turnkey.Config{})
}

func TestRestartedEnclaveIsVerifiedAgain(t *testing.T) {
	w := newWorld(t, 1, 1)
	c := w.as(0)
	w.newPrivateKey(c, client.KeyCurveP256)
	w.enclave.Restart(t)
	w.host.honest = turnkey.New(w.enclave, turnkey.Config{})
	asked := w.host.count("/sallyport/v1/status")
	for range 3 {
		if _, err := c.Whoami(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if n := w.host.count("/sallyport/v1/status") - asked; n != 1 {
		t.Errorf("the status was asked for %d times, want once", n)
	}
}

func TestJournalThatGoesBackIsRefused(t *testing.T) {
	w := newWorld(t, 1, 1)
	c := w.as(0)
	w.newPrivateKey(c, client.KeyCurveP256)
	w.newPrivateKey(c, client.KeyCurveEd25519)
	w.rollBack(1)
	_, err := c.Whoami(t.Context())
	refused(t, err, client.ReasonJournal)
	if !errors.Is(err, client.ErrJournalWentBack) {
		t.Errorf("got %v", err)
	}

	// Grown to the same size it is another journal.
	w.newPrivateKey(w.as(0), client.KeyCurveSecp256k1)
	if _, err = c.Whoami(t.Context()); !errors.Is(err, client.ErrJournalWentBack) {
		t.Errorf("the fork: got %v", err)
	}
}

func TestReplyThatWasOvertakenIsNotAStepBack(t *testing.T) {
	w := newWorld(t, 1, 1)
	c := w.as(0)
	if _, err := c.Whoami(t.Context()); err != nil {
		t.Fatal(err)
	}
	held, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	w.host.tamper(nil, func(r *http.Request, _ *httptest.ResponseRecorder) {
		if r.URL.Path == whoamiPath {
			once.Do(func() { close(held); <-release })
		}
	})
	slow := make(chan error)
	go func() {
		_, err := c.Whoami(t.Context())
		slow <- err
	}()
	<-held
	w.newPrivateKey(c, client.KeyCurveP256) // the journal grows meanwhile
	close(release)
	if err := <-slow; err != nil {
		t.Error(err)
	}
}

func TestClockThatIsOffIsNamed(t *testing.T) {
	w := newWorld(t, 1, 1)
	for _, off := range []time.Duration{client.MaxClockSkew + time.Minute, -client.MaxClockSkew - time.Minute} {
		w.now = func() time.Time { return time.Now().Add(off) }
		_, err := w.client(client.Config{}).Status(t.Context())
		refused(t, err, client.ReasonClock)
	}
}

func TestDocumentThatIsOldIsRefused(t *testing.T) {
	var ahead atomic.Int64
	now := func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	w := &world{T: t, enclave: enclavetest.New(t, enclavetest.Options{Now: now}), now: now}
	w.server = httptest.NewServer(turnkey.New(w.enclave, turnkey.Config{}))
	t.Cleanup(w.server.Close)
	m, err := attestation.ParseManifest(w.enclave.Manifest)
	if err != nil {
		t.Fatal(err)
	}
	c := w.client(client.Config{QuorumPublicKey: m.QuorumPublicKey})
	if _, err := c.Status(t.Context()); err != nil {
		t.Fatal(err)
	}
	ahead.Store(int64(client.MaxDocumentAge + time.Minute))
	_, err = c.Status(t.Context())
	refused(t, err, client.ReasonAttestation)
}
