package attestation

// What the tests in package attestation_test need of the inside.

import (
	"crypto/x509"
	"time"

	"github.com/hf/nitrite"
)

// CallNitrite is the call into nitrite alone, without the checks that
// come before it.
func CallNitrite(doc []byte) error {
	return callNitrite(doc, nitrite.VerifyOptions{Roots: x509.NewCertPool(), CurrentTime: time.Now()})
}

// WellFormed is the walk over raw CBOR.
var WellFormed = wellFormed

// TrustAsAWS believes another root as if it were that of AWS.
func TrustAsAWS(root *x509.Certificate, accepted ...Measurements) Trust {
	return newTrust(AssuranceNitro, root, accepted)
}
