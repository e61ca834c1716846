package pkcs11

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// maxPIN is that of the tokens known: 255 bytes.
const maxPIN = 255

// pin reads the PIN where the URI says it stands. It is read at each login
// and not kept. Errors name the rule and never the PIN.
func (u *uri) pin() (string, error) {
	if u.pinSource == "" {
		return u.pinValue, checkPIN(u.pinValue)
	}
	kind, where, _ := strings.Cut(u.pinSource, ":")
	if kind == "env" {
		value, ok := os.LookupEnv(where)
		if !ok {
			return "", fmt.Errorf("pkcs11: pin-source: variable %.64q is not set", where)
		}
		return value, checkPIN(value)
	}
	return readPINFile(filePath(where))
}

func checkPINSource(source string) error {
	if source == "" {
		return nil
	}
	kind, where, _ := strings.Cut(source, ":")
	switch {
	case kind == "env" && where != "":
		return nil
	case kind == "file" && filepath.IsAbs(filePath(where)):
		return nil
	}
	return errors.New("pkcs11: pin-source: must be file: with an absolute path, or env: with a name")
}

// filePath takes the forms of RFC 8089 that name a local file: file:/p,
// file:///p, file://localhost/p.
func filePath(where string) string {
	if rest, ok := strings.CutPrefix(where, "//"); ok {
		return strings.TrimPrefix(rest, "localhost")
	}
	return where
}

// readPINFile reads one line of a file that only its owner may read. Links
// are refused: the rule about the mode should be about this file.
func readPINFile(path string) (string, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		if errors.Is(err, syscall.ELOOP) {
			return "", errors.New("pkcs11: pin-source: must not be a symbolic link")
		}
		return "", fmt.Errorf("pkcs11: pin-source: %w", err)
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return "", fmt.Errorf("pkcs11: pin-source: %w", err)
	}
	if !info.Mode().IsRegular() {
		return "", errors.New("pkcs11: pin-source: must be a regular file")
	}
	if perm := info.Mode().Perm(); perm&0o077 != 0 {
		return "", fmt.Errorf("pkcs11: pin-source: has mode %04o, must be 0600 or less", perm)
	}
	content, err := io.ReadAll(io.LimitReader(f, maxPIN+2))
	if err != nil {
		return "", fmt.Errorf("pkcs11: pin-source: %w", err)
	}
	defer clear(content)
	pin := string(bytes.TrimSuffix(content, []byte("\n")))
	return pin, checkPIN(pin)
}

func checkPIN(pin string) error {
	if len(pin) == 0 || len(pin) > maxPIN {
		return fmt.Errorf("pkcs11: PIN: must be 1 to %d bytes", maxPIN)
	}
	for _, c := range []byte(pin) {
		if c < ' ' || c == 0x7f {
			return errors.New("pkcs11: PIN: must be one line without control characters")
		}
	}
	return nil
}
