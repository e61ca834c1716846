package attestation_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/attestation"
)

// generator is the base point of P-256, SEC 1 uncompressed.
const generator = "046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296" +
	"4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"

func localTriple() string {
	return `{"pcr0":"` + localPCR0 + `","pcr1":"` + localPCR1 + `","pcr2":"` + localPCR2 + `"}`
}

const flagsJSON = `{"unsigned":true,"openOrganizations":true,"singleCustodian":false,"plaintextExport":false}`

// genesisJSON and operatingJSON are manifests in their canonical bytes.
func genesisJSON() string {
	return `{"format":"sallyport-manifest-v1","name":"demo","version":0,"epoch":0,"assurance":"local","measurements":[` + localTriple() +
		`],"flags":` + flagsJSON + `,"operators":[],"witnesses":[],"peers":[],"appliance":"","quorumPublicKey":"","checkpointPublicKey":"","genesis":""}`
}

func operatingJSON() string {
	image := strings.Repeat("ab", 48)
	return `{"format":"sallyport-manifest-v1","name":"vault <1> & \"2\"","version":1,"epoch":2,"assurance":"nitro","measurements":[{"pcr0":"` + image +
		`","pcr1":"` + image + `","pcr2":"` + image + `"}],"flags":` + flagsJSON + `,"operators":[],"witnesses":[],"peers":[],"appliance":"` +
		strings.Repeat("01", 16) + `","quorumPublicKey":"` + generator + `","checkpointPublicKey":"` + generator + `","genesis":"` + strings.Repeat("02", 32) + `"}`
}

func TestManifestIsReadAndWrittenIdentically(t *testing.T) {
	point, err := hex.DecodeString(generator)
	if err != nil {
		t.Fatal(err)
	}
	flags := attestation.Flags{Unsigned: true, OpenOrganizations: true}
	for _, c := range []struct {
		text string
		want attestation.Manifest
	}{
		{genesisJSON(), attestation.Manifest{
			Name: "demo", Assurance: "local", Measurements: []attestation.Measurements{attestation.LocalMeasurements()}, Flags: flags,
		}},
		{operatingJSON(), attestation.Manifest{
			Name: `vault <1> & "2"`, Version: 1, Epoch: 2, Assurance: "nitro", Measurements: []attestation.Measurements{image(0xab)}, Flags: flags,
			Appliance: bytes.Repeat([]byte{1}, 16), QuorumPublicKey: point, CheckpointPublicKey: point, Genesis: bytes.Repeat([]byte{2}, 32),
		}},
	} {
		got, err := attestation.ParseManifest([]byte(c.text))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, *got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if string(got.Encode()) != c.text {
			t.Errorf("encoded as %s", got.Encode())
		}
		if err := got.Check(); err != nil {
			t.Error(err)
		}
	}
}

func TestManifestHashIsSHA256(t *testing.T) {
	want := sha256.Sum256([]byte("x"))
	if got := attestation.Hash([]byte("x")); !bytes.Equal(got, want[:]) {
		t.Errorf("got %x", got)
	}
}

func TestManifestAcceptsItsImagesOnly(t *testing.T) {
	m, err := attestation.ParseManifest([]byte(operatingJSON()))
	if err != nil {
		t.Fatal(err)
	}
	if !m.Accepts(image(0xab)) || m.Accepts(image(0xac)) || m.Accepts(attestation.Measurements{}) {
		t.Error("the manifest accepts the wrong images")
	}
}

func TestManifestOutsideTheFormatIsRefused(t *testing.T) {
	image := strings.Repeat("ab", 48)
	for _, c := range []struct{ name, base, old, new, rule string }{
		{"space", genesisJSON(), `"name":"demo"`, `"name": "demo"`, "canonical"},
		{"trailing newline", genesisJSON(), `"genesis":""}`, `"genesis":""}` + "\n", "canonical"},
		{"other order", genesisJSON(), `"version":0,"epoch":0`, `"epoch":0,"version":0`, "canonical"},
		{"escaped letter", genesisJSON(), `demo`, `d\u0065mo`, "canonical"},
		{"null list", genesisJSON(), `"peers":[]`, `"peers":null`, "peers"},
		{"unknown member", genesisJSON(), `"peers":[]`, `"peers":[],"more":1`, "more"},
		{"member twice", genesisJSON(), `"epoch":0`, `"epoch":0,"epoch":0`, "epoch"},
		{"other format", genesisJSON(), `manifest-v1`, `manifest-v2`, "format"},
		{"empty name", genesisJSON(), `"demo"`, `""`, "name"},
		{"long name", genesisJSON(), `"demo"`, `"` + strings.Repeat("n", 65) + `"`, "name"},
		{"name not ASCII", genesisJSON(), `"demo"`, `"démo"`, "name"},
		{"name with a control character", genesisJSON(), `"demo"`, `"de\nmo"`, "name"},
		{"negative version", genesisJSON(), `"version":0`, `"version":-1`, "version"},
		{"negative epoch", genesisJSON(), `"epoch":0`, `"epoch":-1`, "epoch"},
		{"version 0.5", genesisJSON(), `"version":0`, `"version":0.5`, "version"},
		{"other assurance", genesisJSON(), `"local"`, `"none"`, "assurance"},
		{"local with another image", genesisJSON(), localPCR0, image, "measurements"},
		{"local with two images", genesisJSON(), localTriple(), localTriple() + "," + localTriple(), "measurements"},
		{"nitro with local markers", genesisJSON(), `"assurance":"local"`, `"assurance":"nitro"`, "measurements"},
		{"local with a real image", operatingJSON(), `"assurance":"nitro"`, `"assurance":"local"`, "measurements"},
		{"no image", genesisJSON(), localTriple(), ``, "measurements"},
		{"all-zero register", operatingJSON(), `"pcr1":"` + image, `"pcr1":"` + strings.Repeat("00", 48), "measurements[0]"},
		{"register in upper case", operatingJSON(), `"pcr1":"` + image, `"pcr1":"` + strings.ToUpper(image), "measurements[0].pcr1"},
		{"register missing", operatingJSON(), `"pcr1":"` + image + `",`, ``, "pcr1"},
		{"signed without operators", genesisJSON(), `"unsigned":true`, `"unsigned":false`, "unsigned"},
		{"flag missing", genesisJSON(), `"unsigned":true,`, ``, "unsigned"},
		{"operator", genesisJSON(), `"operators":[]`, `"operators":[{}]`, "operators"},
		{"witness", genesisJSON(), `"witnesses":[]`, `"witnesses":[{}]`, "witnesses"},
		{"peer", genesisJSON(), `"peers":[]`, `"peers":[{}]`, "peers"},
		{"operator with a member", genesisJSON(), `"operators":[]`, `"operators":[{"key":""}]`, "operators"},
		{"genesis with an appliance", genesisJSON(), `"appliance":""`, `"appliance":"` + strings.Repeat("01", 16) + `"`, "appliance"},
		{"genesis with a quorum key", genesisJSON(), `"quorumPublicKey":""`, `"quorumPublicKey":"` + generator + `"`, "quorumPublicKey"},
		{"operating without an appliance", operatingJSON(), strings.Repeat("01", 16), ``, "appliance"},
		{"operating without a genesis", operatingJSON(), strings.Repeat("02", 32), ``, "genesis"},
		{"operating without a quorum key", operatingJSON(), `"quorumPublicKey":"` + generator, `"quorumPublicKey":"`, "quorumPublicKey"},
		{"short appliance", operatingJSON(), strings.Repeat("01", 16), strings.Repeat("01", 15), "appliance"},
		{"checkpoint key off the curve", operatingJSON(), `"checkpointPublicKey":"` + generator, `"checkpointPublicKey":"` + generator[:129] + "6", "checkpointPublicKey"},
		{"compressed quorum key", operatingJSON(), `"quorumPublicKey":"04`, `"quorumPublicKey":"02`, "quorumPublicKey"},
		{"too long", genesisJSON(), `"demo"`, `"` + strings.Repeat("n", 50000) + `"`, "49152"},
		{"no JSON", genesisJSON(), genesisJSON(), `sallyport`, "manifest"},
		{"empty", genesisJSON(), genesisJSON(), ``, "manifest"},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := strings.Replace(c.base, c.old, c.new, 1)
			if text == c.base {
				t.Fatal("the case changes nothing")
			}
			m, err := attestation.ParseManifest([]byte(text))
			wantReason(t, nil, err, attestation.ReasonManifest)
			if m != nil {
				t.Error("got a manifest beside the error")
			}
			if !strings.Contains(err.Error(), c.rule) {
				t.Errorf("the error %q does not name %q", err, c.rule)
			}
		})
	}
}
