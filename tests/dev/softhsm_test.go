package dev_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const module = "/usr/lib/softhsm/libsofthsm2.so"

// softHSM makes a token of its own and returns its URI.
func softHSM(t *testing.T) string {
	t.Helper()
	if _, err := os.Stat(module); err != nil {
		t.Fatalf("%v: run make setup", err)
	}
	dir := t.TempDir()
	conf, pin := filepath.Join(dir, "softhsm2.conf"), filepath.Join(dir, "pin")
	for path, text := range map[string]string{conf: "directories.tokendir = " + dir + "\nobjectstore.backend = file\n", pin: "1234\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("SOFTHSM2_CONF", conf)
	out, err := exec.Command("softhsm2-util", "--init-token", "--free", "--label", "sallyport", "--pin", "1234", "--so-pin", "5678").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return "pkcs11:token=sallyport;object=root?module-path=" + module + "&pin-source=file:" + pin
}

func TestTokenRootSurvivesARestart(t *testing.T) {
	uri, dir := softHSM(t), filepath.Join(t.TempDir(), "data")
	first := start(t, "--data", dir, "--root", uri)
	if status := create(t, first, "wrapped"); status != 200 {
		t.Fatalf("status %d", status)
	}
	stop(t, first)
	if _, err := os.Stat(filepath.Join(dir, "root.key")); err == nil {
		t.Error("there is a root file beside the token")
	}
	wrapped, err := os.ReadFile(filepath.Join(dir, "root.wrapped"))
	if err != nil || len(wrapped) < 48 {
		t.Fatalf("wrapped root: %d bytes, %v", len(wrapped), err)
	}

	second := start(t, "--data", dir, "--root", uri)
	if second.QuorumPublicKey != first.QuorumPublicKey || !strings.Contains(names(t, second), "wrapped") {
		t.Error("the second start is another appliance")
	}
	if status := create(t, second, "more"); status != 200 {
		t.Errorf("status %d", status)
	}
	stop(t, second)

	damaged := bytes.Clone(wrapped)
	damaged[len(damaged)-1] ^= 1
	if err := os.WriteFile(filepath.Join(dir, "root.wrapped"), damaged, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(filepath.Join(bin, "sallyport"), "dev", "--json", "--data", dir, "--root", uri).CombinedOutput(); err == nil {
		t.Errorf("a damaged wrapped root was taken: %s", out)
	}
}
