package cli

import (
	"context"
	"encoding/hex"
	"strconv"
	"time"

	"github.com/sallyport/sallyport/attestation"
	"github.com/sallyport/sallyport/host/client"
)

type statusCommand struct {
	Connection `embed:""`
}

// statusDocument is what was verified about an appliance.
type statusDocument struct {
	Phase           string                   `json:"phase"`
	Reason          string                   `json:"reason,omitempty"`
	Assurance       string                   `json:"assurance"`
	Version         string                   `json:"version"`
	Manifest        string                   `json:"manifest"` // its name
	ManifestVersion int64                    `json:"manifestVersion"`
	ManifestHash    string                   `json:"manifestHash"`
	Flags           attestation.Flags        `json:"flags"`
	Measurements    attestation.Measurements `json:"measurements"`
	QuorumPublicKey string                   `json:"quorumPublicKey"`
	ModuleID        string                   `json:"moduleId"`
	DocumentTime    string                   `json:"documentTime"`
	Time            string                   `json:"time"`
	JournalSize     string                   `json:"journalSize"`
	JournalHead     string                   `json:"journalHead"`
	Epoch           string                   `json:"epoch"`
	Warnings        []string                 `json:"warnings"`
}

func statusOf(st *client.Status) *statusDocument {
	return &statusDocument{
		Phase: string(st.Phase), Reason: st.Reason, Assurance: st.Assurance, Version: st.Version,
		Manifest: st.Manifest.Name, ManifestVersion: st.Manifest.Version, ManifestHash: hex.EncodeToString(st.ManifestHash),
		Flags: st.Manifest.Flags, Measurements: st.Document.Measurements(),
		QuorumPublicKey: hex.EncodeToString(st.Manifest.QuorumPublicKey), ModuleID: st.Document.ModuleID,
		DocumentTime: st.Document.Timestamp.UTC().Format(time.RFC3339), Time: st.Time.UTC().Format(time.RFC3339),
		JournalSize: strconv.FormatUint(st.JournalSize, 10), JournalHead: hex.EncodeToString(st.JournalHead[:]),
		Epoch: strconv.FormatUint(st.Epoch, 10), Warnings: append([]string{}, st.Warnings...),
	}
}

// Run verifies an appliance and shows what it is.
func (c *statusCommand) Run(ctx context.Context, s *Streams) error {
	return c.run(ctx, s, needAppliance, func(ctx context.Context, s *session) error {
		st, err := s.Status(ctx)
		if err != nil {
			return err
		}
		d := statusOf(st)
		return s.show(d, func(p *printer) {
			p.line("%s", "Verified: attestation document, manifest, and a proof of this reply.")
			phase := d.Phase
			if d.Reason != "" {
				phase += ": " + d.Reason
			}
			p.field("Phase", phase)
			p.field("Assurance", d.Assurance)
			p.field("Version", d.Version)
			p.field("Manifest", d.Manifest+", version "+strconv.FormatInt(d.ManifestVersion, 10))
			p.field("Manifest hash", d.ManifestHash)
			p.field("PCR0", hex.EncodeToString(d.Measurements.PCR0[:]))
			p.field("PCR1", hex.EncodeToString(d.Measurements.PCR1[:]))
			p.field("PCR2", hex.EncodeToString(d.Measurements.PCR2[:]))
			p.field("Quorum key", d.QuorumPublicKey)
			p.field("Module", d.ModuleID)
			p.field("Document of", d.DocumentTime)
			p.field("Enclave time", d.Time)
			p.field("Journal", d.JournalSize+" entries, head "+d.JournalHead+", epoch "+d.Epoch)
			for _, w := range d.Warnings {
				p.field("Warning", w)
			}
		})
	})
}
