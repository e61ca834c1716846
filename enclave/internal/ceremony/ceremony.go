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

	// goesOn is where the journal of the enclave ended that handed the root over; nil
	// where holders gave it. Only the goroutine that opens the state uses it.
	goesOn *bequest

	leaving sync.Mutex
	spread  map[[32]byte]*outcome // new shares of this boot, by their order: an order is carried out once
	halves  *halves               // of the root, for a handover or new shares; nil where it came from this machine
}

// New makes an appliance in phase Starting.
func New(p *platform.Platform, version string, log *slog.Logger) *Appliance {
	return &Appliance{platform: p, log: log, version: version, phase: wire.PhaseStarting, nonces: newNonces()}
}

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
	wire.PhaseStale:  {wire.APISallyport: (*Appliance).serveCeremony}, // gives a lost reply again
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
