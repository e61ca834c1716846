//go:build !cgo

package pkcs11

import (
	"context"
	"crypto/ecdh"
	"errors"
)

var errNoCgo = errors.New("pkcs11: this program was built without cgo and cannot load modules")

// Token is one token. In a program built without cgo there is none.
type Token struct{}

// Open fails, because modules are shared libraries of C.
func Open(uriText string, o Options) (*Token, error) {
	u, err := parseURI(uriText)
	if err != nil {
		return nil, err
	}
	if o.Role == "" {
		o.Role = RoleRoot
	}
	if err := u.fitRole(o.Role); err != nil {
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

// Signer is a signing key. Without cgo there is none.
type Signer struct{}

// GenerateSigner fails.
func (*Token) GenerateSigner(context.Context, Curve, string) (*Signer, error) { return nil, errNoCgo }

// FindSigner fails.
func (*Token) FindSigner(context.Context, []byte) (*Signer, error) { return nil, errNoCgo }

// Sign fails.
func (*Signer) Sign(context.Context, []byte) ([]byte, error) { return nil, errNoCgo }

// ID returns nothing.
func (*Signer) ID() []byte { return nil }

// Label returns nothing.
func (*Signer) Label() string { return "" }

// Curve returns nothing.
func (*Signer) Curve() Curve { return "" }

// Public returns nothing.
func (*Signer) Public() []byte { return nil }

// Operator is the key of an operator. Without cgo there is none.
type Operator struct{}

// GenerateOperator fails.
func (*Token) GenerateOperator(context.Context, string) (*Operator, error) { return nil, errNoCgo }

// FindOperator fails.
func (*Token) FindOperator(context.Context, []byte) (*Operator, error) { return nil, errNoCgo }

// Sign fails.
func (*Operator) Sign(context.Context, []byte) ([]byte, error) { return nil, errNoCgo }

// ECDH fails.
func (*Operator) ECDH(*ecdh.PublicKey) ([]byte, error) { return nil, errNoCgo }

// PublicKey returns nothing.
func (*Operator) PublicKey() *ecdh.PublicKey { return nil }

// Curve returns P-256.
func (*Operator) Curve() ecdh.Curve { return ecdh.P256() }

// ID returns nothing.
func (*Operator) ID() []byte { return nil }

// Label returns nothing.
func (*Operator) Label() string { return "" }

// Check fails.
func Check(context.Context, string, []string, Options) (*Report, error) { return nil, errNoCgo }
