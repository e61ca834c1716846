package main

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"github.com/sallyport/sallyport/attestation"
)

// A verdict is the JSON of sallyport-verify.
type verdict struct {
	Verified bool   `json:"verified"`
	Reason   string `json:"reason"`
	Cause    string `json:"cause"`
	Message  string `json:"message"`
	exit     int
}

func (v verdict) String() string {
	if v.Cause != "" {
		return fmt.Sprintf("%s: %s: %s", v.Reason, v.Cause, v.Message)
	}
	return fmt.Sprintf("%s: %s", v.Reason, v.Message)
}

var inputs int

// verify runs sallyport-verify on some bytes.
func (w *world) verify(command string, input []byte, flags ...string) (*verdict, error) {
	inputs++
	file := filepath.Join(w.dir, fmt.Sprintf("input-%d", inputs))
	if err := os.WriteFile(file, input, 0o600); err != nil {
		return nil, err
	}
	defer os.Remove(file)
	cmd := exec.Command(filepath.Join(w.bin, "sallyport-verify"), append([]string{"--json", command, file}, flags...)...)
	out, err := cmd.Output()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return nil, err
	}
	v := &verdict{exit: cmd.ProcessState.ExitCode()}
	if err := json.Unmarshal(out, v); err != nil {
		return nil, fmt.Errorf("sallyport-verify: %q, exit %d: %w", out, v.exit, err)
	}
	if v.Verified != (v.exit == 0) {
		return nil, fmt.Errorf("sallyport-verify says %v with exit status %d", v.Verified, v.exit)
	}
	return v, nil
}

// refusedBy wants exit status 1 and one of some reasons.
func (v *verdict) refusedBy(reasons ...string) (string, error) {
	if v.exit == 1 && (slices.Contains(reasons, v.Reason) || len(reasons) == 0 || slices.Contains(reasons, v.Cause)) {
		return v.String(), nil
	}
	if v.Verified {
		return "", errors.New("it was VERIFIED")
	}
	return "", fmt.Errorf("want %v, got exit %d, %s", reasons, v.exit, v)
}

func readTrust(path string) (attestation.Trust, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return attestation.Trust{}, err
	}
	block, _ := pem.Decode(b)
	if block == nil {
		return attestation.Trust{}, fmt.Errorf("%s: no PEM", path)
	}
	root, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return attestation.Trust{}, err
	}
	return attestation.TrustLocal(root)
}
