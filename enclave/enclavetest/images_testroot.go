//go:build testroot

package enclavetest

import (
	"crypto/x509"
	"testing"

	"github.com/sallyport/sallyport/attestation"
	"github.com/sallyport/sallyport/enclave/internal/platform"
	"github.com/sallyport/sallyport/enclave/internal/simulator"
)

// Images boots an enclave of an image, on a simulated module that counts as AWS's. Its
// documents are trusted for all the images that are given.
func Images(t testing.TB, options Options, manifest []byte, own attestation.Measurements, all ...attestation.Measurements) *Enclave {
	t.Helper()
	e := prepare(t, options)
	e.dress(own, all)
	e.Manifest = manifest
	e.newModule(t)
	e.Boot(t)
	t.Cleanup(func() { e.Stop() })
	return e
}

// BesideAs is Beside, for an enclave of another image.
func (e *Enclave) BesideAs(t testing.TB, manifest []byte, own attestation.Measurements, all ...attestation.Measurements) *Enclave {
	t.Helper()
	o := *e
	o.dress(own, all)
	o.Manifest = manifest
	o.newModule(t)
	o.Boot(t)
	t.Cleanup(func() { o.Stop() })
	return &o
}

func (e *Enclave) dress(own attestation.Measurements, all []attestation.Measurements) {
	e.assurance = platform.Nitro
	e.moduleOptions = []simulator.Option{simulator.WithMeasurements(own)}
	e.trust = func(s *simulator.Simulator) (attestation.Trust, error) {
		return attestation.TrustTest(s.Root(), all...), nil
	}
}

// Root is the certificate under which the simulated module attests.
func (e *Enclave) Root() *x509.Certificate { return e.module.Root() }
