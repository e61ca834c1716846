package main

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/attestation/strictjson"
)

// vectors are the published bundles, with what their client expects.
type vectors struct {
	LocalRoot                                            string
	QuorumPublicKey, TargetPrivateKey, Plaintext         strictjson.Hex
	OrganizationID, PrivateKeyID, PublicKey, Fingerprint string
	Vectors                                              []struct {
		Name, Reason, Bundle string
		Nonce                strictjson.Hex
		NowMs                int64
	}
}

// desk is a folder with the files that a client has.
type desk struct {
	t   *testing.T
	dir string
	v   vectors
	now time.Time
	in  string
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	b, err := os.ReadFile("../bundle/testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	d := &desk{t: t, dir: t.TempDir(), now: time.Unix(1763690000, 0)}
	if err := json.Unmarshal(b, &d.v); err != nil {
		t.Fatal(err)
	}
	d.file("root.pem", d.v.LocalRoot)
	d.file("bundle.json", d.bundle("valid"))
	d.file("target.key", d.v.TargetPrivateKey.String()+"\n")
	return d
}

func (d *desk) path(name string) string { return filepath.Join(d.dir, name) }

func (d *desk) file(name, contents string) string {
	d.t.Helper()
	if err := os.WriteFile(d.path(name), []byte(contents), 0o600); err != nil {
		d.t.Fatal(err)
	}
	return d.path(name)
}

func (d *desk) bundle(name string) string {
	d.t.Helper()
	for _, v := range d.v.Vectors {
		if v.Name == name {
			return v.Bundle
		}
	}
	d.t.Fatalf("no vector %q", name)
	return ""
}

// run runs the program; an argument that names a file of the desk becomes its
// path.
func (d *desk) run(args ...string) (status int, out, errs string) {
	d.t.Helper()
	for i, a := range args {
		if _, err := os.Stat(d.path(a)); err == nil && a != "" {
			args[i] = d.path(a)
		}
	}
	var stdout, stderr bytes.Buffer
	status = run(args, console{
		in: strings.NewReader(d.in), out: &stdout, err: &stderr, now: func() time.Time { return d.now },
	})
	return status, stdout.String(), stderr.String()
}

// pins are the flags that every bundle needs.
func (d *desk) pins(more ...string) []string {
	return append([]string{
		"--quorum-key", d.v.QuorumPublicKey.String(), "--organization", d.v.OrganizationID, "--local-root", "root.pem",
	}, more...)
}

func wants(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("no %q in:\n%s", part, text)
		}
	}
}

func TestBundleIsReported(t *testing.T) {
	d := newDesk(t)
	status, out, errs := d.run(append([]string{"bundle", "bundle.json"}, d.pins()...)...)
	if status != exitVerified || errs != "" {
		t.Fatalf("status %d: %s", status, errs)
	}
	wants(t, out, "VERIFIED bundle, assurance LOCAL\n", "WARNING: local platform: this protects nothing.",
		"WARNING: manifest flag unsigned", "key id         "+d.v.PrivateKeyID, "activity       "+d.v.Fingerprint,
		"journal entry  42", "\n  PCR0 ", "\n  PCR16 ", "module         i-0000", "\nNOT checked\n",
		"the target key: none was given (--target-public-key)", "the key id: none was given (--key-id)",
		"that the enclave runs now", "PCR3")
	if strings.Contains(out, "PCR3  ") || strings.Contains(out, "\n  nonce") {
		t.Errorf("empty fields are shown:\n%s", out)
	}
}

func TestFlagsStandAnywhere(t *testing.T) {
	d := newDesk(t)
	for _, args := range [][]string{
		append(d.pins(), "bundle", "bundle.json"),
		append([]string{"bundle"}, append(d.pins(), "bundle.json")...),
		append(append([]string{"--json=false", "bundle", "bundle.json"}, d.pins()...), "--key-id="+d.v.PrivateKeyID),
	} {
		if status, _, errs := d.run(args...); status != exitVerified {
			t.Errorf("%q: status %d: %s", args, status, errs)
		}
	}
	d.in = d.bundle("valid") + "\n"
	if status, _, errs := d.run(append(d.pins(), "bundle", "-")...); status != exitVerified {
		t.Errorf("standard input: status %d: %s", status, errs)
	}
}

func TestEverythingPinnedIsChecked(t *testing.T) {
	d := newDesk(t)
	manifest := d.manifest()
	status, out, errs := d.run(d.pins("bundle", "bundle.json", "--json", "--key-id", d.v.PrivateKeyID, "--public-key", d.v.PublicKey,
		"--fingerprint", d.v.Fingerprint, "--target-key", "target.key", "--manifest", manifest)...)
	if status != exitVerified {
		t.Fatalf("status %d: %s%s", status, out, errs)
	}
	var r report
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatal(err)
	}
	if !r.Verified || r.Assurance != "local" || r.Live || r.Export.JournalIndex != 42 || r.Manifest.Name != "test" {
		t.Errorf("report = %+v", r)
	}
	wants(t, strings.Join(r.Checked, "\n"), "the key id is the given one", "the public key is the given one", "the activity is the given one",
		"the manifest is the given one", "the target key is the given one", "the opened key is that of the public key, on P-256")
	if strings.Contains(out, d.v.Plaintext.String()) {
		t.Error("the key is printed")
	}
	for name, flag := range map[string][]string{
		"key":         {"--key-id", "another"},
		"fingerprint": {"--fingerprint", "sha256:" + strings.Repeat("00", 32)},
		"target_key":  {"--target-public-key", d.v.QuorumPublicKey.String()},
	} {
		status, out, _ := d.run(d.pins(append([]string{"bundle", "bundle.json", "--json"}, flag...)...)...)
		wants(t, out, `"verified": false`, `"reason": "`+name+`"`)
		if status != exitRefused {
			t.Errorf("%s: status %d", name, status)
		}
	}
}

// manifest writes the manifest of the bundles to a file.
func (d *desk) manifest() string {
	d.t.Helper()
	var o struct{ Manifest []byte }
	if err := json.Unmarshal([]byte(d.bundle("valid")), &o); err != nil {
		d.t.Fatal(err)
	}
	return d.file("manifest.json", string(o.Manifest))
}

func TestKeyIsWrittenForItsOwnerAlone(t *testing.T) {
	d := newDesk(t)
	out := d.path("key.hex")
	args := d.pins("bundle", "bundle.json", "--target-key", "target.key", "--out", out)
	status, text, errs := d.run(args...)
	if status != exitVerified {
		t.Fatalf("status %d: %s", status, errs)
	}
	info, err := os.Stat(out)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", info, err)
	}
	if got, err := os.ReadFile(out); err != nil || string(got) != d.v.Plaintext.String()+"\n" {
		t.Errorf("file = %q, %v", got, err)
	}
	if strings.Contains(text, d.v.Plaintext.String()) {
		t.Error("the key is printed")
	}
	if status, _, errs := d.run(args...); status != exitUsage || !strings.Contains(errs, "--out: ") {
		t.Errorf("writing over a file: status %d: %s", status, errs)
	}
}

func TestRefusedBundleWritesNothing(t *testing.T) {
	d := newDesk(t)
	out := d.path("key.hex")
	for _, v := range d.v.Vectors {
		if v.Reason == "" {
			continue
		}
		d.now = time.UnixMilli(v.NowMs)
		d.file("bad.json", v.Bundle)
		args := d.pins("--json", "bundle", "bad.json", "--target-key", "target.key", "--out", out,
			"--key-id", d.v.PrivateKeyID, "--public-key", d.v.PublicKey, "--fingerprint", d.v.Fingerprint)
		if v.Nonce != nil {
			args = append(args, "--nonce", v.Nonce.String())
		}
		status, text, _ := d.run(args...)
		var f failure
		if err := json.Unmarshal([]byte(text), &f); err != nil || status != exitRefused || f.Verified || f.Reason != v.Reason {
			t.Errorf("%s: status %d, %s, want reason %s", v.Name, status, text, v.Reason)
		}
		if _, err := os.Stat(out); err == nil {
			t.Fatalf("%s: a key was written", v.Name)
		}
	}
}

func TestRefusalIsOneClearLine(t *testing.T) {
	d := newDesk(t)
	d.file("bad.json", d.bundle("document of a debug enclave"))
	status, out, errs := d.run(d.pins("bundle", "bad.json")...)
	if status != exitRefused || out != "" || strings.Count(errs, "\n") != 1 {
		t.Errorf("status %d\n%s%s", status, out, errs)
	}
	wants(t, errs, "REFUSED (attestation: debug_enclave): ", "debug-mode enclave")
}

func TestNonceIsChecked(t *testing.T) {
	d := newDesk(t)
	var live int
	for i, v := range d.v.Vectors {
		if v.Name == "valid and live" {
			live = i
		}
	}
	v := d.v.Vectors[live]
	d.file("live.json", v.Bundle)
	d.now = time.UnixMilli(v.NowMs)
	status, out, errs := d.run(d.pins("bundle", "live.json", "--nonce", v.Nonce.String())...)
	if status != exitVerified {
		t.Fatalf("status %d: %s", status, errs)
	}
	wants(t, out, "fresh attestation document", "made for the given nonce, just now")
	if _, out, _ := d.run(d.pins("bundle", "live.json")...); !strings.Contains(out, "that the enclave runs now") {
		t.Errorf("without the nonce:\n%s", out)
	}
	if status, _, errs := d.run(d.pins("bundle", "bundle.json", "--nonce", v.Nonce.String())...); status != exitRefused {
		t.Errorf("no fresh attestation: status %d: %s", status, errs)
	}
	d.now = d.now.Add(time.Hour)
	status, _, errs = d.run(d.pins("bundle", "live.json", "--nonce", v.Nonce.String())...)
	if status != exitRefused || !strings.Contains(errs, "fresh_attestation: stale") {
		t.Errorf("an hour later: status %d: %s", status, errs)
	}
}

func TestWrongCallsAreNotVerdicts(t *testing.T) {
	d := newDesk(t)
	d.file("measurements.json", `[{"pcr0":"`+strings.Repeat("01", 48)+`","pcr1":"`+strings.Repeat("02", 48)+`","pcr2":"`+strings.Repeat("03", 48)+`"}]`)
	d.file("broken.json", `[{"pcr0":"00"}]`)
	quorum, org := d.v.QuorumPublicKey.String(), d.v.OrganizationID
	for name, args := range map[string][]string{
		"nothing":                   {},
		"no file":                   d.pins("bundle"),
		"unknown command":           d.pins("check", "bundle.json"),
		"two files":                 d.pins("bundle", "bundle.json", "root.pem"),
		"unknown flag":              d.pins("bundle", "bundle.json", "--insecure"),
		"missing file":              d.pins("bundle", "missing.json"),
		"no trust":                  {"bundle", "bundle.json", "--quorum-key", quorum, "--organization", org},
		"both trusts":               d.pins("bundle", "bundle.json", "--measurements", "measurements.json"),
		"no quorum key":             {"bundle", "bundle.json", "--organization", org, "--local-root", "root.pem"},
		"empty quorum key":          {"bundle", "bundle.json", "--quorum-key", "", "--organization", org, "--local-root", "root.pem"},
		"quorum key is no point":    {"bundle", "bundle.json", "--quorum-key", "04", "--organization", org, "--local-root", "root.pem"},
		"no organization":           {"bundle", "bundle.json", "--quorum-key", quorum, "--local-root", "root.pem"},
		"empty key id":              d.pins("bundle", "bundle.json", "--key-id", ""),
		"empty fingerprint":         d.pins("bundle", "bundle.json", "--fingerprint="),
		"short nonce":               d.pins("bundle", "bundle.json", "--nonce", "00"),
		"nonce not hex":             d.pins("bundle", "bundle.json", "--nonce", "xyz"),
		"flag of the other command": d.pins("bundle", "bundle.json", "--kind", "boot"),
		"out without a key":         d.pins("bundle", "bundle.json", "--out", d.path("x")),
		"out to the terminal":       d.pins("bundle", "bundle.json", "--target-key", "target.key", "--out", "-"),
		"two targets":               d.pins("bundle", "bundle.json", "--target-key", "target.key", "--target-public-key", quorum),
		"target key is no key":      d.pins("bundle", "bundle.json", "--target-key", "root.pem"),
		"root is no certificate":    {"bundle", "bundle.json", "--quorum-key", quorum, "--organization", org, "--local-root", "bundle.json"},
		"measurements broken":       {"bundle", "bundle.json", "--quorum-key", quorum, "--organization", org, "--measurements", "broken.json"},
		"document without kind":     {"document", "bundle.json", "--local-root", "root.pem"},
		"unknown kind":              {"document", "bundle.json", "--local-root", "root.pem", "--kind", "channel"},
		"boot without manifest":     {"document", "bundle.json", "--local-root", "root.pem", "--kind", "boot"},
		"nonce of a boot document":  {"document", "bundle.json", "--local-root", "root.pem", "--kind", "any", "--nonce", "00112233445566778899aabbccddeeff"},
		"quorum key of a document":  {"document", "bundle.json", "--local-root", "root.pem", "--kind", "any", "--quorum-key", quorum},
	} {
		t.Run(name, func(t *testing.T) {
			status, out, errs := d.run(args...)
			if status != exitUsage || out != "" || !strings.HasPrefix(errs, "sallyport-verify: ") {
				t.Errorf("status %d\n%s%s", status, out, errs)
			}
			if strings.Contains(errs, d.v.TargetPrivateKey.String()) {
				t.Error("the error repeats the target key")
			}
		})
	}
}

func TestHelpIsNoMistake(t *testing.T) {
	status, out, _ := newDesk(t).run("--help")
	if status != exitVerified {
		t.Errorf("status %d", status)
	}
	for _, name := range append(append(append([]string{}, bothFlags...), bundleFlags...), documentFlags...) {
		wants(t, out, "--"+name)
	}
}

func TestKeyOfAMnemonicIsText(t *testing.T) {
	path := filepath.Join(t.TempDir(), "words")
	words := "legal winner thank year wave sausage worth useful legal winner thank yellow"
	found, err := compareKey([]byte(words), hex.EncodeToString(make([]byte, 33)))
	if err != nil || found != "" {
		t.Errorf("compareKey = %q, %v", found, err)
	}
	if err := writeKey(path, []byte(words)); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != words {
		t.Errorf("file = %q, %v", got, err)
	}
}
