// Package enclavetest runs an enclave inside a test process, on a simulated
// module, with a host that the test owns: it can lose answers, damage records
// and swap blobs. No production binary links it.
package enclavetest

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/sallyport/sallyport/attestation"
	"github.com/sallyport/sallyport/enclave/internal/ceremony"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
	"github.com/sallyport/sallyport/enclave/internal/platform"
	"github.com/sallyport/sallyport/enclave/internal/simulator"
	"github.com/sallyport/sallyport/enclave/wire"
)

// Options vary an enclave. The zero value is an ordinary local one.
type Options struct {
	// Host is the store; nil makes a new one in memory.
	Host wire.Host
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Log gets the enclave's log; nil discards it.
	Log io.Writer
	// ClosedOrganizations makes a manifest that does not open organizations.
	ClosedOrganizations bool
	// Network is the relay; nil is none, and no MPC keys.
	Network wire.Network
	// KeyService asks a key management service; nil: there is none.
	KeyService wire.KeyService
	// Engine and PreParams take the place of the engine's process and of the
	// pool of parameters.
	Engine    mpc.Engine
	PreParams mpc.PreParams
	// KeyGroup makes one of the nodes of [NewNodes], of which so many sign.
	KeyGroup int
}

// An Enclave is one appliance over any number of boots. Between boots its
// root, its manifest and its host stay.
type Enclave struct {
	wire.Enclave
	Host     wire.Host
	Manifest []byte            // what it boots with: canonical bytes, or signed
	Trust    attestation.Trust // accepts this enclave's documents

	dir     string // of the simulated attestation root
	module  *simulator.Simulator
	root    *memoryRoot
	options Options
	stop    context.CancelFunc
	done    chan struct{}

	assurance     platform.Assurance
	moduleOptions []simulator.Option
	trust         func(*simulator.Simulator) (attestation.Trust, error)
}

// Unfounded boots an enclave under a manifest whose root comes by a ceremony, and
// does not wait for any phase. It ends with the test.
func Unfounded(t testing.TB, options Options, manifest []byte) *Enclave {
	t.Helper()
	e := prepare(t, options)
	e.Manifest = manifest
	e.Boot(t)
	t.Cleanup(func() { e.Stop() })
	return e
}

// Beside boots another enclave on the same machine and the same host, under a
// manifest. It does not wait for any phase, and ends with the test.
func (e *Enclave) Beside(t testing.TB, manifest []byte) *Enclave {
	t.Helper()
	o := *e
	o.Manifest = manifest
	o.newModule(t)
	o.Boot(t)
	t.Cleanup(func() { o.Stop() })
	return &o
}

func prepare(t testing.TB, options Options) *Enclave {
	t.Helper()
	if options.Host == nil {
		options.Host = NewHost()
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	if options.Log == nil {
		options.Log = io.Discard
	}
	e := &Enclave{
		Host: options.Host, root: &memoryRoot{}, options: options, dir: t.TempDir(), assurance: platform.Local,
		trust: func(s *simulator.Simulator) (attestation.Trust, error) { return attestation.TrustLocal(s.Root()) },
	}
	e.newModule(t)
	return e
}

// New goes through genesis and boots an enclave to Ready. It ends with the test.
func New(t testing.TB, options Options) *Enclave {
	t.Helper()
	e := prepare(t, options)
	first := &attestation.Manifest{
		Name: "enclavetest", Assurance: string(platform.Local),
		Measurements: []attestation.Measurements{attestation.LocalMeasurements()},
		Flags: attestation.Flags{
			Unsigned: true, OpenOrganizations: !e.options.ClosedOrganizations, SingleCustodian: true, PlaintextExport: true,
		},
	}
	manifest, err := ceremony.Genesis(t.Context(), e.platform(), first.Encode(), func([]byte) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	e.Manifest = manifest
	e.Boot(t)
	if status := e.Wait(t); status.Phase != wire.PhaseReady {
		t.Fatalf("enclave is %s: %s", status.Phase, status.Reason)
	}
	t.Cleanup(func() { e.Stop() })
	return e
}

func (e *Enclave) newModule(t testing.TB) {
	t.Helper()
	cert, key := filepath.Join(e.dir, "root.pem"), filepath.Join(e.dir, "root.key")
	err := simulator.Create(cert, key)
	if err == nil {
		e.module, err = simulator.Load(cert, key, append(e.moduleOptions, simulator.WithClock(e.options.Now))...)
	}
	if err != nil {
		t.Fatal(err)
	}
	if e.Trust, err = e.trust(e.module); err != nil {
		t.Fatal(err)
	}
}

func (e *Enclave) platform() *platform.Platform {
	return &platform.Platform{
		Assurance: e.assurance, Attester: e.module, Root: e.root, Host: e.Host, Now: e.options.Now,
		Trust:   func(*attestation.Manifest) (attestation.Trust, error) { return e.Trust, nil },
		Network: e.options.Network, KeyService: e.options.KeyService, Engine: e.options.Engine, PreParams: e.options.PreParams,
	}
}

// Boot starts the enclave on its root, its manifest and its host. It does not
// wait for any phase.
func (e *Enclave) Boot(testing.TB) {
	log := slog.New(slog.NewJSONHandler(e.options.Log, nil))
	a := ceremony.New(e.platform(), "test", log)
	ctx, cancel := context.WithCancel(context.Background())
	e.Enclave, e.stop, e.done = a, cancel, make(chan struct{})
	go func() {
		defer close(e.done)
		a.Run(ctx, e.Manifest)
	}()
}

// Stop ends this boot, as a power cut would: what is not durable is gone.
func (e *Enclave) Stop() {
	e.stop()
	<-e.done
}

// Restart stops the enclave and boots it again, and returns the phase that it
// comes to.
func (e *Enclave) Restart(t testing.TB) *wire.Status {
	t.Helper()
	e.Reboot(t)
	return e.Wait(t)
}

// Reboot is Restart that does not wait for any phase.
func (e *Enclave) Reboot(t testing.TB) {
	t.Helper()
	e.Stop()
	e.newModule(t)
	e.Boot(t)
}

// Wait returns the status once the enclave is past Starting and AwaitingRoot.
func (e *Enclave) Wait(t testing.TB) *wire.Status {
	t.Helper()
	for {
		status, err := e.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if status.Phase != wire.PhaseStarting && status.Phase != wire.PhaseAwaitingRoot {
			return status
		}
		select {
		case <-t.Context().Done():
			t.Fatalf("enclave stayed %s: %s", status.Phase, status.Reason)
		case <-time.After(time.Millisecond):
		}
	}
}

// RootSecret returns a copy of the root secret, for tests that look for it
// where it must not be.
func (e *Enclave) RootSecret() []byte { return bytes.Clone(e.root.secret) }

// SetRootSecret puts another secret in the place of the root's, for the next
// boot. Nil takes it away.
func (e *Enclave) SetRootSecret(secret []byte) { e.root.secret = bytes.Clone(secret) }

// A memoryRoot keeps the root secret for the life of the test.
type memoryRoot struct{ secret []byte }

func (r *memoryRoot) Describe() string { return "memory of a test" }

func (r *memoryRoot) Create(_ context.Context, secret []byte) error {
	r.secret = bytes.Clone(secret)
	return nil
}

func (r *memoryRoot) Secret(context.Context) ([]byte, error) {
	if r.secret == nil {
		return nil, platform.ErrNoRoot
	}
	return bytes.Clone(r.secret), nil
}
