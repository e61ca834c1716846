package bundle

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"time"

	"github.com/sallyport/sallyport/attestation"
	"github.com/sallyport/sallyport/attestation/proof"
	"github.com/sallyport/sallyport/attestation/strictjson"
)

// maxProofLead is how much older than the boot's document a proof may be. Both
// times are the enclave's; a document is renewed while the enclave runs, and a
// result may be handed out again after that.
const maxProofLead = 5 * time.Minute

// Expect is what the caller knows before it sees the bundle.
type Expect struct {
	// Trust is the root and the measurements to accept. Required.
	Trust attestation.Trust
	// QuorumPublicKey is the appliance's, which the caller has pinned: SEC 1
	// uncompressed, 65 bytes. Required.
	QuorumPublicKey []byte
	// OrganizationID is the caller's organization. Required.
	OrganizationID string
	// TargetPublicKey is the key that the export was asked for: SEC 1
	// uncompressed, 65 bytes. Required for [Verify]; [Open] knows it.
	TargetPublicKey []byte

	// PrivateKeyID and PublicKey (hex, as the API shows it) name the key that
	// was asked for, Fingerprint ("sha256:...") the activity. Each is checked
	// when it is set.
	PrivateKeyID string
	PublicKey    string
	Fingerprint  string

	// ManifestHash pins the manifest: SHA-256, 32 bytes. Checked when set.
	ManifestHash []byte

	// Nonce is what the caller sent in X-Sallyport-Nonce. When it is set, the
	// bundle must have a fresh attestation for it, verified live at Now.
	Nonce []byte
	Now   time.Time
}

// Verified is what a verified bundle says.
type Verified struct {
	// Assurance is "nitro", or "local", which protects nothing.
	Assurance string
	// Document is the document of the enclave's boot, verified at its own
	// time: it says nothing about now.
	Document *attestation.Document
	// Fresh is the verified fresh attestation, and nil if there was none. It
	// is proof of a running enclave only if Live.
	Fresh *attestation.Document
	// Live says that Fresh was verified against the caller's nonce and time.
	Live bool
	// Manifest is the manifest in force, and ManifestHash the SHA-256 of it.
	Manifest     *attestation.Manifest
	ManifestHash []byte
	// Statement is what the enclave says about this export: key, public key,
	// activity, time and journal position.
	Statement proof.ExportStatement
	// Data is the sealed key.
	Data Data
}

// Verify checks everything but the decryption, in the order of README.md, and
// stops at the first thing that is wrong. The error is an [*Error], and there
// is no Verified beside it.
func Verify(b []byte, e Expect) (*Verified, error) {
	if err := e.check(); err != nil {
		return nil, err
	}
	o, err := Parse(b)
	if err != nil {
		return nil, err
	}
	v := &Verified{Assurance: e.Trust.Assurance()}
	for _, step := range []func(*Outer, *Expect, *Verified) error{
		checkData, checkManifest, checkDocument, checkProof, checkStatement, checkFresh,
	} {
		if err := step(o, &e, v); err != nil {
			return nil, err
		}
	}
	return v, nil
}

// check refuses expectations under which a bundle would be half verified.
func (e *Expect) check() error {
	if e.Trust.Assurance() == "" {
		return refuse(ReasonUsage, "trust: must name a root")
	}
	if err := checkPoint(e.QuorumPublicKey); err != nil {
		return refuse(ReasonUsage, "quorum public key: %v", err)
	}
	if err := checkPoint(e.TargetPublicKey); err != nil {
		return refuse(ReasonUsage, "target public key: %v", err)
	}
	switch {
	case e.OrganizationID == "":
		return refuse(ReasonUsage, "organization: must be given")
	case e.ManifestHash != nil && len(e.ManifestHash) != sha256.Size:
		return refuse(ReasonUsage, "manifest hash: must be %d bytes", sha256.Size)
	case e.Nonce == nil:
		return nil
	case len(e.Nonce) < proof.MinNonce || len(e.Nonce) > proof.MaxNonce:
		return refuse(ReasonUsage, "nonce: must be %d to %d bytes", proof.MinNonce, proof.MaxNonce)
	case e.Now.IsZero():
		return refuse(ReasonUsage, "now: must be given with a nonce")
	}
	return nil
}

// checkData is Turnkey's part: version, quorum key, signature, organization.
func checkData(o *Outer, e *Expect, v *Verified) error {
	if o.Version != Version {
		return refuse(ReasonVersion, "version: must be %s", Version)
	}
	if !bytes.Equal(o.EnclaveQuorumPublic, e.QuorumPublicKey) {
		return refuse(ReasonQuorumKey, "enclaveQuorumPublic: must be the pinned quorum key")
	}
	quorum, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), e.QuorumPublicKey)
	if err != nil {
		return refuse(ReasonUsage, "quorum public key: must be an uncompressed point of P-256")
	}
	digest := sha256.Sum256(o.Data)
	if !ecdsa.VerifyASN1(quorum, digest[:], o.DataSignature) {
		return refuse(ReasonDataSignature, "dataSignature: must be the quorum key's signature of data")
	}
	data, err := parseData(o.Data)
	if err != nil {
		return err
	}
	if data.OrganizationID != e.OrganizationID {
		return refuse(ReasonOrganization, "data: organizationId: must be the expected organization")
	}
	v.Data = *data
	return nil
}

// checkManifest reads the manifest; that it is the enclave's own follows from
// the document.
func checkManifest(o *Outer, e *Expect, v *Verified) error {
	v.ManifestHash = attestation.Hash(o.Manifest)
	if e.ManifestHash != nil && !bytes.Equal(v.ManifestHash, e.ManifestHash) {
		return refuse(ReasonManifest, "manifest: must be the pinned one")
	}
	m, err := attestation.ParseManifest(o.Manifest)
	if err != nil {
		return because(ReasonManifest, err)
	}
	switch {
	case m.Assurance == attestation.AssuranceLocal && v.Assurance != m.Assurance:
		return refuse(ReasonManifest, "manifest: assurance: is of the local platform, which protects nothing, but the accepted root is AWS's")
	case m.Assurance != v.Assurance:
		return refuse(ReasonManifest, "manifest: assurance: is %q, but the accepted root gives %q", m.Assurance, v.Assurance)
	case m.Version < 1:
		return refuse(ReasonManifest, "manifest: version: must be an operating manifest, not genesis")
	case !bytes.Equal(m.QuorumPublicKey, e.QuorumPublicKey):
		return refuse(ReasonManifest, "manifest: quorumPublicKey: must be the pinned quorum key")
	}
	v.Manifest = m
	return nil
}

// checkDocument verifies the document of the boot at its own time.
func checkDocument(o *Outer, e *Expect, v *Verified) error {
	doc, err := attestation.VerifyArchived(o.AttestationDocument, e.Trust, attestation.Expect{
		Kind: attestation.KindBoot, ManifestHash: v.ManifestHash,
	})
	if err != nil {
		return because(ReasonAttestation, err)
	}
	if !v.Manifest.Accepts(doc.Measurements()) {
		return refuse(ReasonManifest, "manifest: measurements: must list the document's PCR0, PCR1 and PCR2")
	}
	v.Document = doc
	return nil
}

// checkProof ties the proof to the document and reads what it says.
func checkProof(o *Outer, _ *Expect, v *Verified) error {
	publicKey, err := strictjson.ParseHex(o.AttestationProof.PublicKey)
	if err != nil {
		return refuse(ReasonProof, "attestationProof.publicKey: %v", err)
	}
	if !bytes.Equal(publicKey, v.Document.PublicKey) {
		return refuse(ReasonProof, "attestationProof.publicKey: must be the attestation document's public_key")
	}
	if err := o.AttestationProof.Verify(); err != nil {
		return refuse(ReasonProof, "attestationProof.%v", err)
	}
	v.Statement, err = proof.ParseExportStatement([]byte(o.AttestationProof.ProofPayload))
	if err != nil {
		return refuse(ReasonProof, "attestationProof.proofPayload: %v", err)
	}
	return nil
}

// checkStatement compares every field of the statement.
func checkStatement(o *Outer, e *Expect, v *Verified) error {
	s := &v.Statement
	switch {
	case s.DataHash != sha256.Sum256(o.Data):
		return refuse(ReasonProof, "the proof must be about this data")
	case s.OrganizationID != e.OrganizationID:
		return refuse(ReasonProof, "the proof must be about the expected organization")
	case !bytes.Equal(s.QuorumPublicKey, e.QuorumPublicKey):
		return refuse(ReasonProof, "the proof must name the pinned quorum key")
	case !bytes.Equal(s.TargetPublicKey, e.TargetPublicKey):
		return refuse(ReasonTargetKey, "the export must be sealed to the caller's target key")
	case e.PrivateKeyID != "" && s.PrivateKeyID != e.PrivateKeyID:
		return refuse(ReasonKey, "the export must be of the expected key id")
	case e.PublicKey != "" && s.PublicKey != e.PublicKey:
		return refuse(ReasonKey, "the export must be of the expected public key")
	case e.Fingerprint != "" && s.ActivityFingerprint != e.Fingerprint:
		return refuse(ReasonFingerprint, "the export must be of the expected activity")
	case time.UnixMilli(s.TimestampMs).Before(v.Document.Timestamp.Add(-maxProofLead)):
		return refuse(ReasonProof, "the proof must not be older than the attestation document by more than %v", maxProofLead)
	}
	return nil
}

// checkFresh verifies the fresh attestation: live when the caller has a nonce,
// otherwise only that it is of the same boot.
func checkFresh(o *Outer, e *Expect, v *Verified) error {
	if o.FreshAttestation == nil {
		if e.Nonce != nil {
			return refuse(ReasonFresh, "freshAttestation: is required with a nonce")
		}
		return nil
	}
	want := attestation.Expect{
		Kind: attestation.KindChallenge, ManifestHash: v.ManifestHash, PublicKey: v.Document.PublicKey,
	}
	var err error
	if e.Nonce != nil {
		v.Fresh, err = attestation.VerifyChallenge(*o.FreshAttestation, e.Trust, want, e.Nonce, e.Now)
		v.Live = err == nil
	} else {
		v.Fresh, err = attestation.VerifyArchived(o.FreshAttestation.Document, e.Trust, want)
	}
	if err != nil {
		return because(ReasonFresh, err)
	}
	if v.Fresh.Measurements() != v.Document.Measurements() {
		return refuse(ReasonFresh, "freshAttestation: must have the measurements of the boot's document")
	}
	return nil
}
