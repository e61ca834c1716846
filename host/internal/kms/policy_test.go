package kms_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/attestation"
	"github.com/sallyport/sallyport/enclave/enclavetest"
	"github.com/sallyport/sallyport/host/internal/kms"
	double "github.com/sallyport/sallyport/tests/kms"
)

var update = flag.Bool("update", false, "write testdata/policy.json")

// fake are measurements of no image, all registers from one byte.
func fake(b byte) attestation.Measurements {
	var m attestation.Measurements
	for i := range attestation.PCRSize {
		m.PCR0[i], m.PCR1[i], m.PCR2[i] = b, b+1, b+2
	}
	return m
}

func TestPolicyGolden(t *testing.T) {
	got := policy(t, []attestation.Measurements{fake(0x10), fake(0x20)}, manifest)
	if *update {
		if err := os.WriteFile("testdata/policy.json", got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/policy.json")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("the policy is another one:\n%s", got)
	}
}

// withMore adds a statement, as a careless administrator would.
func withMore(t *testing.T, document []byte, statement string) []byte {
	t.Helper()
	var p map[string]any
	if err := json.Unmarshal(document, &p); err != nil {
		t.Fatal(err)
	}
	p["Statement"] = append(p["Statement"].([]any), json.RawMessage(statement))
	out, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

const everything = `{"Sid":"Careless","Effect":"Allow","Principal":"*","Action":"kms:*","Resource":"*"}`

// TestPolicyAllowsOneImageUnderOneManifest has the local platform's registers in the
// documents, and varies what the policy names.
func TestPolicyAllowsOneImageUnderOneManifest(t *testing.T) {
	w := newWorld(t)
	vary := func(change func(*attestation.Measurements)) attestation.Measurements {
		m := local[0]
		change(&m)
		return m
	}
	otherPCR0 := vary(func(m *attestation.Measurements) { m.PCR0[0] ^= 1 })
	otherPCR1 := vary(func(m *attestation.Measurements) { m.PCR1[47] ^= 1 })
	otherPCR2 := vary(func(m *attestation.Measurements) { m.PCR2[9] ^= 1 })
	for _, c := range []struct {
		name     string
		accepted []attestation.Measurements
		manifest []byte
		allowed  bool
	}{
		{"this image", local, manifest, true},
		{"this image and another", []attestation.Measurements{fake(0x10), local[0]}, manifest, true},
		{"another image", []attestation.Measurements{fake(0x10)}, manifest, false},
		{"another PCR0", []attestation.Measurements{otherPCR0}, manifest, false},
		{"another PCR1", []attestation.Measurements{otherPCR1}, manifest, false},
		{"another PCR2", []attestation.Measurements{otherPCR2}, manifest, false},
		{"PCR1 of another image", []attestation.Measurements{otherPCR1, otherPCR0}, manifest, false},
		{"PCR2 of another image", []attestation.Measurements{otherPCR2, otherPCR0}, manifest, false},
		{"another manifest", local, make([]byte, 32), false},
	} {
		document := policy(t, c.accepted, c.manifest)
		for _, p := range [][]byte{document, withMore(t, document, everything)} {
			if err := w.kms.SetPolicy(p); err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			err := w.ask()
			denied := errors.Is(err, kms.ErrNotAllowed) && strings.Contains(err.Error(), "explicit deny")
			if c.allowed && err != nil || !c.allowed && !denied {
				t.Errorf("%s: got %v", c.name, err)
			}
		}
	}
}

// TestPolicyAllowsNobodyElse asks as an administrator and as another role.
func TestPolicyAllowsNobodyElse(t *testing.T) {
	w := newWorld(t)
	w.kms.AddCaller("AKIAOTHER", "arn:aws:sts::"+double.Account+":assumed-role/other/i-1")
	for _, caller := range []string{double.Admin, "AKIAOTHER"} {
		credentials(t, caller)
		_, err := client(t, w.kms.URL).Decrypt(t.Context(), double.ARN, w.ciphertext, w.request().Document())
		if !errors.Is(err, kms.ErrNotAllowed) || !strings.Contains(err.Error(), "no resource-based policy") {
			t.Errorf("%s: got %v", caller, err)
		}
	}
	if _, err := client(t, w.kms.URL).PublicKey(t.Context(), double.ARN); err != nil && !errors.Is(err, kms.ErrNotAllowed) {
		t.Errorf("got %v", err)
	}
}

// TestPolicyWantsADocument asks as careless administrators allow, without one.
func TestPolicyWantsADocument(t *testing.T) {
	w := newWorld(t)
	if err := w.kms.SetPolicy(withMore(t, policy(t, local, manifest), everything)); err != nil {
		t.Fatal(err)
	}
	body := `{"KeyId":"` + double.ARN + `","EncryptionAlgorithm":"RSAES_OAEP_SHA_256","CiphertextBlob":"AAAA"}`
	if got := w.post(t, double.Admin, body); !strings.Contains(got, "explicit deny") {
		t.Errorf("got %s", got)
	}
}

func TestPolicyRefuses(t *testing.T) {
	many := make([]attestation.Measurements, 60)
	for i := range many {
		many[i] = fake(byte(i + 1))
	}
	for _, c := range []struct {
		name, account, role, key string
		accepted                 []attestation.Measurements
		manifest                 []byte
		want                     string
	}{
		{"account", "1111", "r", double.ARN, local, manifest, "account"},
		{"root of an account", double.Account, "", double.ARN, local, manifest, "role"},
		{"wildcard role", double.Account, "*", double.ARN, local, manifest, "role"},
		{"role with a slash at its end", double.Account, "a/", double.ARN, local, manifest, "role"},
		{"long role", double.Account, strings.Repeat("r", 65), double.ARN, local, manifest, "role"},
		{"key", double.Account, "r", "*", local, manifest, "ARN"},
		{"no measurements", double.Account, "r", double.ARN, nil, manifest, "measurements"},
		{"debug mode", double.Account, "r", double.ARN, []attestation.Measurements{{}}, manifest, "measurements[0]"},
		{"one image twice", double.Account, "r", double.ARN, append(local, local...), manifest, "measurements[1]"},
		{"many images", double.Account, "r", double.ARN, many, manifest, "too many"},
		{"manifest", double.Account, "r", double.ARN, local, manifest[:31], "manifest hash"},
	} {
		p, err := kms.Policy(c.account, c.role, c.key, c.accepted, c.manifest)
		if err == nil || p != nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v", c.name, err)
		}
	}
}

func TestPolicyIsForTheKeysPartition(t *testing.T) {
	p, err := kms.Policy("444455556666", "path/host", "arn:aws-us-gov:kms:us-gov-west-1:111122223333:key/mrk-1", local, manifest)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"arn:aws-us-gov:iam::444455556666:role/path/host"`, `"arn:aws-us-gov:iam::111122223333:root"`} {
		if !bytes.Contains(p, []byte(want)) {
			t.Errorf("there is no %s", want)
		}
	}
}

// TestCopiedPolicyServesOneManifestOnly runs two appliances with one image.
func TestCopiedPolicyServesOneManifestOnly(t *testing.T) {
	w := newWorld(t)
	other := enclavetest.NewKMSModule(t, make([]byte, 32), nil)
	server := double.New(t, double.Options{Trust: other.Trust, Policy: policy(t, local, manifest)})
	_, err := client(t, server.URL).Decrypt(t.Context(), double.ARN, w.ciphertext, other.Request(t, manifest).Document())
	if !errors.Is(err, kms.ErrNotAllowed) {
		t.Errorf("got %v", err)
	}
}
