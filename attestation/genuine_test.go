package attestation_test

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/sallyport/sallyport/attestation"
)

// genuineDocuments reads two documents that AWS hardware signed in 2025. They
// stand in a test of a public module, at a fixed version whose bytes the
// checksum database vouches for, and are read from the module cache.
func genuineDocuments(tb testing.TB) [][]byte {
	tb.Helper()
	const module = "github.com/tkhq/go-sdk@v0.17.0"
	out, err := exec.Command("go", "mod", "download", "-json", module).Output()
	if err != nil {
		tb.Fatalf("genuine documents: go mod download %s: %v (needs the module cache or a module proxy)", module, err)
	}
	var found struct{ Dir string }
	if err := json.Unmarshal(out, &found); err != nil {
		tb.Fatal(err)
	}
	source, err := os.ReadFile(filepath.Join(found.Dir, "pkg", "proofs", "proofs_test.go"))
	if err != nil {
		tb.Fatal(err)
	}
	var docs [][]byte
	for _, match := range regexp.MustCompile(`AwsAttestationDocB64: ptr\("([A-Za-z0-9+/=]+)"\)`).FindAllSubmatch(source, -1) {
		doc, err := base64.StdEncoding.DecodeString(string(match[1]))
		if err != nil {
			tb.Fatal(err)
		}
		docs = append(docs, doc)
	}
	if len(docs) != 2 {
		tb.Fatalf("genuine documents: found %d, want 2", len(docs))
	}
	return docs
}

// genuineTrust accepts the image of the genuine documents.
func genuineTrust(tb testing.TB) attestation.Trust {
	tb.Helper()
	const image = "f67076a8f9796b90d7f0eb148ec6926f66fe04c80861151916961f7dec715b3c8a36e5908e9551c20048719da134b207"
	// PCR2 of an image with one ramdisk is a constant: nothing was hashed.
	const nothing = "21b9efbc184807662e966d34f390821309eeac6802309798826296bf3e8bec7c10edb30948c90ba67310f7b964fc500a"
	measured, err := attestation.ParseMeasurements(image, image, nothing)
	if err != nil {
		tb.Fatal(err)
	}
	t, err := attestation.TrustAWS(measured)
	if err != nil {
		tb.Fatal(err)
	}
	return t
}

func TestGenuineDocumentIsVerifiedArchived(t *testing.T) {
	trust := genuineTrust(t)
	for i, doc := range genuineDocuments(t) {
		got, err := attestation.VerifyArchived(doc, trust, attestation.Expect{Kind: attestation.KindAny})
		if err != nil {
			t.Fatalf("document %d: %v", i, err)
		}
		if got.Assurance != attestation.AssuranceNitro || got.Timestamp.Year() != 2025 || len(got.PublicKey) != 130 {
			t.Errorf("document %d: got %s, %v, %d bytes of public key", i, got.Assurance, got.Timestamp, len(got.PublicKey))
		}
		if got.Nonce != nil || len(got.UserData) != 32 || !got.LeafNotAfter.After(got.Timestamp) {
			t.Errorf("document %d: nonce %x, user data %x, leaf until %v", i, got.Nonce, got.UserData, got.LeafNotAfter)
		}
	}
}
