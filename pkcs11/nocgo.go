//go:build !cgo

package pkcs11

import (
	"context"
	"errors"
)

var errNoCgo = errors.New("pkcs11: this program was built without cgo and cannot load modules")

// Token is one token. In a program built without cgo there is none.
type Token struct{}

// Open fails, because modules are shared libraries of C.
func Open(uriText string, _ Options) (*Token, error) {
	if _, err := parseURI(uriText); err != nil {
		return nil, err
	}
	return nil, errNoCgo
}

// Describe names the token for people.
func (*Token) Describe() string { return "PKCS#11 token, not available without cgo" }

// EnsureKey fails.
func (*Token) EnsureKey(context.Context) error { return errNoCgo }

// Wrap fails.
func (*Token) Wrap(context.Context, []byte) ([]byte, error) { return nil, errNoCgo }

// Unwrap fails.
func (*Token) Unwrap(context.Context, []byte) ([]byte, error) { return nil, errNoCgo }

// Close does nothing.
func (*Token) Close() error { return nil }
