package attestation

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"slices"
	"strings"

	"github.com/hf/nitrite"
)

// The assurance levels a [Trust] gives.
const (
	// AssuranceNitro: signed by AWS Nitro hardware.
	AssuranceNitro = "nitro"
	// AssuranceLocal: signed by a key on some machine. It proves nothing.
	AssuranceLocal = "local"
)

// awsRootSHA256 is the SHA-256 of the DER of the AWS Nitro Enclaves Root-G1
// certificate, as AWS publishes it.
const awsRootSHA256 = "641a0321a3e244efe456463195d606317ed7cdcc3c1756e09893f3c68f79bb5b"

// awsRootName is in the subject of the AWS root and of no other certificate
// that this package trusts.
const awsRootName = "aws.nitro-enclaves"

// Trust says which documents are believed: one root certificate together with
// the measurements accepted under it. It is made by [TrustAWS] or [TrustLocal],
// never by both; the zero value accepts nothing.
//
// A Trust remembers the certificate chains that it has verified, so callers
// that verify more than one document keep it. It is safe for concurrent use.
type Trust struct {
	*trust
}

type trust struct {
	assurance string
	root      *x509.Certificate
	roots     *x509.CertPool
	accepted  []Measurements
	chains    chainMemory
}

func newTrust(assurance string, root *x509.Certificate, accepted []Measurements) Trust {
	roots := x509.NewCertPool()
	roots.AddCert(root)
	return Trust{&trust{assurance: assurance, root: root, roots: roots, accepted: slices.Clone(accepted)}}
}

// TrustAWS believes documents under the AWS Nitro Enclaves root whose PCR0, 1
// and 2 are one of the accepted triples. Several triples serve a rolling
// upgrade. All-zero registers (debug mode) and the markers of the local
// platform are refused here, so that no configuration can accept them.
func TrustAWS(accepted ...Measurements) (Trust, error) {
	if len(accepted) == 0 {
		return Trust{}, refuse(ReasonUsage, "trusting AWS needs at least one accepted measurement")
	}
	for i, m := range accepted {
		if m.anyZero() {
			return Trust{}, refuse(ReasonDebugEnclave, "accepted measurement %d has an all-zero register, which is a debug-mode enclave", i)
		}
		if m.anyLocal() {
			return Trust{}, refuse(ReasonLocalDocument, "accepted measurement %d is the marker of the local platform, which protects nothing", i)
		}
	}
	root, err := awsRoot()
	if err != nil {
		return Trust{}, err
	}
	return newTrust(AssuranceNitro, root, accepted), nil
}

// TrustLocal believes documents of the local platform under its own root
// certificate. What it accepts proves nothing about where a program runs: it is
// for development, and cannot be combined with the AWS root. A certificate that
// is the AWS root, or that claims its name, is refused.
func TrustLocal(root *x509.Certificate) (Trust, error) {
	if root == nil {
		return Trust{}, refuse(ReasonUsage, "trusting the local platform needs its root certificate")
	}
	if fingerprint(root) == awsRootSHA256 {
		return Trust{}, refuse(ReasonUntrustedRoot, "the AWS root is not a local root: its documents are verified with accepted measurements")
	}
	if claimsAWS(root) {
		return Trust{}, refuse(ReasonUntrustedRoot, "the local root claims the name %s but is not that certificate", awsRootName)
	}
	if err := checkCA("local root", root); err != nil {
		return Trust{}, err
	}
	return newTrust(AssuranceLocal, root, []Measurements{LocalMeasurements()}), nil
}

// Assurance returns "nitro" or "local", and "" for the zero value.
func (t Trust) Assurance() string {
	if t.trust == nil {
		return ""
	}
	return t.assurance
}

// awsRoot returns the root that nitrite embeds, after checking it against the
// fingerprint that AWS publishes: a change of that dependency cannot move it.
func awsRoot() (*x509.Certificate, error) {
	block, _ := pem.Decode([]byte(nitrite.DefaultCARoots))
	if block == nil {
		return nil, refuse(ReasonUntrustedRoot, "internal error: no AWS root is embedded")
	}
	root, err := x509.ParseCertificate(block.Bytes)
	if err != nil || fingerprint(root) != awsRootSHA256 {
		return nil, refuse(ReasonUntrustedRoot, "internal error: the embedded AWS root is not Root-G1")
	}
	return root, nil
}

func fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:])
}

func claimsAWS(c *x509.Certificate) bool {
	return bytes.Contains(bytes.ToLower(c.RawSubject), []byte(awsRootName)) ||
		strings.Contains(strings.ToLower(c.Subject.String()), awsRootName) // in another string type
}
