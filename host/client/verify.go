package client

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/sallyport/sallyport/attestation"
	"github.com/sallyport/sallyport/attestation/proof"
	"github.com/sallyport/sallyport/enclave/wire"
)

const (
	// MaxClockSkew is how far a proof's time may be from the local clock.
	MaxClockSkew = 5 * time.Minute
	// MaxDocumentAge is how much older than a proof the attestation document
	// of its boot may be. Enclaves renew it every ten minutes, and its
	// certificate is valid for three hours.
	MaxDocumentAge = 3 * time.Hour
)

const statusPath = "/sallyport/v1/status"

// A boot is one start of an enclave whose document was verified.
type boot struct {
	document     *attestation.Document
	manifest     *attestation.Manifest
	manifestHash []byte
}

// meet verifies an enclave before anything that is stamped is sent to its host.
func (c *Client) meet(ctx context.Context) error {
	if c.boots.any() {
		return nil
	}
	c.boots.fetching.Lock()
	defer c.boots.fetching.Unlock()
	if c.boots.any() {
		return nil
	}
	_, _, err := c.fetchStatus(ctx)
	return err
}

// accept turns a reply into an answer, or refuses it.
func (c *Client) accept(ctx context.Context, r *reply) (*answer, error) {
	a, err := c.verifyProof(r)
	if err != nil {
		return nil, err
	}
	b := c.boots.find(a.signer)
	if b == nil || b.tooOldFor(a.proof) {
		if b, err = c.refetch(ctx, a); err != nil {
			return nil, err
		}
	}
	return a, c.admit(a, b)
}

// verifyProof checks everything about a proof but who its signer is.
func (c *Client) verifyProof(r *reply) (*answer, error) {
	if r.problem != "" {
		return nil, r.refuse(ReasonMissing, nil, "%s", r.problem)
	}
	got, signer, err := proof.VerifyReply(r.proof, r.claims(c.quorum))
	if err != nil {
		return nil, r.refuse(ReasonInvalid, err, "%v", err)
	}
	at, now := time.UnixMilli(got.TimeMs), c.now()
	if off := at.Sub(now); off > MaxClockSkew || off < -MaxClockSkew {
		return nil, r.refuse(ReasonClock, nil, "the enclave's time %s is more than %v from the local clock's %s; one of the two is wrong",
			at.UTC().Format(time.RFC3339), MaxClockSkew, now.UTC().Format(time.RFC3339))
	}
	return &answer{reply: r, signer: signer, proof: got}, nil
}

// refetch asks for the status once, when a reply is signed by a key that is
// not known: the enclave may have restarted.
func (c *Client) refetch(ctx context.Context, a *answer) (*boot, error) {
	c.boots.fetching.Lock()
	defer c.boots.fetching.Unlock()
	if b := c.boots.find(a.signer); b != nil && !b.tooOldFor(a.proof) {
		return b, nil
	}
	if _, _, err := c.fetchStatus(ctx); err != nil {
		return nil, err
	}
	if b := c.boots.find(a.signer); b != nil {
		return b, nil
	}
	return nil, a.refuse(ReasonUnknownBoot, nil, "it is signed by a key of another enclave than the one that the host shows an attestation document of")
}

// admit holds an answer against its boot and the journal seen before.
func (c *Client) admit(a *answer, b *boot) error {
	if b.tooOldFor(a.proof) {
		return a.refuse(ReasonAttestation, nil, "the attestation document of %s is more than %v older than the proof",
			b.document.Timestamp.UTC().Format(time.RFC3339), MaxDocumentAge)
	}
	if a.proof.Epoch != uint64(b.manifest.Epoch) {
		return a.refuse(ReasonManifest, nil, "the proof is of epoch %d, the manifest of epoch %d", a.proof.Epoch, b.manifest.Epoch)
	}
	if err := c.history.admit(a.since, a.proof); err != nil {
		return a.refuse(ReasonJournal, err, "%v", err)
	}
	return nil
}

func (b *boot) tooOldFor(p proof.Reply) bool {
	return time.UnixMilli(p.TimeMs).Sub(b.document.Timestamp) > MaxDocumentAge
}

// fetchStatus asks for the status, verifies the boot that it shows, and
// remembers it.
func (c *Client) fetchStatus(ctx context.Context) (*answer, *wire.Status, error) {
	r, err := c.exchange(ctx, &request{method: http.MethodGet, path: statusPath})
	if err != nil {
		return nil, nil, err
	}
	var st wire.Status
	malformed := json.Unmarshal(r.body, &st)
	if r.proof == "" && r.status == http.StatusOK && malformed == nil && st.Phase != wire.PhaseReady {
		// Before it is Ready an enclave has no key to prove with.
		text, _ := json.Marshal(map[string]string{"message": "the enclave is " + string(st.Phase) + because(st.Reason)})
		return nil, nil, &HostError{HTTPStatus: r.status, Message: hostMessage(r.status, text)}
	}
	a, err := c.verifyProof(r)
	if err != nil {
		return nil, nil, err
	}
	if a.status != http.StatusOK {
		return nil, nil, a.refusal()
	}
	if malformed != nil {
		return nil, nil, r.refuse(ReasonContent, nil, "it is not a status: %v", malformed)
	}
	b, err := c.verifyBoot(a, &st)
	if err != nil {
		return nil, nil, err
	}
	if err := c.admit(a, b); err != nil {
		return nil, nil, err
	}
	c.boots.add(b)
	return a, &st, nil
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + reason
}

// verifyBoot checks manifest and document of a status, and that its proof is
// signed by the key that the document names.
func (c *Client) verifyBoot(a *answer, st *wire.Status) (*boot, error) {
	m, err := attestation.ParseManifest(st.Manifest)
	if err != nil {
		return nil, a.refuse(ReasonManifest, err, "%v", err)
	}
	switch {
	case m.Version < 1:
		return nil, a.refuse(ReasonManifest, nil, "it must be an operating manifest, not genesis")
	case !bytes.Equal(m.QuorumPublicKey, c.quorum):
		return nil, a.refuse(ReasonManifest, nil, "it does not name the pinned quorum key")
	case m.Assurance != c.trust.Assurance():
		return nil, a.refuse(ReasonManifest, nil, "its assurance is %s, the accepted root gives %s", m.Assurance, c.trust.Assurance())
	}
	hash := attestation.Hash(st.Manifest)
	doc, err := attestation.VerifyArchived(st.AttestationDocument, c.trust, attestation.Expect{
		Kind: attestation.KindBoot, ManifestHash: hash,
	})
	if err != nil {
		return nil, a.refuse(ReasonAttestation, err, "%v", err)
	}
	switch {
	case !m.Accepts(doc.Measurements()):
		return nil, a.refuse(ReasonManifest, nil, "it does not list the measurements of the attestation document")
	case !bytes.Equal(doc.PublicKey, a.signer):
		return nil, a.refuse(ReasonUnknownBoot, nil, "the proof is not signed by the key of the attestation document")
	case doc.Timestamp.Sub(time.UnixMilli(a.proof.TimeMs)) > MaxClockSkew:
		return nil, a.refuse(ReasonAttestation, nil, "the attestation document is from the future of its own enclave")
	}
	return &boot{document: doc, manifest: m, manifestHash: hash}, nil
}
