package sharing

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/sallyport/sallyport/attestation"
	"github.com/sallyport/sallyport/attestation/proof"
)

// ParseOf reads a document that must be the one which a manifest names, and fit it.
func ParseOf(m *attestation.Manifest, raw []byte) (*Document, error) {
	if !bytes.Equal(attestation.Hash(raw), m.Root.Sharing) {
		return nil, errors.New("sharing: it is not the document that the manifest names")
	}
	d, err := Parse(raw)
	if err != nil {
		return nil, err
	}
	fits := bytes.Equal(d.Appliance, m.Appliance) && d.Set == m.Root.Set && d.Threshold == m.Root.Threshold &&
		len(d.Shares) == len(m.Root.Holders) && (d.KMS == nil) == (m.Root.KMS == nil)
	for _, h := range m.Root.Holders {
		fits = fits && d.Of(h.PublicKey) != nil
	}
	if !fits {
		return nil, errors.New("sharing: it is of another root than the manifest's")
	}
	return d, nil
}

// A Witness is what an enclave in a ceremony shows: a document over the verifier's
// nonce, and a proof by the key of its boot.
type Witness struct {
	Fresh *attestation.FreshAttestation
	Proof proof.AppProof
}

// Verify wants the enclave to run now, on an image of the manifest and under exactly
// this manifest, and the proof to be by the key of its boot. What the proof says is
// for the caller to read.
func (w Witness) Verify(trust attestation.Trust, manifest []byte, nonce []byte, now time.Time) error {
	m, err := attestation.ParseManifest(manifest)
	if err != nil {
		return err
	}
	if w.Fresh == nil {
		return errors.New("the enclave shows no fresh attestation")
	}
	key, err := hex.DecodeString(w.Proof.PublicKey)
	if err != nil {
		return errors.New("the enclave's proof has no key")
	}
	doc, err := attestation.VerifyChallenge(*w.Fresh, trust, attestation.Expect{
		Kind: attestation.KindChallenge, ManifestHash: attestation.Hash(manifest), PublicKey: key,
	}, nonce, now)
	if err != nil {
		return err
	}
	if !m.Accepts(doc.Measurements()) {
		return errors.New("the enclave runs an image that its manifest does not accept")
	}
	if err := w.Proof.Verify(); err != nil {
		return fmt.Errorf("the enclave's proof: %w", err)
	}
	return nil
}

// Receiver is Verify, and returns the root-receiving key that the proof names for this
// manifest: SEC 1 uncompressed P-256, 65 bytes.
func (w Witness) Receiver(trust attestation.Trust, manifest []byte, nonce []byte, now time.Time) ([]byte, error) {
	if err := w.Verify(trust, manifest, nonce, now); err != nil {
		return nil, err
	}
	s, err := proof.ParseRootReceiverStatement([]byte(w.Proof.ProofPayload))
	if err != nil {
		return nil, fmt.Errorf("the enclave's proof: %w", err)
	}
	if !bytes.Equal(s.Manifest[:], attestation.Hash(manifest)) {
		return nil, errors.New("the root-receiving key is for another manifest")
	}
	return s.PublicKey, nil
}
