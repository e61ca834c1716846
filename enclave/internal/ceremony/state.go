package ceremony

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/sallyport/sallyport/attestation"
	"github.com/sallyport/sallyport/enclave/internal/channel"
	"github.com/sallyport/sallyport/enclave/internal/codec"
	"github.com/sallyport/sallyport/enclave/internal/journal"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
	"github.com/sallyport/sallyport/enclave/internal/node"
	"github.com/sallyport/sallyport/enclave/internal/org"
	"github.com/sallyport/sallyport/enclave/internal/platform"
	"github.com/sallyport/sallyport/enclave/internal/seal"
	"github.com/sallyport/sallyport/enclave/wire"
)

// newSealer makes the sealer of an appliance's objects.
func newSealer(p *platform.Platform, m *attestation.Manifest, secret []byte) (*seal.Sealer, error) {
	writer, err := p.Attester.PCR(0)
	if err != nil {
		return nil, fmt.Errorf("PCR0: %w", err)
	}
	return seal.New(secret, [attestation.ApplianceSize]byte(m.Appliance), p.Assurance, writer, rand.Reader), nil
}

// openState opens the state, and begins anew as long as it is only that the
// host went away meanwhile.
func (a *Appliance) openState(ctx context.Context, m *attestation.Manifest, secret []byte) error {
	for {
		err := a.openStateOnce(ctx, m, secret)
		refusal, ok := errors.AsType[*wire.Error](err)
		if !ok || refusal.Code != wire.Unavailable || ctx.Err() != nil {
			return err
		}
		a.log.Warn("the host went away while the journal was read", "error", err)
		if err := pause(ctx); err != nil {
			return err
		}
	}
}

// openStateOnce opens the journal under the manifest: the journal must record it
// or the one before, the identity that it names must be the manifest's, and
// every other entry goes to its service.
func (a *Appliance) openStateOnce(ctx context.Context, m *attestation.Manifest, secret []byte) error {
	sealer, err := newSealer(a.platform, m, secret)
	if err != nil {
		return err
	}
	if err := waitForHost(ctx, a.platform.Host); err != nil {
		return err
	}
	group, err := keyGroup(a.platform, m)
	if err != nil {
		return err
	}
	service := org.New(org.Config{
		Host: a.platform.Host, Sealer: sealer, Boot: a.boot, Now: a.platform.Now, Log: a.log,
		OpenOrganizations: m.Flags.OpenOrganizations, Epoch: uint64(m.Epoch), Group: group,
	})
	nodes := node.New(node.Config{
		Host: a.platform.Host, Network: a.platform.Network, Sealer: sealer, Boot: a.boot, Now: a.platform.Now, Log: a.log,
		Check: mpc.Sound, Rules: nodeRules(m), Epoch: uint64(m.Epoch),
	})
	record, past := &manifestRecord{}, &passage{through: a.goesOn}
	j, err := journal.Open(ctx, a.platform.Host, sealer, a.platform.Now, func(e journal.Entry) error {
		past.entry(e)
		switch {
		case e.Index == 0 || e.Kind == entryManifest:
			return record.replay(e)
		case e.Kind == entryHandover:
			return codec.Decode(e.Body, new(handoverEntry))
		case e.Kind == entrySharing:
			return codec.Decode(e.Body, new(sharingEntry))
		case node.Mine(e.Kind):
			return nodes.Replay(e)
		}
		return service.Replay(e)
	})
	if err != nil {
		return err
	}
	err = past.seen()
	var i *identity
	if err == nil {
		i, err = a.takeIdentity(ctx, j, m, sealer, record)
	}
	if err == nil {
		err = a.begin(m, i, j, service, nodes)
	}
	if err != nil {
		_ = j.Close()
		return err
	}
	a.mu.Lock()
	a.ceremony = nil
	if m.Root != nil {
		a.ceremony = a.departure()
	}
	a.mu.Unlock()
	a.enter(wire.PhaseReady, "")
	return nil
}

// begin gives the services what they need beside the journal, and starts them.
func (a *Appliance) begin(m *attestation.Manifest, i *identity, j *journal.Journal, service *org.Service, nodes *node.Service) error {
	with, err := meet(a.platform, m, i, a.log)
	if err != nil {
		return err
	}
	self, err := channel.NodeID(m.QuorumPublicKey)
	if err != nil {
		return err
	}
	service.Quorum, nodes.Quorum = i.quorum, i.quorum
	nodes.Self, nodes.Runner, nodes.Caller = self, with.runner(), with.calls()
	if service.Group != nil {
		with.equip(service.Group, a.platform.Network, self)
	}
	service.Serve(j)
	nodes.Serve(j)
	if with != nil {
		with.caller.Serve()
	}
	a.mu.Lock()
	a.journal, a.service, a.node, a.parties = j, service, nodes, with
	a.mu.Unlock()
	return nil
}

// nodeRules are what the manifest says of the node API.
func nodeRules(m *attestation.Manifest) node.Rules {
	r := node.Rules{Plaintext: m.Flags.PlaintextExport, PlainRuleServers: m.Assurance == attestation.AssuranceLocal}
	if n := m.NodeAPI; n != nil {
		r.AdminTokenSHA256, r.AdminKeys, r.BearerMay, r.Backup = n.AdminTokenSHA256, n.AdminKeys, n.BearerMay, n.Backup
	}
	return r
}

// takeIdentity opens the identity that the journal names, and records the
// manifest of this boot if it follows the one that is recorded.
func (a *Appliance) takeIdentity(ctx context.Context, j *journal.Journal, m *attestation.Manifest, sealer *seal.Sealer, record *manifestRecord) (*identity, error) {
	if size, _ := j.Head(); size == 0 {
		return nil, errors.New("journal: it is empty, and an empty journal opens only in genesis")
	}
	i, err := loadIdentity(ctx, a.platform.Host, sealer, record.last.Identity)
	if err != nil {
		return nil, err
	}
	if err := i.matches(m); err != nil {
		return nil, err
	}
	return i, a.succeed(ctx, j, m, record)
}

// waitForHost waits until the host's side of the door answers: host and
// enclave start in any order. An answer that is an error is not waited out: a
// store that cannot give entry 0 now will not give it later.
func waitForHost(ctx context.Context, host wire.Host) error {
	for {
		_, err := host.ReadRange(ctx, 0, 1)
		if err == nil {
			return nil
		}
		if refusal, ok := errors.AsType[*wire.Error](err); ok && refusal.Code != wire.Unavailable {
			return fmt.Errorf("journal entry 0: reading: %w", err)
		}
		if err := pause(ctx); err != nil {
			return err
		}
	}
}

// pause is the wait between two questions to a host that is away.
func pause(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(25 * time.Millisecond):
		return nil
	}
}
