//go:build cgo

package pkcs11

import (
	"bytes"
	"context"
)

// A Signer is a signing key that a token made and keeps. It is safe for
// concurrent use.
type Signer struct{ pair *pair }

// GenerateSigner makes a key pair in the token, reads its attributes and its
// public key back, and signs with it once. The label must be new: 1 to 255
// bytes. Errors are [ErrKey] for a bad or doubled key, [ErrUnavailable] for a
// token without the curve.
func (t *Token) GenerateSigner(ctx context.Context, c Curve, label string) (*Signer, error) {
	if _, err := c.check(); err != nil {
		return nil, err
	}
	p, err := t.generatePair(ctx, signerKind(c), label)
	if err != nil {
		return nil, err
	}
	return &Signer{p}, nil
}

// FindSigner finds the one key with this CKA_ID, or the one that the URI names
// if id is nil, and treats it like a new one. Errors are [ErrKey] for a key
// that is missing, ambiguous, weak or half-written.
func (t *Token) FindSigner(ctx context.Context, id []byte) (*Signer, error) {
	p, err := t.findNamed(ctx, signerKind, id)
	if err != nil {
		return nil, err
	}
	return &Signer{p}, nil
}

// Sign signs a digest of 32 bytes, 48 for P-384; for Ed25519, a message of 1 to
// 65536 bytes. The signature is r and s, big endian, of 32 bytes each, 48 for
// P-384, with s at most half the order; for Ed25519, the 64 bytes of RFC 8032.
// It has been verified. [ErrUnavailable] may be tried again.
func (s *Signer) Sign(ctx context.Context, digest []byte) ([]byte, error) {
	return s.pair.sign(ctx, digest)
}

// ID returns CKA_ID, 1 to 64 bytes: what [Token.FindSigner] takes.
func (s *Signer) ID() []byte { return bytes.Clone(s.pair.id) }

// Label returns CKA_LABEL.
func (s *Signer) Label() string { return s.pair.label }

// Curve returns the curve.
func (s *Signer) Curve() Curve { return s.pair.kind.curve }

// Public returns the public key: the uncompressed point of SEC 1, 65 or 97
// bytes; for Ed25519, 32 bytes.
func (s *Signer) Public() []byte { return bytes.Clone(s.pair.public) }
