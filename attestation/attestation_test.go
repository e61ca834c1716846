package attestation_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/sallyport/sallyport/attestation"
	"github.com/sallyport/sallyport/attestation/attestationtest"
)

// wantReason fails unless a verification was refused for a reason, without a
// document.
func wantReason(t *testing.T, d *attestation.Document, err error, reason string) {
	t.Helper()
	var refused *attestation.Error
	if !errors.As(err, &refused) {
		t.Fatalf("got error %v, want reason %q", err, reason)
	}
	if refused.Reason != reason {
		t.Errorf("got reason %q (%v), want %q", refused.Reason, err, reason)
	}
	if d != nil {
		t.Error("got a document beside the error")
	}
}

// scene is a PKI with the keys and manifest of one enclave.
type scene struct {
	*attestationtest.PKI
	trust    attestation.Trust
	keys     []byte
	manifest []byte
	nonce    []byte
}

func newScene(tb testing.TB) *scene {
	pki := attestationtest.New(tb)
	return &scene{
		PKI:      pki,
		trust:    pki.Trust(),
		keys:     pki.BootKeys(),
		manifest: attestationtest.ManifestHash("manifest"),
		nonce:    attestationtest.ManifestHash("nonce"),
	}
}

func (s *scene) boot() attestationtest.Payload { return attestationtest.Boot(s.keys, s.manifest) }

func (s *scene) challenge() attestationtest.Payload {
	return attestationtest.Challenge(s.keys, s.manifest, s.nonce)
}

func (s *scene) expect(k attestation.Kind) attestation.Expect {
	return attestation.Expect{Kind: k, ManifestHash: s.manifest, PublicKey: s.keys}
}

func (s *scene) archived(payload attestationtest.Payload, options ...attestationtest.Option) (*attestation.Document, error) {
	return attestation.VerifyArchived(s.Sign(payload, options...), s.trust, s.expect(attestation.KindBoot))
}

func TestBootDocumentIsVerifiedArchived(t *testing.T) {
	s := newScene(t)
	d, err := s.archived(s.boot())
	if err != nil {
		t.Fatal(err)
	}
	if !d.Timestamp.Equal(s.Now) || d.ModuleID != attestationtest.ModuleID || d.Assurance != attestation.AssuranceLocal {
		t.Errorf("got %v, %q, %q", d.Timestamp, d.ModuleID, d.Assurance)
	}
	if !bytes.Equal(d.PublicKey, s.keys) || !bytes.Equal(d.UserData, s.manifest) || d.Nonce != nil || len(d.PCRs) != 32 {
		t.Errorf("got public key %x, user data %x, nonce %x, %d registers", d.PublicKey, d.UserData, d.Nonce, len(d.PCRs))
	}
	if d.Measurements() != attestation.LocalMeasurements() {
		t.Error("the document has other measurements")
	}
	if !d.LeafNotAfter.Equal(s.Now.Add(3 * time.Hour).Truncate(time.Second)) {
		t.Errorf("got leaf until %v", d.LeafNotAfter)
	}
}

func TestChallengeDocumentIsVerifiedLive(t *testing.T) {
	s := newScene(t)
	doc := s.Sign(s.challenge())
	d, err := attestation.VerifyLive(doc, s.trust, s.expect(attestation.KindChallenge), s.nonce, s.Now)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(d.Nonce, s.nonce) {
		t.Errorf("got nonce %x", d.Nonce)
	}
}
