package client

import (
	"context"
	"time"

	"github.com/sallyport/sallyport/attestation"
	"github.com/sallyport/sallyport/enclave/wire"
)

// Status describes an appliance. All of it is proven: by the attestation
// document, by the manifest that the document is bound to, or by the enclave's
// word in a reply with a proof.
type Status struct {
	Version   string
	Phase     wire.Phase
	Reason    string // why it is Stale or Broken
	Assurance string // "nitro", or "local", which protects nothing
	Warnings  []string

	Manifest     *attestation.Manifest
	ManifestHash []byte // SHA-256, 32 bytes
	Document     *attestation.Document

	Time        time.Time // the enclave's
	JournalSize uint64    // entries
	JournalHead [32]byte
	Epoch       uint64
}

// Status asks the appliance to describe itself, and needs no API key. An
// enclave that has not come to Ready yet has nothing to prove with: what its
// host says of it is a [*HostError].
func (c *Client) Status(ctx context.Context) (*Status, error) {
	c.boots.fetching.Lock()
	defer c.boots.fetching.Unlock()
	a, st, err := c.fetchStatus(ctx)
	if err != nil {
		return nil, err
	}
	b := c.boots.find(a.signer)
	return &Status{
		Version: st.Version, Phase: st.Phase, Reason: st.Reason, Assurance: c.trust.Assurance(), Warnings: st.Warnings,
		Manifest: b.manifest, ManifestHash: b.manifestHash, Document: b.document,
		Time: time.UnixMilli(a.proof.TimeMs), JournalSize: a.proof.JournalSize, JournalHead: a.proof.JournalHead,
		Epoch: a.proof.Epoch,
	}, nil
}
