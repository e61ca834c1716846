package attestation_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"strings"
	"testing"

	"github.com/hf/nitrite"

	"github.com/sallyport/sallyport/attestation"
	at "github.com/sallyport/sallyport/attestation/attestationtest"
)

func image(b byte) attestation.Measurements {
	return attestation.Measurements{PCR0: [48]byte(filled(b)), PCR1: [48]byte(filled(b)), PCR2: [48]byte(filled(b))}
}

func TestTrustInAWSNeedsRealMeasurements(t *testing.T) {
	local := attestation.LocalMeasurements()
	mixed, zeroed := image(1), image(1)
	mixed.PCR1 = local.PCR1
	zeroed.PCR2 = [48]byte{}
	for _, c := range []struct {
		name     string
		accepted []attestation.Measurements
		reason   string
	}{
		{"none", nil, attestation.ReasonUsage},
		{"debug mode", []attestation.Measurements{{}}, attestation.ReasonDebugEnclave},
		{"debug mode as the second", []attestation.Measurements{image(1), {}}, attestation.ReasonDebugEnclave},
		{"one register zero", []attestation.Measurements{zeroed}, attestation.ReasonDebugEnclave},
		{"local markers", []attestation.Measurements{local}, attestation.ReasonLocalDocument},
		{"one local marker", []attestation.Measurements{image(1), mixed}, attestation.ReasonLocalDocument},
	} {
		t.Run(c.name, func(t *testing.T) {
			trust, err := attestation.TrustAWS(c.accepted...)
			wantReason(t, nil, err, c.reason)
			if trust != (attestation.Trust{}) {
				t.Error("got a trust beside the error")
			}
		})
	}
}

func TestTrustInALocalRootIsNotTrustInAWS(t *testing.T) {
	block, _ := pem.Decode([]byte(nitrite.DefaultCARoots))
	aws, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	named := func(cn string) *x509.Certificate { return at.NewNamed(t, pkix.Name{CommonName: cn}).Root }
	for _, c := range []struct {
		name   string
		root   *x509.Certificate
		reason string
	}{
		{"none", nil, attestation.ReasonUsage},
		{"the AWS root", aws, attestation.ReasonUntrustedRoot},
		{"the name of the AWS root", named("aws.nitro-enclaves"), attestation.ReasonUntrustedRoot},
		{"the name of an AWS intermediate", named("abc.us-east-1.aws.nitro-enclaves"), attestation.ReasonUntrustedRoot},
		{"the name in upper case", named("AWS.Nitro-Enclaves"), attestation.ReasonUntrustedRoot},
	} {
		t.Run(c.name, func(t *testing.T) {
			trust, err := attestation.TrustLocal(c.root)
			wantReason(t, nil, err, c.reason)
			if trust != (attestation.Trust{}) {
				t.Error("got a trust beside the error")
			}
		})
	}
}

func TestTrustNamesItsAssurance(t *testing.T) {
	if got := genuineTrust(t).Assurance(); got != "nitro" {
		t.Errorf("got %q", got)
	}
	if got := at.New(t).Trust().Assurance(); got != "local" {
		t.Errorf("got %q", got)
	}
	if got := (attestation.Trust{}).Assurance(); got != "" {
		t.Errorf("got %q", got)
	}
}

// SHA-384 of the marker text and one byte, by another tool.
const (
	localPCR0 = "55ad6a566b1674f776a223cf5e71d51f85ad12d23e4adea40091ef9da876ae50052575510f466ee91d5cc9edd03aa734"
	localPCR1 = "87f4509822d4a38d896360a4b9c8cbfc4bcd92a8f463fd8986f56a5492726d4d41317c73f0764c829db652feae295653"
	localPCR2 = "4e13cf1a5bf8dbbd8fd65d35451a92093fadce454d8c59249c8331e9805da089cd1cd4a0e82a28865c8c97d6a2eb50ac"
)

// The markers are in released images and clients: they can never change.
func TestLocalMeasurementsAreFixed(t *testing.T) {
	got, err := json.Marshal(attestation.LocalMeasurements())
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"pcr0":"` + localPCR0 + `","pcr1":"` + localPCR1 + `","pcr2":"` + localPCR2 + `"}`
	if string(got) != want {
		t.Errorf("got %s", got)
	}
	var back attestation.Measurements
	if err := json.Unmarshal(got, &back); err != nil || back != attestation.LocalMeasurements() {
		t.Errorf("read back %v, %v", back, err)
	}
}

func TestMeasurementsHaveOneSpelling(t *testing.T) {
	good := strings.Repeat("ab", 48)
	for name, text := range map[string]string{
		"upper case":        strings.Repeat("AB", 48),
		"too short":         good[:94],
		"too long":          good + "ab",
		"prefix":            "0x" + good[:94],
		"empty":             "",
		"not hex":           strings.Repeat("zz", 48),
		"trailing newline":  good[:95] + "\n",
		"letters of others": strings.Repeat("а", 48),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := attestation.ParseMeasurements(good, good, text)
			wantReason(t, nil, err, attestation.ReasonMeasurements)
			body, err := json.Marshal(map[string]string{"pcr0": good, "pcr1": text, "pcr2": good})
			if err != nil {
				t.Fatal(err)
			}
			var m attestation.Measurements
			if json.Unmarshal(body, &m) == nil {
				t.Error("read from JSON")
			}
		})
	}
}
