package ceremony

import (
	"context"
	"crypto/sha256"
	"fmt"

	"github.com/sallyport/sallyport/attestation"
	"github.com/sallyport/sallyport/attestation/proof"
	"github.com/sallyport/sallyport/enclave/wire"
)

// An outcome is what a genesis made: nothing in it is secret.
type outcome struct {
	Manifest []byte         `json:"manifest"` // operating manifest, for operators to sign
	Sharing  []byte         `json:"sharing"`
	Proof    proof.AppProof `json:"proof"`
}

type outcomeReply struct {
	outcome
	Document []byte                        `json:"attestationDocument"`
	Fresh    *attestation.FreshAttestation `json:"freshAttestation,omitempty"`
}

// genesis makes the appliance's keys, or returns again what this boot has made.
func (a *Appliance) genesis(ctx context.Context, req *wire.Request, m *attestation.Manifest, f *founding) (any, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.outcome == nil {
		made, err := a.makeKeys(context.WithoutCancel(ctx), m) // whoever hangs up: it happens once
		if err != nil {
			return nil, err
		}
		f.outcome = made
	}
	fresh, err := a.fresh(ctx, req)
	return outcomeReply{*f.outcome, a.boot.Document(), fresh}, err
}

// makeKeys makes the root, spreads it, makes the identity under it, and writes entry 0
// under the genesis manifest: the operating manifest is its successor.
func (a *Appliance) makeKeys(ctx context.Context, first *attestation.Manifest) (*outcome, error) {
	p := a.platform
	if records, err := p.Host.ReadRange(ctx, 0, 1); err != nil {
		return nil, wire.Errorf(wire.Unavailable, "", "the host's store does not answer")
	} else if len(records) > 0 {
		return nil, wire.Errorf(wire.FailedPrecondition, "STORE_NOT_EMPTY", "genesis: the host's store holds a journal already; begin with an empty one")
	}
	appliance := random(attestation.ApplianceSize)
	h, err := newHalves(first.Root)
	defer h.erase()
	if err != nil {
		return nil, err
	}
	root := h.root(appliance, first.Root.Set)
	defer clear(root)
	document, err := h.spread(appliance, first.Root)
	if err != nil {
		return nil, err
	}
	sharing, err := document.Encode()
	if err != nil {
		return nil, err
	}
	i, err := newIdentity()
	if err != nil {
		return nil, err
	}
	m, err := operating(first, i, appliance, sharing)
	if err != nil {
		return nil, err
	}
	sealer, blob, name, err := i.under(p, m, root)
	if err != nil {
		return nil, err
	}
	m.Genesis = genesisOf(m, name, a.boot.ManifestHash)
	if err := m.Check(); err != nil {
		return nil, err
	}
	if err := p.Host.PutBlobs(ctx, [][]byte{blob, sharing}); err != nil {
		return nil, fmt.Errorf("genesis: %w", err)
	}
	entry := manifestEntry{Manifest: a.boot.Manifest, Identity: name, Signatures: signatureRecords(a.signed)}
	if err := writeFirst(ctx, p, sealer, entry); err != nil {
		return nil, err
	}
	return a.attested(proof.TypeGenesis, a.boot.Manifest, m.Encode(), sharing)
}

// operating is the first operating manifest, but for its genesis hash.
func operating(first *attestation.Manifest, i *identity, appliance, sharing []byte) (*attestation.Manifest, error) {
	m, plan := *first, *first.Root
	plan.Sharing = attestation.Hash(sharing)
	m.Version, m.Root, m.Appliance = 1, &plan, appliance
	var err error
	m.QuorumPublicKey, m.CheckpointPublicKey, err = i.public()
	return &m, err
}

// genesisOf is the hash of the outcome of a genesis by ceremony.
func genesisOf(m *attestation.Manifest, identityName, genesisManifest []byte) []byte {
	return genesisHash(m.Appliance, m.QuorumPublicKey, m.CheckpointPublicKey, identityName, m.Root.Sharing, genesisManifest)
}

// attested proves an outcome.
func (a *Appliance) attested(kind string, asked, manifest, sharing []byte) (*outcome, error) {
	payload, err := proof.OutcomeStatement{
		Type: kind, TimestampMs: a.platform.Now().UnixMilli(), Asked: sha256.Sum256(asked),
		Manifest: sha256.Sum256(manifest), Sharing: sha256.Sum256(sharing),
	}.Encode()
	if err != nil {
		return nil, err
	}
	o := &outcome{Manifest: manifest, Sharing: sharing}
	o.Proof, err = a.boot.SignProof(payload)
	return o, err
}
