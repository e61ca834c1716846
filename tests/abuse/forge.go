package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/sallyport/sallyport/attestation"
	at "github.com/sallyport/sallyport/attestation/attestationtest"
)

// quietTB lets the maker of documents, which is for tests, report to a row.
type quietTB struct{ testing.TB }

func (quietTB) Helper()                        {}
func (quietTB) Fatalf(format string, a ...any) { panic(fmt.Sprintf(format, a...)) }

// newSigner makes a P-256 key and its public key of 65 bytes.
func newSigner() (*ecdsa.PrivateKey, []byte) {
	key := at.NewKey(quietTB{}, elliptic.P256())
	public, err := key.PublicKey.Bytes()
	if err != nil {
		panic(err.Error())
	}
	return key, public
}

// forge is a root that verifiers are told to trust, and what its documents say.
type forge struct {
	pki      *at.PKI
	keys     []byte
	manifest []byte
	rootFile string
}

var theForge *forge

// forge makes the root once.
func (w *world) forge() *forge {
	if theForge != nil {
		return theForge
	}
	pki := at.New(quietTB{})
	f := &forge{pki: pki, keys: pki.BootKeys(), manifest: w.manifest, rootFile: filepath.Join(w.dir, "forged-root.pem")}
	if err := writePEM(f.rootFile, pki.Root); err != nil {
		panic(err.Error())
	}
	theForge = f
	return f
}

func writePEM(path string, c *x509.Certificate) error {
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}), 0o600)
}

func (f *forge) boot() at.Payload { return at.Boot(f.keys, attestation.Hash(f.manifest)) }

func (f *forge) challenge(root []byte) at.Payload {
	return at.Challenge(f.keys, attestation.Hash(f.manifest), root)
}

// archived verifies a boot document under the forge's root.
func (w *world) archived(doc []byte) (*verdict, error) {
	f := w.forge()
	return w.verify("document", doc, "--kind", "boot", "--local-root", f.rootFile, "--manifest", w.manifestFile())
}

// challenged verifies a challenge document for a nonce.
func (w *world) challenged(doc, nonce []byte) (*verdict, error) {
	f := w.forge()
	return w.verify("document", doc, "--kind", "challenge", "--nonce", hex.EncodeToString(nonce),
		"--local-root", f.rootFile, "--manifest", w.manifestFile())
}

// Reasons that a refusal may have.
var (
	certificate = []string{attestation.ReasonCertificate, attestation.ReasonExpired, attestation.ReasonSignature}
	malformed   = []string{attestation.ReasonMalformed}
	kind        = []string{attestation.ReasonKind, attestation.ReasonMalformed}
	measured    = []string{attestation.ReasonMeasurements, attestation.ReasonMalformed}
)

// document is a row with one forged boot document.
func document(reasons []string, options ...at.Option) func(*world) (string, error) {
	return func(w *world) (string, error) { return w.forged(reasons, func(*at.Payload) {}, options...) }
}

func (w *world) forged(reasons []string, change func(*at.Payload), options ...at.Option) (string, error) {
	f := w.forge()
	p := f.boot()
	change(&p)
	v, err := w.archived(f.pki.Sign(p, options...))
	if err != nil {
		return "", err
	}
	return v.refusedBy(reasons...)
}
