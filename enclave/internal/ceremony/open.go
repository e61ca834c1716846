package ceremony

import (
	"context"
	"errors"
	"fmt"

	"github.com/sallyport/sallyport/attestation"
	"github.com/sallyport/sallyport/enclave/internal/boot"
	"github.com/sallyport/sallyport/enclave/internal/platform"
	"github.com/sallyport/sallyport/enclave/wire"
)

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
		b, err := a.collect(ctx, m)
		if err != nil {
			return nil, err
		}
		if b.size > 0 {
			a.goesOn = b
		}
		a.leaving.Lock()
		a.halves = &b.halves
		a.leaving.Unlock()
		return b.root(m.Appliance, m.Root.Set), nil
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
