package proof_test

import (
	"bytes"
	"crypto/sha256"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/attestation/proof"
)

func testStatement(t testing.TB) proof.ExportStatement {
	t.Helper()
	return proof.ExportStatement{
		TimestampMs:         1763690000123,
		DataHash:            sha256.Sum256([]byte("data")),
		OrganizationID:      "1a2b3c4d-5e6f-8a7b-8c9d-0e1f2a3b4c5d",
		PrivateKeyID:        "6f1c8f0e-8c7f-4f4e-9a55-0a4c0e2d5b11",
		PublicKey:           "02" + strings.Repeat("ab", 32),
		TargetPublicKey:     point(t, testKey(t, "target")),
		ActivityFingerprint: "sha256:" + strings.Repeat("0f", 32),
		QuorumPublicKey:     point(t, testKey(t, "quorum")),
		JournalIndex:        1<<64 - 1,
	}
}

// The golden is the format: order, names, and numbers as strings.
const goldenStatement = `{"type":"APP_PROOF_TYPE_EXPORT",` +
	`"timestampMs":"1763690000123",` +
	`"exportProof":{` +
	`"dataHash":"3a6eb0790f39ac87c94f3856b2dd2c5d110e6811602261a9a923d3bb23adc8b7",` +
	`"organizationId":"1a2b3c4d-5e6f-8a7b-8c9d-0e1f2a3b4c5d",` +
	`"privateKeyId":"6f1c8f0e-8c7f-4f4e-9a55-0a4c0e2d5b11",` +
	`"publicKey":"02abababababababababababababababababababababababababababababababab",` +
	`"targetPublicKey":"TARGET",` +
	`"activityFingerprint":"sha256:0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f",` +
	`"quorumPublicKey":"QUORUM",` +
	`"journalIndex":"18446744073709551615"}}`

const (
	goldenTarget = "04488fb83108ef8bcce7c4135a1f608e973d0e25893b3b916cba0bc9c1837a06419c145dc9984764dec978401d6196beff51959930d7be6de7bb4afde94abbb1eb"
	goldenQuorum = "046def4b9e2cf321b243f2cceb167f0d28ec2532783aae2aa1b37142700560ccc19c739ea3f9152aaf37c7f753eb2a2ea84c1e563a834a4fa972f781c2bfc2fae1"
)

func golden() string {
	return strings.NewReplacer("TARGET", goldenTarget, "QUORUM", goldenQuorum).Replace(goldenStatement)
}

func TestExportStatementHasTheseBytes(t *testing.T) {
	s := testStatement(t)
	got, err := s.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(golden(), string(got)); diff != "" {
		t.Errorf("payload (-want +got):\n%s", diff)
	}
	back, err := proof.ParseExportStatement(got)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(s, back); diff != "" {
		t.Errorf("parsed statement (-want +got):\n%s", diff)
	}
}

func TestStatementInAnyOtherFormIsRefused(t *testing.T) {
	replace := func(old, new string) string {
		if !strings.Contains(golden(), old) {
			t.Fatalf("the golden has no %q", old)
		}
		return strings.Replace(golden(), old, new, 1)
	}
	tests := []struct{ name, payload, want string }{
		{"space", " " + golden(), "the statement must be in its canonical form"},
		{"newline", golden() + "\n", "the statement must be in its canonical form"},
		{"order", replace(`"type":"APP_PROOF_TYPE_EXPORT","timestampMs":"1763690000123"`, `"timestampMs":"1763690000123","type":"APP_PROOF_TYPE_EXPORT"`), "the statement must be in its canonical form"},
		{"escape", replace(`APP_PROOF`, `\u0041PP_PROOF`), "the statement must be in its canonical form"},
		{"type", replace("TYPE_EXPORT", "TYPE_IMPORT"), "type: must be APP_PROOF_TYPE_EXPORT"},
		{"unknown member", replace(`"timestampMs"`, `"more":"","timestampMs"`), "more: is not a known member"},
		{"member missing", replace(`"privateKeyId":"6f1c8f0e-8c7f-4f4e-9a55-0a4c0e2d5b11",`, ""), "exportProof.privateKeyId: is required"},
		{"member twice", replace(`"timestampMs"`, `"type":"","timestampMs"`), "type: must not appear twice"},
		{"time as number", replace(`"1763690000123"`, `1763690000123`), "timestampMs: must be a string"},
		{"time with zero", replace(`"1763690000123"`, `"01763690000123"`), "timestampMs: must be a decimal number of at most 64 bits"},
		{"time with sign", replace(`"1763690000123"`, `"+1763690000123"`), "timestampMs: must be a decimal number of at most 64 bits"},
		{"time 0", replace(`"1763690000123"`, `"0"`), "timestampMs: must be positive"},
		{"time beyond int64", replace(`"1763690000123"`, `"9223372036854775808"`), "timestampMs: must be positive"},
		{"index beyond uint64", replace(`"18446744073709551615"`, `"18446744073709551616"`), "exportProof.journalIndex: must be a decimal number of at most 64 bits"},
		{"hash short", replace("3a6eb079", "3a6eb0"), "exportProof.dataHash: must be 32 bytes"},
		{"hash upper case", replace("3a6eb079", "3A6EB079"), "exportProof.dataHash: must be lower-case hex"},
		{"organization upper case", replace("1a2b3c4d", "1A2B3C4D"), "exportProof.organizationId: must be a lower-case UUID"},
		{"key id empty", replace("6f1c8f0e-8c7f-4f4e-9a55-0a4c0e2d5b11", ""), "exportProof.privateKeyId: must be 1 to 128 printable ASCII characters"},
		{"key id with space", replace("6f1c8f0e-8c7f", "6f1c8f0e 8c7f"), "exportProof.privateKeyId: must be 1 to 128 printable ASCII characters"},
		{"public key short", replace(`"02ababab`, `"02ab`), "exportProof.publicKey: must be 33 bytes compressed or 32 bytes of Ed25519, in lower-case hex"},
		{"target off the curve", replace(goldenTarget, goldenTarget[:128]+"00"), "exportProof.targetPublicKey: must be an uncompressed point of P-256"},
		{"target empty", replace(goldenTarget, ""), "exportProof.targetPublicKey: must be an uncompressed point of P-256"},
		{"fingerprint form", replace("sha256:0f", "sha512:0f"), "exportProof.activityFingerprint: must be sha256: and 64 lower-case hex digits"},
		{"quorum off the curve", replace(goldenQuorum, goldenQuorum[:128]+"00"), "exportProof.quorumPublicKey: must be an uncompressed point of P-256"},
		{"empty", "", "is not complete JSON"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := proof.ParseExportStatement([]byte(tt.payload))
			if err == nil || err.Error() != tt.want {
				t.Errorf("error\n got %v\nwant %s", err, tt.want)
			}
			if diff := cmp.Diff(proof.ExportStatement{}, got); diff != "" {
				t.Errorf("a refused statement has a value:\n%s", diff)
			}
		})
	}
}

func FuzzParseExportStatement(f *testing.F) {
	f.Add([]byte(golden()))
	f.Add([]byte(`{"type":"APP_PROOF_TYPE_EXPORT"}`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		s, err := proof.ParseExportStatement(payload)
		if err != nil {
			return
		}
		again, err := s.Encode()
		if err != nil || !bytes.Equal(again, payload) {
			t.Fatalf("accepted %q but encodes %q, %v", payload, again, err)
		}
	})
}
