package simulator

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"time"
)

const (
	leafLife         = 3 * time.Hour
	renewBefore      = 15 * time.Minute
	intermediateLife = 20 * 24 * time.Hour
	rootLife         = 30 * 365 * 24 * time.Hour
	backdate         = 3 * time.Second // hardware's leaf is that much older than its document
)

// RootName is the common name of every local root.
const RootName = "sallyport local root, protects nothing"

// chain is what signs documents for three hours.
type chain struct {
	key       *ecdsa.PrivateKey
	leaf      []byte   // DER
	bundle    [][]byte // DER, root first
	notBefore time.Time
	useUntil  time.Time
}

// currentChain returns the chain in use, and makes a new one 15 minutes before
// the leaf expires, or when the clock was set back behind it.
func (s *Simulator) currentChain(now time.Time) (*chain, error) {
	if s.chain != nil && now.Before(s.chain.useUntil) && !now.Before(s.chain.notBefore) {
		return s.chain, nil
	}
	c, err := s.newChain(now)
	if err != nil {
		return nil, fmt.Errorf("simulator: making a certificate chain: %w", err)
	}
	s.chain = c
	return c, nil
}

func (s *Simulator) newChain(now time.Time) (*chain, error) {
	intermediateKey, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := caTemplate("sallyport local intermediate, protects nothing", now.Add(-24*time.Hour), intermediateLife)
	template.MaxPathLenZero = true
	intermediate, err := issue(template, s.root, &intermediateKey.PublicKey, s.rootKey)
	if err != nil {
		return nil, err
	}
	c := &chain{notBefore: now.Add(-backdate).Truncate(time.Second), useUntil: now.Add(leafLife - renewBefore)}
	if c.key, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader); err != nil {
		return nil, err
	}
	notAfter := now.Add(leafLife)
	if s.leafLife != 0 {
		notAfter = now.Add(s.leafLife)
		c.useUntil = notAfter
	}
	leaf, err := issue(&x509.Certificate{
		Subject:               pkix.Name{CommonName: s.moduleID + ".local"},
		NotBefore:             c.notBefore,
		NotAfter:              notAfter,
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment,
		BasicConstraintsValid: true,
	}, intermediate, &c.key.PublicKey, intermediateKey)
	if err != nil {
		return nil, err
	}
	c.leaf, c.bundle = leaf.Raw, [][]byte{s.root.Raw, intermediate.Raw}
	return c, nil
}

func newRootKey() (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("simulator: making the root key: %w", err)
	}
	return key, nil
}

func newRoot(key *ecdsa.PrivateKey, now time.Time) (*x509.Certificate, error) {
	template := caTemplate(RootName, now.Add(-48*time.Hour), rootLife)
	template.MaxPathLen = 1
	root, err := issue(template, template, &key.PublicKey, key)
	if err != nil {
		return nil, fmt.Errorf("simulator: making the root certificate: %w", err)
	}
	return root, nil
}

func caTemplate(name string, notBefore time.Time, life time.Duration) *x509.Certificate {
	return &x509.Certificate{
		Subject:               pkix.Name{Organization: []string{"Sallyport"}, CommonName: name},
		NotBefore:             notBefore,
		NotAfter:              notBefore.Add(life),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
}

// issue signs a certificate with a random 127-bit serial number.
func issue(template, parent *x509.Certificate, public *ecdsa.PublicKey, signer *ecdsa.PrivateKey) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	template.SerialNumber = serial.Add(serial, big.NewInt(1))
	template.SignatureAlgorithm = x509.ECDSAWithSHA384
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, signer)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}
