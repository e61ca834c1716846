//go:build testroot

package attestation

import "crypto/x509"

// TrustTest believes documents under any root as those of AWS, with accepted
// measurements. It is compiled under a tag that only tests are built with.
func TrustTest(root *x509.Certificate, accepted ...Measurements) Trust {
	return newTrust(AssuranceNitro, root, accepted)
}
