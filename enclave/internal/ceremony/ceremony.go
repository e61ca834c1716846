// Package ceremony takes an enclave through its phases: from a machine and a
// manifest to a root, from the root to an identity, and from there to an open
// journal and a service.
//
// Phases only go forward: Starting, AwaitingRoot, Ready; Stale and Broken are
// ends. Each phase has its own table of routes, so no handler asks whether the
// enclave is ready: a request without a route in the present phase has nowhere
// to go.
package ceremony

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/sallyport/sallyport/attestation"
	"github.com/sallyport/sallyport/enclave/internal/boot"
	"github.com/sallyport/sallyport/enclave/internal/journal"
	"github.com/sallyport/sallyport/enclave/internal/node"
	"github.com/sallyport/sallyport/enclave/internal/org"
	"github.com/sallyport/sallyport/enclave/internal/platform"
	"github.com/sallyport/sallyport/enclave/wire"
)

// An Appliance is one boot of one enclave. It implements [wire.Enclave].
type Appliance struct {
	platform *platform.Platform
	log      *slog.Logger
	version  string

	mu       sync.RWMutex
	phase    wire.Phase
	reason   string
	signed   *attestation.Signed
	manifest *attestation.Manifest
	ceremony map[string]ceremonyRoute // by path; others by phase
	boot     *boot.Boot
	journal  *journal.Journal
	service  *org.Service
	node     *node.Service
	parties  *parties
	nonces   nonces
	closing  sync.Once

	leaving sync.Mutex
	halves  *halves // of the root, for a handover or new shares; nil where it came from this machine
}

// New makes an appliance in phase Starting.
func New(p *platform.Platform, version string, log *slog.Logger) *Appliance {
	return &Appliance{platform: p, log: log, version: version, phase: wire.PhaseStarting}
}

// statusPath answers in every phase and needs no stamp.
const statusPath = "/sallyport/v1/status"

const httpOK = 200 // RFC 9110, section 15.3.1

// A handler answers a client request in one phase.
type handler func(a *Appliance, ctx context.Context, req *wire.Request) (*wire.Reply, error)

// routes are what each phase answers, by API.
var routes = map[wire.Phase]map[wire.API]handler{
	wire.PhaseStarting:     {},
	wire.PhaseAwaitingRoot: {wire.APISallyport: (*Appliance).serveCeremony},
	wire.PhaseReady: {
		wire.APIActivity:  (*Appliance).serve,
		wire.APISallyport: (*Appliance).serveSallyport,
		wire.APINode:      (*Appliance).serveNode,
	},
	wire.PhaseStale:  {},
	wire.PhaseBroken: {},
}

// Do answers a client request by the routes of the present phase.
func (a *Appliance) Do(ctx context.Context, req *wire.Request) (*wire.Reply, error) {
	if req.API == wire.APISallyport && req.Path == statusPath {
		return a.statusReply(ctx, req)
	}
	a.mu.RLock()
	phase, reason := a.phase, a.reason
	a.mu.RUnlock()
	h, ok := routes[phase][req.API]
	if !ok {
		return nil, wire.Errorf(wire.Unavailable, "", "the enclave is %s and does not serve requests%s", phase, because(reason))
	}
	return h(a, ctx, req)
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + reason
}

func (a *Appliance) serve(ctx context.Context, req *wire.Request) (*wire.Reply, error) {
	return a.service.Do(ctx, req)
}

// serveSallyport answers the appliance's own API.
func (a *Appliance) serveSallyport(ctx context.Context, req *wire.Request) (*wire.Reply, error) {
	if strings.HasPrefix(req.Path, ceremonyPrefix) {
		return a.serveCeremony(ctx, req)
	}
	return a.service.Do(ctx, req)
}

// serveNode answers the node API, where the manifest has one.
func (a *Appliance) serveNode(ctx context.Context, req *wire.Request) (*wire.Reply, error) {
	if a.manifest.NodeAPI == nil {
		return nil, wire.Errorf(wire.NotFound, "", "the manifest of this appliance opens no node API")
	}
	return a.node.Do(ctx, req)
}

// Status describes the enclave.
func (a *Appliance) Status(context.Context) (*wire.Status, error) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	st := &wire.Status{
		Version: a.version, Phase: a.phase, Reason: a.reason, Assurance: string(a.platform.Assurance),
		Time: a.platform.Now().UnixMilli(), Warnings: a.warnings(),
	}
	if a.boot != nil {
		st.Manifest, st.AttestationDocument = a.boot.Manifest, a.boot.Document()
		st.QuorumPublicKey = hex.EncodeToString(a.boot.QuorumPublic)
		st.Epoch = uint64(a.manifest.Epoch)
	}
	if a.journal != nil {
		size, head := a.journal.Head()
		st.JournalSize, st.JournalHead = size, hex.EncodeToString(head[:])
	}
	return st, nil
}

func (a *Appliance) statusReply(ctx context.Context, req *wire.Request) (*wire.Reply, error) {
	st, err := a.Status(ctx)
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(st)
	if err != nil {
		return nil, err
	}
	reply := &wire.Reply{Status: httpOK, Body: body}
	a.mu.RLock()
	service := a.service
	a.mu.RUnlock()
	if service == nil {
		return reply, nil
	}
	return service.Prove(req, reply)
}

// warnings say what does not hold here; the caller holds a.mu.
func (a *Appliance) warnings() []string {
	var w []string
	if a.platform.Assurance == platform.Local {
		w = append(w, "local platform: documents are signed by a key on this machine and the root lies on its disk; it protects nothing")
	}
	if a.manifest != nil {
		if a.manifest.Flags.Unsigned {
			w = append(w, "the manifest is unsigned: it names no operators")
		}
		if a.manifest.Flags.OpenOrganizations {
			w = append(w, "the manifest opens organizations: anybody may found one")
		}
		w = append(w, a.manifest.Relaxations()...)
		w = append(w, "the manifest names no witnesses: a host that restarts the enclave on an old journal is not noticed")
	}
	return w
}

// enter goes to a phase, once and for good where it is an end.
func (a *Appliance) enter(phase wire.Phase, reason string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.phase == wire.PhaseBroken || a.phase == wire.PhaseStale {
		return
	}
	a.phase, a.reason = phase, reason
	a.log.Info("phase", "phase", phase, "reason", reason)
}

// Break ends in phase Broken. The enclave goes on to answer status.
func (a *Appliance) Break(err error) { a.enter(wire.PhaseBroken, err.Error()) }

// Run takes the appliance from a manifest to Ready, and then keeps its
// documents fresh until the context ends. It returns when the context ends;
// what went wrong is in the phase.
func (a *Appliance) Run(ctx context.Context, manifest []byte) {
	started := time.Now()
	if err := a.open(ctx, manifest); err != nil {
		if ctx.Err() == nil {
			a.Break(err)
		}
	} else if a.phaseNow() == wire.PhaseReady {
		size, _ := a.journal.Head()
		a.log.Info("ready", "entries", size, "after", time.Since(started).String())
		go a.boot.KeepFresh(ctx, a.log)
		a.watch(ctx)
	}
	<-ctx.Done()
	a.close()
}

// close ends what writes to the journal, and then the journal.
func (a *Appliance) close() { a.closing.Do(a.end) }

func (a *Appliance) end() {
	if a.service != nil {
		a.service.Close()
	}
	if a.node != nil {
		a.node.Close()
	}
	a.parties.close()
	if a.journal != nil {
		_ = a.journal.Close()
	}
}

// watch turns the end of the journal into the phase Stale.
func (a *Appliance) watch(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-a.journal.Done():
		if err := a.journal.Err(); err != nil && ctx.Err() == nil {
			a.enter(wire.PhaseStale, err.Error())
		}
	}
}

func (a *Appliance) phaseNow() wire.Phase {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.phase
}

// open walks the phases up to Ready.
func (a *Appliance) open(ctx context.Context, raw []byte) error {
	signed, m, err := a.accept(raw)
	if err != nil {
		return err
	}
	b, err := boot.New(ctx, a.platform.Attester, signed.Manifest, m.QuorumPublicKey)
	if err != nil {
		return err
	}
	a.mu.Lock()
	a.signed, a.manifest, a.boot = signed, m, b
	a.mu.Unlock()
	if m.Version == 0 {
		a.found(ctx, m)
		return ctx.Err()
	}
	secret, err := a.rootSecret(ctx, m)
	if errors.Is(err, platform.ErrNoRoot) {
		a.enter(wire.PhaseAwaitingRoot, "no root has been given: "+a.platform.Root.Describe())
		return nil
	}
	if err != nil {
		return fmt.Errorf("root: %w", err)
	}
	defer clear(secret)
	return a.openState(ctx, m, secret)
}

// rootSecret gets the root back in the way that the manifest names.
func (a *Appliance) rootSecret(ctx context.Context, m *attestation.Manifest) ([]byte, error) {
	if m.Root != nil {
		h, err := a.collect(ctx, m)
		if err != nil {
			return nil, err
		}
		a.leaving.Lock()
		a.halves = h
		a.leaving.Unlock()
		return h.root(m.Appliance, m.Root.Set), nil
	}
	a.enter(wire.PhaseAwaitingRoot, "")
	return a.platform.Root.Secret(ctx)
}

// accept judges the manifest: enough of its operators must have signed it, and this
// machine must be one that it names.
func (a *Appliance) accept(raw []byte) (*attestation.Signed, *attestation.Manifest, error) {
	signed, err := attestation.ParseSigned(raw)
	if err != nil {
		return nil, nil, err
	}
	m, err := signed.Verify()
	if err != nil {
		return nil, nil, err
	}
	return signed, m, a.suits(m)
}

// suits tells whether a manifest is one for this machine.
func (a *Appliance) suits(m *attestation.Manifest) error {
	if m.Assurance != string(a.platform.Assurance) {
		return fmt.Errorf("manifest: it is for assurance %q and this machine is %q", m.Assurance, a.platform.Assurance)
	}
	if m.IsOrder() {
		return errors.New("manifest: root.sharing: is empty: it is an order for new shares, under which nothing boots")
	}
	if m.Version == 0 && m.Root == nil {
		return errors.New("manifest: root: must be there at version 0, under which only a ceremony makes keys")
	}
	if a.platform.Assurance == platform.Nitro && m.Flags.Unsigned {
		return errors.New("manifest: an unsigned manifest is not accepted on Nitro")
	}
	var measured attestation.Measurements
	for index, pcr := range []*[attestation.PCRSize]byte{&measured.PCR0, &measured.PCR1, &measured.PCR2} {
		value, err := a.platform.Attester.PCR(index)
		if err != nil {
			return fmt.Errorf("PCR%d: %w", index, err)
		}
		copy(pcr[:], value)
	}
	if !m.Accepts(measured) {
		return errors.New("manifest: it does not accept the measurements of this image")
	}
	return nil
}
