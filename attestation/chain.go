package attestation

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hf/nitrite"
)

// chain is the leaf certificate of a document with its CA bundle, root first,
// after the checks that need no signature.
type chain struct {
	leaf   *x509.Certificate
	bundle []*x509.Certificate
	id     [32]byte
}

// parseChain reads the certificates and checks their shape. It runs before
// nitrite, which panics on a leaf of another curve, and accepts a CA as leaf.
//
// Names are compared here and signatures in nitrite. Since every name in the
// bundle occurs once and each certificate is issued under the name of the one
// before it, the only path that a verifier can find from the leaf to the root
// is the bundle itself, in order.
func (t *trust) parseChain(p *payload) (*chain, error) {
	c := &chain{id: chainID(p)}
	for i, der := range p.CABundle {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, refuse(ReasonMalformed, "cabundle: certificate %d is not X.509", i)
		}
		c.bundle = append(c.bundle, cert)
	}
	leaf, err := x509.ParseCertificate(p.Certificate)
	if err != nil {
		return nil, refuse(ReasonMalformed, "certificate: is not X.509")
	}
	c.leaf = leaf
	if err := t.checkRoot(p, c.bundle[0]); err != nil {
		return nil, err
	}
	if err := c.checkOrder(); err != nil {
		return nil, err
	}
	for i, cert := range c.bundle {
		if err := checkCA(fmt.Sprintf("cabundle: certificate %d", i), cert); err != nil {
			return nil, err
		}
	}
	return c, checkLeaf(leaf)
}

// checkRoot demands that the bundle starts with the pinned root. The bundle's
// own root is never an anchor; this only makes a clear error of the difference.
func (t *trust) checkRoot(p *payload, first *x509.Certificate) error {
	if bytes.Equal(first.Raw, t.root.Raw) {
		return nil
	}
	if t.assurance == AssuranceNitro && p.measurements().anyLocal() {
		return refuse(ReasonLocalDocument,
			"this is a document of the local platform, which protects nothing: it cannot be verified under the AWS root")
	}
	return refuse(ReasonUntrustedRoot, "cabundle: does not start with the trusted root certificate")
}

func (c *chain) checkOrder() error {
	issuer := c.bundle[0].RawIssuer
	seen := make(map[string]bool, len(c.bundle))
	for i, cert := range c.bundle {
		if !bytes.Equal(cert.RawIssuer, issuer) {
			return refuse(ReasonCertificate, "cabundle: certificate %d was not issued by the one before it", i)
		}
		issuer = cert.RawSubject
		if seen[string(issuer)] {
			return refuse(ReasonCertificate, "cabundle: two certificates have the name of certificate %d", i)
		}
		seen[string(issuer)] = true
	}
	if !bytes.Equal(c.leaf.RawIssuer, issuer) {
		return refuse(ReasonCertificate, "certificate: was not issued by the last one of cabundle")
	}
	return nil
}

func checkCA(name string, c *x509.Certificate) error {
	if err := checkKey(name, c); err != nil {
		return err
	}
	if !c.BasicConstraintsValid || !c.IsCA {
		return refuse(ReasonCertificate, "%s: is not a CA", name)
	}
	if c.KeyUsage&x509.KeyUsageCertSign == 0 {
		return refuse(ReasonCertificate, "%s: its key usage does not allow signing certificates", name)
	}
	return nil
}

func checkLeaf(c *x509.Certificate) error {
	if err := checkKey("certificate", c); err != nil {
		return err
	}
	if c.IsCA {
		return refuse(ReasonCertificate, "certificate: is a CA")
	}
	if c.KeyUsage&x509.KeyUsageDigitalSignature == 0 || c.KeyUsage&x509.KeyUsageCertSign != 0 {
		return refuse(ReasonCertificate, "certificate: its key usage must allow signatures and not certificates")
	}
	return nil
}

func checkKey(name string, c *x509.Certificate) error {
	key, ok := c.PublicKey.(*ecdsa.PublicKey)
	if !ok || key.Curve != elliptic.P384() {
		return refuse(ReasonCertificate, "%s: its key must be on the curve P-384", name)
	}
	if c.SignatureAlgorithm != x509.ECDSAWithSHA384 {
		return refuse(ReasonCertificate, "%s: must be signed with ECDSA and SHA-384", name)
	}
	return nil
}

// verify has nitrite verify the chain at a time, and the signature.
func (t *trust) verify(cose []byte, c *chain, at time.Time) error {
	roots, known := t.chains.recall(c.id, at)
	if !known {
		roots = t.roots
	}
	err := callNitrite(cose, nitrite.VerifyOptions{Roots: roots, CurrentTime: at})
	if err != nil {
		return err
	}
	if !known {
		t.chains.remember(c)
	}
	return nil
}

// callNitrite verifies and turns a panic into a refusal.
func callNitrite(cose []byte, o nitrite.VerifyOptions) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = refuse(ReasonMalformed, "the document cannot be processed")
		}
	}()
	result, err := nitrite.Verify(cose, o)
	if err != nil {
		return nitriteError(err)
	}
	if result == nil || !result.SignatureOK {
		return refuse(ReasonSignature, "the document is not signed by its certificate")
	}
	return nil
}

func nitriteError(err error) error {
	var invalid x509.CertificateInvalidError
	var unknown x509.UnknownAuthorityError
	switch {
	case errors.Is(err, nitrite.ErrBadSignature):
		return refuse(ReasonSignature, "the document is not signed by its certificate")
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return refuse(ReasonExpired, "a certificate is expired or not yet valid: %s", invalid.Detail)
	case errors.As(err, &invalid):
		return refuse(ReasonCertificate, "the certificate chain breaks its own constraints")
	case errors.As(err, &unknown):
		return refuse(ReasonSignature, "the certificate chain is not signed up to the trusted root")
	}
	return refuse(ReasonMalformed, "the document was refused by the signature verifier")
}

// maxChains bounds the memory of a [Trust]. A module makes a new chain every
// three hours.
const maxChains = 64

// chainMemory holds the chains that nitrite has verified up to the root, by the
// hash of their exact bytes. A document under a known chain is verified with its
// leaf as the root: nitrite then checks one signature instead of six.
type chainMemory struct {
	mu     sync.Mutex
	chains map[[32]byte]knownChain // guarded by mu
}

type knownChain struct {
	leaf                *x509.CertPool
	notBefore, notAfter time.Time // when all of the chain is valid
}

// recall returns a pool of just the leaf, when its chain is known and all of it
// is valid at the time.
func (m *chainMemory) recall(id [32]byte, at time.Time) (*x509.CertPool, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	k, ok := m.chains[id]
	if !ok || at.Before(k.notBefore) || at.After(k.notAfter) {
		return nil, false
	}
	return k.leaf, true
}

func (m *chainMemory) remember(c *chain) {
	k := knownChain{leaf: x509.NewCertPool(), notBefore: c.leaf.NotBefore, notAfter: c.leaf.NotAfter}
	k.leaf.AddCert(c.leaf)
	for _, cert := range c.bundle {
		if cert.NotBefore.After(k.notBefore) {
			k.notBefore = cert.NotBefore
		}
		if cert.NotAfter.Before(k.notAfter) {
			k.notAfter = cert.NotAfter
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.chains == nil || len(m.chains) >= maxChains {
		m.chains = make(map[[32]byte]knownChain)
	}
	m.chains[c.id] = k
}

// chainID is the hash of the certificates, each behind its 4-byte length.
func chainID(p *payload) [32]byte {
	h := sha256.New()
	add := func(der []byte) {
		var length [4]byte
		binary.BigEndian.PutUint32(length[:], uint32(len(der)))
		h.Write(length[:])
		h.Write(der)
	}
	add(p.Certificate)
	for _, der := range p.CABundle {
		add(der)
	}
	return [32]byte(h.Sum(nil))
}
