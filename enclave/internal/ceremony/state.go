package ceremony

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/sallyport/sallyport/attestation"
	"github.com/sallyport/sallyport/enclave/internal/codec"
	"github.com/sallyport/sallyport/enclave/internal/journal"
	"github.com/sallyport/sallyport/enclave/internal/org"
	"github.com/sallyport/sallyport/enclave/internal/platform"
	"github.com/sallyport/sallyport/enclave/internal/seal"
	"github.com/sallyport/sallyport/enclave/wire"
)

// entryManifest records the manifest in force. It is entry 0 of every journal.
const entryManifest journal.Kind = 1

// A manifestEntry is the body of such an entry.
type manifestEntry struct {
	Manifest []byte `cbor:"1,keyasint"`
	Identity []byte `cbor:"2,keyasint"` // name of the sealed identity blob
}

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

// openStateOnce opens the journal under the manifest: entry 0 must record it, the
// identity that it names must be the manifest's, and every other entry goes to
// the service.
func (a *Appliance) openStateOnce(ctx context.Context, m *attestation.Manifest, secret []byte) error {
	sealer, err := newSealer(a.platform, m, secret)
	if err != nil {
		return err
	}
	if err := waitForHost(ctx, a.platform.Host); err != nil {
		return err
	}
	service := org.New(org.Config{
		Host: a.platform.Host, Sealer: sealer, Boot: a.boot, Now: a.platform.Now, Log: a.log,
		OpenOrganizations: m.Flags.OpenOrganizations, Epoch: uint64(m.Epoch),
	})
	first := &manifestEntry{}
	j, err := journal.Open(ctx, a.platform.Host, sealer, a.platform.Now, func(e journal.Entry) error {
		if e.Index == 0 || e.Kind == entryManifest {
			return a.replayManifest(e, first)
		}
		return service.Replay(e)
	})
	if err != nil {
		return err
	}
	if err := a.takeIdentity(ctx, j, m, sealer, service, first); err != nil {
		_ = j.Close()
		return err
	}
	service.Serve(j)
	a.mu.Lock()
	a.journal, a.service = j, service
	a.mu.Unlock()
	a.enter(wire.PhaseReady, "")
	return nil
}

func (a *Appliance) takeIdentity(ctx context.Context, j *journal.Journal, m *attestation.Manifest, sealer *seal.Sealer, service *org.Service, first *manifestEntry) error {
	if size, _ := j.Head(); size == 0 {
		return errors.New("journal: it is empty, and an empty journal opens only in genesis")
	}
	identity, err := loadIdentity(ctx, a.platform.Host, sealer, first.Identity)
	if err != nil {
		return err
	}
	if err := identity.matches(m); err != nil {
		return err
	}
	service.Quorum = identity.quorum
	return nil
}

// replayManifest wants the manifest of this boot, and no other, at entry 0.
func (a *Appliance) replayManifest(e journal.Entry, first *manifestEntry) error {
	if e.Index != 0 || e.Kind != entryManifest {
		return fmt.Errorf("kind %d does not belong here", e.Kind)
	}
	if err := codec.Decode(e.Body, first); err != nil {
		return fmt.Errorf("manifest entry: %w", err)
	}
	if !bytes.Equal(first.Manifest, a.boot.Manifest) {
		return errors.New("it records another manifest than the one this enclave booted with")
	}
	return nil
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
