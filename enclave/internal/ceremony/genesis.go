package ceremony

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/sallyport/sallyport/attestation"
	"github.com/sallyport/sallyport/enclave/internal/codec"
	"github.com/sallyport/sallyport/enclave/internal/journal"
	"github.com/sallyport/sallyport/enclave/internal/platform"
	"github.com/sallyport/sallyport/enclave/internal/seal"
)

// Genesis makes an appliance under a manifest of version 0: a root secret, an
// identity, and a journal whose entry 0 records the operating manifest that it
// returns. keep must make that manifest durable before the journal names it,
// and is called once; a crash after it is mended by calling Resume.
//
// The root secret of an earlier attempt is used again. A journal that is not
// empty is refused.
func Genesis(ctx context.Context, p *platform.Platform, genesisManifest []byte, keep func(manifest []byte) error) ([]byte, error) {
	m, err := attestation.ParseManifest(genesisManifest)
	if err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	if m.Version != 0 {
		return nil, fmt.Errorf("manifest: genesis needs version 0, not %d", m.Version)
	}
	if err := waitForHost(ctx, p.Host); err != nil {
		return nil, err
	}
	if records, err := p.Host.ReadRange(ctx, 0, 1); err != nil || len(records) > 0 {
		return nil, errors.Join(err, errors.New("genesis: the store holds a journal already"))
	}
	secret, err := rootSecret(ctx, p.Root)
	if err != nil {
		return nil, err
	}
	defer clear(secret)
	return begin(ctx, p, m, secret, keep)
}

// rootSecret makes the root secret, unless an earlier attempt has.
func rootSecret(ctx context.Context, root platform.Root) ([]byte, error) {
	secret, err := root.Secret(ctx)
	if !errors.Is(err, platform.ErrNoRoot) {
		return secret, err
	}
	secret = random(halfSize)
	if err := root.Create(ctx, secret); err != nil {
		return nil, fmt.Errorf("root: %w", err)
	}
	return secret, nil
}

// begin names everything in the operating manifest and writes entry 0.
func begin(ctx context.Context, p *platform.Platform, m *attestation.Manifest, secret []byte, keep func([]byte) error) ([]byte, error) {
	i, err := newIdentity()
	if err != nil {
		return nil, err
	}
	m.Version = 1
	m.Appliance = random(attestation.ApplianceSize)
	if m.QuorumPublicKey, m.CheckpointPublicKey, err = i.public(); err != nil {
		return nil, err
	}
	sealer, blob, name, err := i.under(p, m, secret)
	if err != nil {
		return nil, err
	}
	m.Genesis = genesisHash(m.Appliance, m.QuorumPublicKey, m.CheckpointPublicKey, name)
	if err := m.Check(); err != nil {
		return nil, err
	}
	manifest := m.Encode()
	if err := p.Host.PutBlobs(ctx, [][]byte{blob}); err != nil {
		return nil, fmt.Errorf("genesis: %w", err)
	}
	if err := keep(manifest); err != nil {
		return nil, err
	}
	return manifest, writeFirst(ctx, p, sealer, manifestEntry{Manifest: manifest, Identity: name})
}

func writeFirst(ctx context.Context, p *platform.Platform, sealer *seal.Sealer, first manifestEntry) error {
	j, err := journal.Open(ctx, p.Host, sealer, p.Now, func(journal.Entry) error {
		return errors.New("genesis: the store holds a journal already")
	})
	if err != nil {
		return err
	}
	defer func() { _ = j.Close() }() // never fails
	t, err := j.Propose(entryManifest, func(uint64, int64) ([]byte, error) { return codec.Encode(first), nil })
	if err != nil {
		return err
	}
	return j.Wait(ctx, t)
}

// Recorded tells whether the journal's entry 0 records this manifest: whether
// a genesis that kept it came to its end.
func Recorded(ctx context.Context, p *platform.Platform, manifest []byte) (bool, error) {
	m, err := attestation.ParseManifest(manifest)
	if err != nil {
		return false, err
	}
	if err := waitForHost(ctx, p.Host); err != nil {
		return false, err
	}
	records, err := p.Host.ReadRange(ctx, 0, 1)
	if err != nil || len(records) == 0 {
		return false, err
	}
	secret, err := p.Root.Secret(ctx)
	if err != nil {
		return false, err
	}
	defer clear(secret)
	sealer, err := newSealer(p, m, secret)
	if err != nil {
		return false, err
	}
	var first manifestEntry
	stop := errors.New("seen")
	_, err = journal.Open(ctx, p.Host, sealer, p.Now, func(e journal.Entry) error {
		if err := codec.Decode(e.Body, &first); err != nil {
			return err
		}
		return stop
	})
	if err != nil && !errors.Is(err, stop) {
		return false, err
	}
	return bytes.Equal(first.Manifest, manifest), nil
}
