//go:build cgo

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/pkcs11"
)

const softHSM = "/usr/lib/softhsm/libsofthsm2.so"

// newToken makes a token of SoftHSM and returns its URI. The PIN stands in the
// environment.
func newToken(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	conf := filepath.Join(dir, "softhsm2.conf")
	if err := os.WriteFile(conf, []byte("directories.tokendir = "+dir+"\nobjectstore.backend = file\nlog.level = ERROR\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SOFTHSM2_CONF", conf)
	t.Setenv("SALLYPORT_TEST_PIN", "1234")
	out, err := exec.Command("softhsm2-util", "--init-token", "--free", "--label", "sallyport", "--pin", "1234", "--so-pin", "5678").CombinedOutput()
	if err != nil {
		t.Fatalf("softhsm2-util: %v: %s; run make setup", err, out)
	}
	return "pkcs11:token=sallyport?module-path=" + softHSM + "&pin-source=env:SALLYPORT_TEST_PIN"
}

func check(t *testing.T, want int, args ...string) (stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	if code := run(t.Context(), args, strings.NewReader(""), &out, &errs); code != want {
		t.Errorf("%q ended with %d, not %d: %s%s", args, code, want, &out, &errs)
	}
	return out.String(), errs.String()
}

func TestRolesDecideTheExitCode(t *testing.T) {
	uri := newToken(t)
	check(t, exitWorks, uri)
	out, _ := check(t, exitWorks, "-role", "root,signer,operator", uri)
	if strings.Count(out, "(asked for)") != 6 || strings.Contains(out, "DOES NOT") {
		t.Error(out)
	}
	makeWeakRoot(t, uri)
	out, _ = check(t, exitFails, "-role", "root", uri)
	if !strings.Contains(out, "CKA_LOCAL must be true") || !strings.Contains(out, "DOES NOT WORK: the key \"sallyport-root\"") {
		t.Error(out)
	}
	check(t, exitWorks, "-role", "operator", uri)
}

// makeWeakRoot brings a key from outside, under the name of a root.
func makeWeakRoot(t *testing.T, uri string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, make([]byte, 32), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("softhsm2-util", "--import", file, "--aes", "--token", "sallyport", "--pin", "1234", "--label", pkcs11.DefaultObject, "--id", "01").CombinedOutput()
	if err != nil {
		t.Fatalf("softhsm2-util: %v: %s", err, out)
	}
}

func TestJSONIsOneDocument(t *testing.T) {
	out, _ := check(t, exitWorks, "-json", "-role", "root", newToken(t))
	var report pkcs11.Report
	d := json.NewDecoder(strings.NewReader(out))
	d.DisallowUnknownFields()
	if err := d.Decode(&report); err != nil || d.More() || !report.Works || report.Token.Label != "sallyport" {
		t.Errorf("%s, %v", out, err)
	}
}

func TestWhatCannotBeCheckedEndsWithTwo(t *testing.T) {
	uri := newToken(t)
	for want, args := range map[string][]string{
		"one PKCS#11 URI must be given":   {},
		"pin-value: must not stand":       {strings.Replace(uri, "pin-source=env:SALLYPORT_TEST_PIN", "pin-value=1234", 1)},
		`role: "holder" must be one of`:   {"-role", "holder", uri},
		"no token matches the URI":        {strings.Replace(uri, "token=sallyport", "token=other", 1)},
		"variable \"NO_SUCH\" is not set": {strings.Replace(uri, "SALLYPORT_TEST_PIN", "NO_SUCH", 1)},
		"flag provided but not defined":   {"-pin", "1234", uri},
	} {
		out, errs := check(t, exitNothing, args...)
		if out != "" || !strings.Contains(errs, want) {
			t.Errorf("%q: %s%s", args, out, errs)
		}
	}
	t.Setenv("SALLYPORT_TEST_PIN", "98765")
	if _, errs := check(t, exitNothing, uri); !strings.Contains(errs, "is not tried again") || strings.Contains(errs, "98765") {
		t.Error(errs)
	}
}

func TestNamesCannotMoveTheCursor(t *testing.T) {
	var out bytes.Buffer
	report := &pkcs11.Report{Keys: []pkcs11.KeyReport{{Label: "a\x1b[2Jb\u202e"}}}
	report.Module.Description = "\x1b]0;title\a"
	if err := show(&out, report); err != nil {
		t.Fatal(err)
	}
	if s := out.String(); strings.ContainsAny(s, "\x1b\a\u202e") {
		t.Errorf("%q", s)
	}
}

// TestTheVerbRunsThisProgram builds both and lets the one run the other.
func TestTheVerbRunsThisProgram(t *testing.T) {
	dir, uri := t.TempDir(), newToken(t)
	host := filepath.Join(dir, "sallyport")
	build(t, host, "../../host")
	if out, err := exec.CommandContext(t.Context(), host, "pkcs11", "check", uri).CombinedOutput(); err == nil || !strings.Contains(string(out), "must lie beside sallyport") {
		t.Errorf("without the program: %s, %v", out, err)
	}
	build(t, filepath.Join(dir, "sallyport-pkcs11"), ".")
	for _, tt := range []struct {
		want int
		args []string
	}{
		{exitWorks, []string{"--role", "root,signer:ed25519", "--role", "operator", "--json"}},
		{exitNothing, []string{"--role", "holder"}},
	} {
		cmd := exec.CommandContext(t.Context(), host, append([]string{"pkcs11", "check", uri}, tt.args...)...)
		out, _ := cmd.Output()
		if got := cmd.ProcessState.ExitCode(); got != tt.want || tt.want == exitWorks && !json.Valid(out) {
			t.Errorf("%q ended with %d: %s", tt.args, got, out)
		}
	}
	makeWeakRoot(t, uri)
	if err := exec.CommandContext(t.Context(), host, "pkcs11", "check", uri, "--role", "root").Run(); err == nil || err.(*exec.ExitError).ExitCode() != exitFails {
		t.Errorf("got %v", err)
	}
}

func build(t *testing.T, to, pkg string) {
	t.Helper()
	out, err := exec.CommandContext(context.Background(), "go", "build", "-o", to, pkg).CombinedOutput()
	if err != nil {
		t.Fatalf("go build %s: %v: %s", pkg, err, out)
	}
}
