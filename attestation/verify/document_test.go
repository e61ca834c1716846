package main

import (
	"encoding/base64"
	"encoding/pem"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/attestation"
	"github.com/sallyport/sallyport/attestation/attestationtest"
	"github.com/sallyport/sallyport/attestation/strictjson"
)

// enclave is a desk with a local root and a manifest of its own.
func enclave(t *testing.T) (d *desk, pki *attestationtest.PKI, hash, keys []byte) {
	t.Helper()
	d, pki = newDesk(t), attestationtest.New(t)
	d.now = pki.Now
	d.file("root.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pki.Root.Raw})))
	manifest, err := os.ReadFile(d.manifest())
	if err != nil {
		t.Fatal(err)
	}
	return d, pki, attestation.Hash(manifest), pki.BootKeys()
}

func TestBootDocumentIsReported(t *testing.T) {
	d, pki, hash, keys := enclave(t)
	doc := pki.Sign(attestationtest.Boot(keys, hash))
	for name, contents := range map[string]string{
		"raw":             string(doc),
		"tagged":          "\xd2" + string(doc),
		"base64":          base64.StdEncoding.EncodeToString(doc),
		"base64 in lines": wrap(base64.StdEncoding.EncodeToString(doc)),
	} {
		t.Run(name, func(t *testing.T) {
			d.in = contents
			status, out, errs := d.run("document", "-", "--kind", "boot", "--local-root", "root.pem", "--manifest", "manifest.json")
			if status != exitVerified {
				t.Fatalf("status %d: %s", status, errs)
			}
			wants(t, out, "VERIFIED document, assurance LOCAL", "this protects nothing", "it has the form of a boot document",
				"user data      "+strictjson.Hex(hash).String(), "that the enclave runs now")
		})
	}
}

func wrap(s string) string {
	var b strings.Builder
	for ; len(s) > 76; s = s[76:] {
		b.WriteString(s[:76] + "\n")
	}
	return b.String() + s + "\n"
}

func TestChallengeIsCheckedAgainstTheNonce(t *testing.T) {
	d, pki, hash, keys := enclave(t)
	nonce := []byte("0123456789abcdef")
	root, paths := attestation.ChallengeTree([][]byte{[]byte("another client's"), nonce})
	fresh, err := strictjson.Marshal(attestation.FreshAttestation{
		Document: pki.Sign(attestationtest.Challenge(keys, hash, root)), Path: paths[1],
	})
	if err != nil {
		t.Fatal(err)
	}
	alone, _ := attestation.ChallengeTree([][]byte{nonce})
	d.file("fresh.json", string(fresh))
	d.file("alone.bin", string(pki.Sign(attestationtest.Challenge(keys, hash, alone))))
	d.file("exact.bin", string(pki.Sign(attestationtest.Challenge(keys, hash, hash))))
	flags := []string{"--kind", "challenge", "--local-root", "root.pem", "--manifest", "manifest.json", "document"}
	for file, n := range map[string][]byte{"fresh.json": nonce, "alone.bin": nonce, "exact.bin": hash} {
		status, out, errs := d.run(append(flags, file, "--nonce", strictjson.Hex(n).String())...)
		if status != exitVerified || !strings.Contains(out, "just now") {
			t.Errorf("%s: status %d: %s", file, status, errs)
		}
		status, _, errs = d.run(append(flags, file, "--nonce", strings.Repeat("00", 32))...)
		if status != exitRefused || !strings.HasPrefix(errs, "REFUSED (nonce): ") {
			t.Errorf("%s with another nonce: status %d: %s", file, status, errs)
		}
		status, out, errs = d.run(append(flags, file)...)
		if status != exitVerified || !strings.Contains(out, "that the enclave runs now") {
			t.Errorf("%s without nonce: status %d: %s", file, status, errs)
		}
	}
	d.now = d.now.Add(10 * time.Minute)
	status, _, errs := d.run(append(flags, "fresh.json", "--nonce", strictjson.Hex(nonce).String())...)
	if status != exitRefused || !strings.HasPrefix(errs, "REFUSED (stale): ") {
		t.Errorf("ten minutes later: status %d: %s", status, errs)
	}
}

func TestDocumentsAreRefusedByName(t *testing.T) {
	d, pki, hash, keys := enclave(t)
	debug := attestationtest.Boot(keys, hash)
	for i := range 3 {
		debug.PCRs[i] = make([]byte, attestation.PCRSize)
	}
	d.file("boot.bin", string(pki.Sign(attestationtest.Boot(keys, hash))))
	d.file("debug.bin", string(pki.Sign(debug)))
	d.file("other.bin", string(pki.Sign(attestationtest.Boot(keys, make([]byte, 32)))))
	d.file("foreign.bin", string(attestationtest.New(t).Sign(attestationtest.Boot(keys, hash))))
	d.file("empty.bin", "")
	d.file("text.bin", "no document at all")
	d.file("broken.json", `{"document":"AA=="}`)
	for _, tt := range []struct{ file, kind, reason string }{
		{"debug.bin", "boot", "debug_enclave"},
		{"debug.bin", "any", "debug_enclave"},
		{"other.bin", "boot", "manifest"},
		{"foreign.bin", "boot", "untrusted_root"},
		{"boot.bin", "challenge", "kind"},
		{"empty.bin", "any", "malformed"},
		{"text.bin", "any", "malformed"},
		{"broken.json", "any", "malformed"},
	} {
		status, out, errs := d.run("document", tt.file, "--kind", tt.kind, "--local-root", "root.pem", "--manifest", "manifest.json")
		if status != exitRefused || out != "" || !strings.HasPrefix(errs, "REFUSED ("+tt.reason+"): ") {
			t.Errorf("%s as %s: status %d, %s%s; want %s", tt.file, tt.kind, status, out, errs, tt.reason)
		}
	}
}

// genuineMeasurements is the image of testdata/genuine.b64, a document that AWS
// hardware signed in 2025: tkhq/go-sdk pkg/proofs/proofs_test.go (Apache-2.0).
const genuineMeasurements = `[{
"pcr0":"f67076a8f9796b90d7f0eb148ec6926f66fe04c80861151916961f7dec715b3c8a36e5908e9551c20048719da134b207",
"pcr1":"f67076a8f9796b90d7f0eb148ec6926f66fe04c80861151916961f7dec715b3c8a36e5908e9551c20048719da134b207",
"pcr2":"21b9efbc184807662e966d34f390821309eeac6802309798826296bf3e8bec7c10edb30948c90ba67310f7b964fc500a"}]`

func TestGenuineDocumentHasNoWarning(t *testing.T) {
	d := newDesk(t)
	d.file("measurements.json", genuineMeasurements)
	status, out, errs := d.run("document", "testdata/genuine.b64", "--kind", "any", "--measurements", "measurements.json")
	if status != exitVerified {
		t.Fatalf("status %d: %s", status, errs)
	}
	wants(t, out, "VERIFIED document, assurance NITRO\n", "time           2025-", "what its keys and data are for is unknown")
	if strings.Contains(out, "WARNING") {
		t.Errorf("a warning for hardware:\n%s", out)
	}
	d.file("measurements.json", strings.ReplaceAll(genuineMeasurements, "f6", "f7"))
	if status, _, errs = d.run("document", "testdata/genuine.b64", "--kind", "any", "--measurements", "measurements.json"); status != exitRefused ||
		!strings.HasPrefix(errs, "REFUSED (measurements): ") {
		t.Errorf("another image: status %d: %s", status, errs)
	}
	if status, _, errs = d.run("document", "testdata/genuine.b64", "--kind", "any", "--local-root", "root.pem"); status != exitRefused ||
		!strings.HasPrefix(errs, "REFUSED (untrusted_root): ") {
		t.Errorf("local root: status %d: %s", status, errs)
	}
}

// TestLocalNeverPassesForHardware gives what a local platform made to a caller
// who trusts AWS, and tries to have its measurements, or none, accepted.
func TestLocalNeverPassesForHardware(t *testing.T) {
	d, pki, hash, keys := enclave(t)
	d.file("boot.bin", string(pki.Sign(attestationtest.Boot(keys, hash))))
	d.file("genuine.json", genuineMeasurements)
	local, err := strictjson.Marshal([]attestation.Measurements{attestation.LocalMeasurements()})
	if err != nil {
		t.Fatal(err)
	}
	d.file("local.json", string(local))
	zero := `"` + strings.Repeat("00", 48) + `"`
	d.file("zero.json", `[{"pcr0":`+zero+`,"pcr1":`+zero+`,"pcr2":`+zero+`}]`)
	d.file("none.json", `[]`)
	for file, reason := range map[string]string{
		"genuine.json": "REFUSED (local_document): ", "local.json": "REFUSED (local_document): ", "zero.json": "REFUSED (debug_enclave): ",
	} {
		status, out, errs := d.run("document", "boot.bin", "--kind", "boot", "--manifest", "manifest.json", "--measurements", file)
		if status != exitRefused || out != "" || !strings.HasPrefix(errs, reason) {
			t.Errorf("%s: status %d, %s%s; want %s", file, status, out, errs, reason)
		}
	}
	if status, _, errs := d.run("document", "boot.bin", "--kind", "any", "--measurements", "none.json"); status != exitUsage {
		t.Errorf("no measurements: status %d: %s", status, errs)
	}
	status, _, errs := d.run("bundle", "bundle.json", "--quorum-key", d.v.QuorumPublicKey.String(),
		"--organization", d.v.OrganizationID, "--measurements", "genuine.json")
	if status != exitRefused || !strings.Contains(errs, "local platform, which protects nothing") {
		t.Errorf("local bundle: status %d: %s", status, errs)
	}
}
