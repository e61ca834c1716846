package attestation_test

import (
	"crypto/elliptic"
	"crypto/x509"
	"crypto/x509/pkix"
	"slices"
	"testing"
	"time"

	"github.com/sallyport/sallyport/attestation"
	at "github.com/sallyport/sallyport/attestation/attestationtest"
)

// abuse is one hostile document with the reason for which it is refused. The
// names begin with the row of the abuse table that the case belongs to.
type abuse struct {
	name    string
	payload func(*scene) at.Payload // nil: the boot payload
	options []at.Option
	reason  string // "": accepted
}

func runAbuse(t *testing.T, cases []abuse) {
	t.Helper()
	s := newScene(t)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			payload := s.boot()
			if c.payload != nil {
				payload = c.payload(s)
			}
			d, err := s.archived(payload, c.options...)
			if c.reason == "" {
				if err != nil {
					t.Fatalf("refused: %v", err)
				}
				return
			}
			wantReason(t, d, err, c.reason)
		})
	}
}

func TestSelfMadeRootIsRefused(t *testing.T) {
	s := newScene(t)
	other := at.New(t) // the same names, other keys
	t.Run("E1 self-made root with the right names", func(t *testing.T) {
		doc := other.Sign(s.boot())
		d, err := attestation.VerifyArchived(doc, s.trust, s.expect(attestation.KindBoot))
		wantReason(t, d, err, attestation.ReasonUntrustedRoot)
	})
	t.Run("E1 pinned root put in front of another chain", func(t *testing.T) {
		doc := other.Sign(s.boot(), at.Bundle(func(b [][]byte) [][]byte { return [][]byte{s.Root.Raw, b[1]} }))
		d, err := attestation.VerifyArchived(doc, s.trust, s.expect(attestation.KindBoot))
		wantReason(t, d, err, attestation.ReasonSignature)
	})
	t.Run("E1 root with the name of the AWS root", func(t *testing.T) {
		aws := at.NewNamed(t, pkix.Name{
			Country: []string{"US"}, Organization: []string{"Amazon"}, OrganizationalUnit: []string{"AWS"}, CommonName: "aws.nitro-enclaves",
		})
		doc := aws.Sign(at.Payload{PCRs: map[int][]byte{0: filled(1), 1: filled(1), 2: filled(1)}})
		trust, err := attestation.TrustAWS(attestation.Measurements{
			PCR0: [48]byte(filled(1)), PCR1: [48]byte(filled(1)), PCR2: [48]byte(filled(1)),
		})
		if err != nil {
			t.Fatal(err)
		}
		d, err := attestation.VerifyArchived(doc, trust, attestation.Expect{})
		wantReason(t, d, err, attestation.ReasonUntrustedRoot)
	})
	t.Run("E1 bundle without its root", func(t *testing.T) {
		d, err := s.archived(s.boot(), at.Bundle(func(b [][]byte) [][]byte { return b[1:] }))
		wantReason(t, d, err, attestation.ReasonUntrustedRoot)
	})
}

func filled(b byte) []byte {
	out := make([]byte, attestation.PCRSize)
	for i := range out {
		out[i] = b
	}
	return out
}

func TestCertificateOutsideItsTimeIsRefused(t *testing.T) {
	hours := func(from, to int) func(*x509.Certificate) {
		now := time.Now()
		return func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = now.Add(time.Duration(from)*time.Hour), now.Add(time.Duration(to)*time.Hour)
		}
	}
	runAbuse(t, []abuse{
		{name: "E2 expired leaf", options: []at.Option{at.Leaf(hours(-4, -1))}, reason: attestation.ReasonExpired},
		{name: "E2 leaf not yet valid", options: []at.Option{at.Leaf(hours(1, 4))}, reason: attestation.ReasonExpired},
		{name: "E2 expired intermediate", options: []at.Option{at.Intermediate(hours(-48, -1))}, reason: attestation.ReasonExpired},
		{name: "E2 intermediate not yet valid", options: []at.Option{at.Intermediate(hours(1, 48))}, reason: attestation.ReasonExpired},
	})
}

func TestBundleMustBeTheChainInOrder(t *testing.T) {
	reverse := func(b [][]byte) [][]byte { b = slices.Clone(b); slices.Reverse(b); return b }
	runAbuse(t, []abuse{
		{name: "E2 reversed order", options: []at.Option{at.Bundle(reverse)}, reason: attestation.ReasonUntrustedRoot},
		{
			name:    "E2 missing intermediate",
			options: []at.Option{at.Bundle(func(b [][]byte) [][]byte { return b[:1] })}, reason: attestation.ReasonCertificate,
		},
		{
			name:    "E2 certificate twice",
			options: []at.Option{at.Bundle(func(b [][]byte) [][]byte { return [][]byte{b[0], b[1], b[1]} })}, reason: attestation.ReasonCertificate,
		},
		{
			name:    "E2 root twice",
			options: []at.Option{at.Bundle(func(b [][]byte) [][]byte { return [][]byte{b[0], b[0], b[1]} })}, reason: attestation.ReasonCertificate,
		},
		{
			name: "E2 more than ten certificates",
			options: []at.Option{at.Bundle(func(b [][]byte) [][]byte {
				return append(slices.Repeat([][]byte{b[0]}, 10), b[1])
			})},
			reason: attestation.ReasonMalformed,
		},
		{
			name: "E2 certificate of more than 1024 bytes",
			options: []at.Option{at.Leaf(func(c *x509.Certificate) {
				c.ExtraExtensions = []pkix.Extension{{Id: []int{1, 2, 3, 4}, Value: make([]byte, 1024)}}
			})},
			reason: attestation.ReasonMalformed,
		},
		{name: "E2 no bundle", options: []at.Option{at.Member("cabundle", at.Head(4, 0))}, reason: attestation.ReasonMalformed},
		{
			name:    "E2 empty certificate",
			options: []at.Option{at.Bundle(func(b [][]byte) [][]byte { return append(b, nil) })}, reason: attestation.ReasonMalformed,
		},
		{
			name: "E2 bytes after a certificate",
			options: []at.Option{at.Bundle(func(b [][]byte) [][]byte {
				return [][]byte{b[0], append(slices.Clone(b[1]), 0)}
			})},
			reason: attestation.ReasonMalformed,
		},
	})
}

func TestLeafOfAWrongShapeIsRefused(t *testing.T) {
	cut := at.Signature(func([]byte) []byte { return make([]byte, 96) })
	usage := func(u x509.KeyUsage) at.Option { return at.Leaf(func(c *x509.Certificate) { c.KeyUsage = u }) }
	runAbuse(t, []abuse{
		{name: "E3 leaf on P-521, which makes nitrite panic", options: []at.Option{at.LeafCurve(elliptic.P521()), cut}, reason: attestation.ReasonCertificate},
		{name: "E3 leaf on P-256", options: []at.Option{at.LeafCurve(elliptic.P256()), cut}, reason: attestation.ReasonCertificate},
		{name: "E3 leaf on P-224", options: []at.Option{at.LeafCurve(elliptic.P224()), cut}, reason: attestation.ReasonCertificate},
		{
			name:    "E3 leaf that is a CA",
			options: []at.Option{at.Leaf(func(c *x509.Certificate) { c.IsCA = true })}, reason: attestation.ReasonCertificate,
		},
		{name: "E3 leaf that may sign certificates", options: []at.Option{usage(x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign)}, reason: attestation.ReasonCertificate},
		{name: "E3 leaf that may not sign", options: []at.Option{usage(x509.KeyUsageKeyEncipherment)}, reason: attestation.ReasonCertificate},
		{name: "E3 leaf without key usage", options: []at.Option{usage(0)}, reason: attestation.ReasonCertificate},
		{
			name:    "E3 leaf signed with SHA-512",
			options: []at.Option{at.Leaf(func(c *x509.Certificate) { c.SignatureAlgorithm = x509.ECDSAWithSHA512 })}, reason: attestation.ReasonCertificate,
		},
		{
			name: "E3 critical extension that nobody knows",
			options: []at.Option{at.Leaf(func(c *x509.Certificate) {
				c.ExtraExtensions = []pkix.Extension{{Id: []int{1, 2, 3, 4}, Critical: true, Value: []byte{5, 0}}}
			})},
			reason: attestation.ReasonMalformed,
		},
	})
}

func TestIntermediateOfAWrongShapeIsRefused(t *testing.T) {
	edit := func(f func(*x509.Certificate)) []at.Option { return []at.Option{at.Intermediate(f)} }
	runAbuse(t, []abuse{
		{name: "E3 intermediate that is no CA", options: edit(func(c *x509.Certificate) {
			c.IsCA, c.MaxPathLen, c.MaxPathLenZero = false, 0, false
		}), reason: attestation.ReasonCertificate},
		{name: "E3 intermediate without basic constraints", options: edit(func(c *x509.Certificate) {
			c.BasicConstraintsValid, c.IsCA = false, false
		}), reason: attestation.ReasonCertificate},
		{name: "E3 intermediate that may not sign certificates", options: edit(func(c *x509.Certificate) {
			c.KeyUsage = x509.KeyUsageDigitalSignature
		}), reason: attestation.ReasonCertificate},
		{name: "E3 intermediate signed with SHA-256", options: edit(func(c *x509.Certificate) {
			c.SignatureAlgorithm = x509.ECDSAWithSHA256
		}), reason: attestation.ReasonCertificate},
	})
	t.Run("E3 leaf not signed by the bundle", func(t *testing.T) {
		s, other := newScene(t), at.New(t)
		// The intermediate has the right name and is signed by the right root,
		// but the leaf was signed by the intermediate of another PKI.
		var real [][]byte
		s.Sign(s.boot(), at.Bundle(func(b [][]byte) [][]byte { real = b; return b }))
		doc := other.Sign(s.boot(), at.Bundle(func([][]byte) [][]byte { return real }))
		d, err := attestation.VerifyArchived(doc, s.trust, s.expect(attestation.KindBoot))
		wantReason(t, d, err, attestation.ReasonSignature)
	})
	t.Run("E3 path longer than the root allows", func(t *testing.T) {
		s := newScene(t)
		doc, trust := s.LongChain(s.boot())
		d, err := attestation.VerifyArchived(doc, trust, s.expect(attestation.KindBoot))
		wantReason(t, d, err, attestation.ReasonCertificate)
	})
}

// A chain that was verified once is remembered, and none of its limits may be
// forgotten by that.
func TestRememberedChainStillBindsTimeAndSignature(t *testing.T) {
	s := newScene(t)
	s.PKI = s.Recertified(at.Intermediate(func(c *x509.Certificate) { c.NotAfter = s.Now.Add(time.Hour) }))
	warm := s.Sign(s.boot())
	if _, err := attestation.VerifyArchived(warm, s.trust, s.expect(attestation.KindBoot)); err != nil {
		t.Fatal(err)
	}
	t.Run("another signature", func(t *testing.T) {
		doc := slices.Clone(warm)
		doc[len(doc)-1] ^= 1
		d, err := attestation.VerifyArchived(doc, s.trust, s.expect(attestation.KindBoot))
		wantReason(t, d, err, attestation.ReasonSignature)
	})
	for name, offset := range map[string]time.Duration{
		"after the intermediate expired":   2 * time.Hour,
		"before the leaf became valid":     -time.Minute,
		"after the leaf expired":           4 * time.Hour,
		"before the intermediate was made": -48 * time.Hour,
	} {
		t.Run(name, func(t *testing.T) {
			payload := s.boot()
			payload.Timestamp = s.Now.Add(offset)
			d, err := s.archived(payload)
			wantReason(t, d, err, attestation.ReasonExpired)
		})
	}
	t.Run("under another trust", func(t *testing.T) {
		other := newScene(t)
		d, err := attestation.VerifyArchived(warm, other.trust, s.expect(attestation.KindBoot))
		wantReason(t, d, err, attestation.ReasonUntrustedRoot)
	})
	if _, err := attestation.VerifyArchived(warm, s.trust, s.expect(attestation.KindBoot)); err != nil {
		t.Errorf("the good document after the bad ones: %v", err)
	}
}
