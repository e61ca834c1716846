//go:build local

package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/sallyport/sallyport/enclave/internal/platform"
	"github.com/sallyport/sallyport/pkcs11"
)

const rootSize = 32

// openRoot chooses the root by its address.
func openRoot(address string) (platform.Root, error) {
	if address == "ceremony" {
		return ceremonyRoot{}, nil
	}
	if path, ok := strings.CutPrefix(address, "file:"); ok {
		return fileRoot(path), nil
	}
	if strings.HasPrefix(address, "pkcs11:") {
		uri, path, ok := strings.Cut(address, ";wrapped=")
		if !ok {
			return nil, errors.New("-root: a PKCS#11 URI needs ;wrapped=PATH after it, for the wrapped root secret")
		}
		return openTokenRoot(uri, path)
	}
	return nil, errors.New("-root must be file:PATH, pkcs11:...;wrapped=PATH, or ceremony")
}

// A ceremonyRoot is none of this machine's: the manifest says how the root comes.
type ceremonyRoot struct{}

func (ceremonyRoot) Describe() string { return "ceremony: the holders that the manifest names give it" }

func (ceremonyRoot) Create(context.Context, []byte) error {
	return errors.New("-root ceremony: the manifest file must be there, signed by its operators: sallyport manifest new")
}

func (ceremonyRoot) Secret(context.Context) ([]byte, error) { return nil, platform.ErrNoRoot }

// A fileRoot is a file with the root secret in hex. It protects nothing.
type fileRoot string

func (f fileRoot) Describe() string {
	return "file: the root secret lies on this disk and protects nothing"
}

// Create keeps the secret in a file that only its owner may read.
func (f fileRoot) Create(_ context.Context, secret []byte) error {
	if _, err := os.Stat(string(f)); err == nil {
		return fmt.Errorf("root file %s: %w", string(f), fs.ErrExist)
	}
	return writeFile(string(f), []byte(hex.EncodeToString(secret)+"\n"), 0o600)
}

// Secret reads the file. What it holds never shows in an error.
func (f fileRoot) Secret(context.Context) ([]byte, error) {
	text, err := os.ReadFile(string(f))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, platform.ErrNoRoot
	}
	if err != nil {
		return nil, err
	}
	secret, err := hex.DecodeString(strings.TrimSuffix(string(text), "\n"))
	if err != nil || len(secret) != rootSize {
		return nil, fmt.Errorf("root file %s: it must hold %d hex digits", string(f), 2*rootSize)
	}
	return secret, nil
}

// A tokenRoot keeps the root secret wrapped by a key of a PKCS#11 token.
type tokenRoot struct {
	token *pkcs11.Token
	path  string // the wrapped secret
}

func openTokenRoot(uri, path string) (platform.Root, error) {
	token, err := pkcs11.Open(uri, pkcs11.Options{})
	if err != nil {
		return nil, err
	}
	return &tokenRoot{token, path}, nil
}

func (t *tokenRoot) Describe() string {
	return "PKCS#11 token: this process sees the unwrapped root; a software token protects nothing"
}

// Create makes the token's key if it is not there, and wraps the secret.
func (t *tokenRoot) Create(ctx context.Context, secret []byte) error {
	if _, err := os.Stat(t.path); err == nil {
		return fmt.Errorf("wrapped root %s: %w", t.path, fs.ErrExist)
	}
	if err := t.token.EnsureKey(ctx); err != nil {
		return err
	}
	wrapped, err := t.token.Wrap(ctx, secret)
	if err != nil {
		return err
	}
	return writeFile(t.path, wrapped, 0o600)
}

// Secret unwraps the secret in the token.
func (t *tokenRoot) Secret(ctx context.Context) ([]byte, error) {
	wrapped, err := os.ReadFile(t.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, platform.ErrNoRoot
	}
	if err != nil {
		return nil, err
	}
	return t.token.Unwrap(ctx, wrapped)
}
