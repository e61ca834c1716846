// Package attestationtest makes attestation documents for tests: genuine in
// form, under a root certificate of its own, and hostile in any way that a test
// asks for. Nothing but tests may import it; its documents prove nothing.
//
// It encodes by hand, and shares no code with the simulated module of the
// enclave nor with the verifier, so that a mistake in one shows in another.
package attestationtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"testing"
	"time"

	"github.com/sallyport/sallyport/attestation"
)

// PKI is a root, an intermediate and a leaf, all on P-384.
type PKI struct {
	// Root is what [attestation.TrustLocal] takes.
	Root *x509.Certificate
	// Now is when the PKI was made, in whole milliseconds. Documents have this
	// time unless they say otherwise; the leaf is valid from 3 seconds before
	// it for 3 hours.
	Now time.Time

	tb              testing.TB
	rootKey         *ecdsa.PrivateKey
	intermediate    *x509.Certificate
	intermediateKey *ecdsa.PrivateKey
	leaf            *x509.Certificate
	leafKey         *ecdsa.PrivateKey
}

// New makes a PKI whose root is called "sallyport test root".
func New(tb testing.TB) *PKI {
	return NewNamed(tb, pkix.Name{Organization: []string{"Sallyport"}, CommonName: "sallyport test root"})
}

// NewNamed makes a PKI whose root has a name, to imitate another root.
func NewNamed(tb testing.TB, name pkix.Name) *PKI {
	tb.Helper()
	p := &PKI{tb: tb, Now: time.Now().UTC().Truncate(time.Millisecond)}
	p.rootKey, p.intermediateKey, p.leafKey = NewKey(tb, elliptic.P384()), NewKey(tb, elliptic.P384()), NewKey(tb, elliptic.P384())
	root := p.caTemplate(name, 2)
	root.NotBefore, root.NotAfter = p.Now.AddDate(-1, 0, 0), p.Now.AddDate(29, 0, 0)
	p.Root = p.issue(root, root, &p.rootKey.PublicKey, p.rootKey)
	p.intermediate = p.issue(p.intermediateTemplate(), p.Root, &p.intermediateKey.PublicKey, p.rootKey)
	p.leaf = p.issue(p.leafTemplate(), p.intermediate, &p.leafKey.PublicKey, p.intermediateKey)
	return p
}

// Trust returns the trust in this PKI as the local platform's.
func (p *PKI) Trust() attestation.Trust {
	p.tb.Helper()
	t, err := attestation.TrustLocal(p.Root)
	if err != nil {
		p.tb.Fatalf("trusting the test root: %v", err)
	}
	return t
}

// NewKey makes an ECDSA key.
func NewKey(tb testing.TB, curve elliptic.Curve) *ecdsa.PrivateKey {
	tb.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		tb.Fatalf("making a key: %v", err)
	}
	return key
}

func (p *PKI) caTemplate(name pkix.Name, pathLen int) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               name,
		NotBefore:             p.Now.AddDate(0, 0, -1),
		NotAfter:              p.Now.AddDate(0, 0, 19),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLen:            pathLen,
		MaxPathLenZero:        pathLen == 0,
		SignatureAlgorithm:    x509.ECDSAWithSHA384,
	}
}

func (p *PKI) intermediateTemplate() *x509.Certificate {
	return p.caTemplate(pkix.Name{CommonName: "test.zonal.sallyport.invalid"}, 0)
}

func (p *PKI) leafTemplate() *x509.Certificate {
	return &x509.Certificate{
		SerialNumber:          big.NewInt(2),
		Subject:               pkix.Name{CommonName: ModuleID + ".test.sallyport.invalid"},
		NotBefore:             p.Now.Add(-3 * time.Second).Truncate(time.Second),
		NotAfter:              p.Now.Add(3 * time.Hour).Truncate(time.Second),
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment,
		BasicConstraintsValid: true,
		SignatureAlgorithm:    x509.ECDSAWithSHA384,
	}
}

func (p *PKI) issue(template, parent *x509.Certificate, public *ecdsa.PublicKey, signer *ecdsa.PrivateKey) *x509.Certificate {
	p.tb.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, signer)
	if err != nil {
		p.tb.Fatalf("issuing a certificate: %v", err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		p.tb.Fatalf("reading back a certificate: %v", err)
	}
	return c
}
