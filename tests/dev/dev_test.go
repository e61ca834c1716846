// Package dev_test runs `sallyport dev` as its users do: its one line, its
// folder, its ends, and a PKCS#11 token as its root.
package dev_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/sallyport/sallyport/tests/appliance"
)

// bin holds the binaries of this run.
var bin string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	var err error
	if bin, err = os.MkdirTemp("", "sallyport-bin-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(bin)
	if err := appliance.BuildInto(bin, "sallyport", "sallyport-enclave-local", "sallyport-enclave"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

func start(t *testing.T, flags ...string) *appliance.Appliance {
	t.Helper()
	a, err := appliance.Start(bin, flags...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if !a.Ended() {
			_ = a.Stop()
		}
	})
	return a
}

func stop(t *testing.T, a *appliance.Appliance) {
	t.Helper()
	if err := a.Stop(); err != nil {
		t.Fatal(err)
	}
}

// create makes a key and returns the answer's status.
func create(t *testing.T, a *appliance.Appliance, name string) int {
	t.Helper()
	key, err := a.Users[0].Key()
	if err != nil {
		t.Fatal(err)
	}
	http := appliance.NewHTTP(a.BaseURL)
	defer http.Close()
	body := appliance.Body("ACTIVITY_TYPE_CREATE_PRIVATE_KEYS_V2", a.OrganizationID, appliance.Now(), map[string]any{
		"privateKeys": []any{map[string]any{
			"privateKeyName": name, "curve": "CURVE_P256", "privateKeyTags": []string{}, "addressFormats": []string{},
		}},
	})
	reply, err := http.Post("/public/v1/submit/create_private_keys", body, key)
	if err != nil {
		t.Fatal(err)
	}
	return reply.Status
}

// names lists the appliance's private keys.
func names(t *testing.T, a *appliance.Appliance) string {
	t.Helper()
	key, err := a.Users[0].Key()
	if err != nil {
		t.Fatal(err)
	}
	http := appliance.NewHTTP(a.BaseURL)
	defer http.Close()
	reply, err := http.Post("/public/v1/query/list_private_keys", []byte(`{"organizationId":"`+a.OrganizationID+`"}`), key)
	if err != nil || reply.Status != 200 {
		t.Fatalf("%v %v", reply, err)
	}
	return string(reply.Body)
}

func TestDataContinues(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	first := start(t, "--data", dir, "--root-users", "2", "--quorum", "1")
	if status := create(t, first, "kept"); status != 200 {
		t.Fatalf("status %d", status)
	}
	stop(t, first)
	second := start(t, "--data", dir, "--root-users", "2", "--quorum", "1")
	if second.OrganizationID != first.OrganizationID || second.QuorumPublicKey != first.QuorumPublicKey ||
		fmt.Sprint(second.Users) != fmt.Sprint(first.Users) {
		t.Error("the second start has other credentials")
	}
	if !strings.Contains(names(t, second), "kept") {
		t.Error("the key is gone")
	}
	stop(t, second)
	var refused *appliance.StartError
	if _, err := appliance.Start(bin, "--data", dir, "--root-users", "3", "--quorum", "1"); !errors.As(err, &refused) {
		t.Errorf("other root users were taken: %v", err)
	}
}

func TestFolderIsPrivateAndComplete(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	stop(t, start(t, "--data", dir))
	for name, mode := range map[string]os.FileMode{
		"": 0o700, "ready.json": 0o600, "root.key": 0o600, "attestation-root.key": 0o600,
		"attestation-root.pem": 0o644, "manifest.json": 0o644, "store": 0o700,
	} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Error(err)
		} else if info.Mode().Perm() != mode {
			t.Errorf("%s has mode %v, want %v", name, info.Mode().Perm(), mode)
		}
	}
}

func TestDeathOfAChildEndsDevAndNamesIt(t *testing.T) {
	for _, which := range []appliance.Process{appliance.Enclave, appliance.Host} {
		t.Run(string(which), func(t *testing.T) {
			a := start(t)
			if err := a.Kill(which); err != nil {
				t.Fatal(err)
			}
			var exit *exec.ExitError
			if err := a.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 1 {
				t.Errorf("dev ended with %v, want exit code 1", err)
			}
			if !strings.Contains(a.Stderr(), string(which)+" exited") {
				t.Errorf("dev did not name the %s: %s", which, a.Stderr())
			}
		})
	}
}

func TestEndOfTheTerminalLeavesNothing(t *testing.T) {
	a := start(t)
	if err := syscall.Kill(a.PID(appliance.Dev), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	if err := a.Wait(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(a.AttestationRoot); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is left: %v", a.AttestationRoot, err)
	}
}

func TestStateOfAnotherRootIsRefused(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	stop(t, start(t, "--data", dir))
	key := strings.Repeat("00", 31) + "01\n"
	if err := os.WriteFile(filepath.Join(dir, "root.key"), []byte(key), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := appliance.Start(bin, "--data", dir)
	var refused *appliance.StartError
	if !errors.As(err, &refused) || !strings.Contains(refused.Stderr, "journal entry 0") {
		t.Errorf("got %v, want a refusal that names journal entry 0", err)
	}
}

func TestProductionEnclaveNeedsItsDevice(t *testing.T) {
	if _, err := os.Stat("/dev/nsm"); err == nil {
		t.Fatal("this machine has a Nitro Security Module; the test is for one without")
	}
	out, err := exec.Command(filepath.Join(bin, "sallyport-enclave")).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "/dev/nsm") {
		t.Errorf("the production enclave started: %v %s", err, out)
	}
}
