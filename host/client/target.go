package client

import (
	"crypto/ecdh"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/sallyport/sallyport/attestation/bundle"
)

// TargetKey is the key that one export is sealed to. Whoever has its private
// half can open the export, for as long as a copy of the bundle exists: forget
// it when the export is opened. It prints as its public half only;
// [TargetKey.PrivateHex] is the one way out for the private half.
type TargetKey struct{ private *ecdh.PrivateKey }

// NewTargetKey makes a target key.
func NewTargetKey() (*TargetKey, error) {
	k, err := bundle.NewTarget(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making a target key: %w", err)
	}
	return &TargetKey{k}, nil
}

// ParseTargetKey reads a target key from its two hex forms: the uncompressed
// public point (65 bytes) and the private scalar (32 bytes). It refuses halves
// that do not belong together.
func ParseTargetKey(publicHex, privateHex string) (*TargetKey, error) {
	raw, err := hex.DecodeString(privateHex)
	if err != nil || len(raw) != 32 {
		return nil, errors.New("target private key: must be 64 hex digits")
	}
	k, err := ecdh.P256().NewPrivateKey(raw)
	if err != nil {
		return nil, errors.New("target private key: is not a scalar of P-256")
	}
	t := &TargetKey{k}
	if t.PublicHex() != publicHex {
		return nil, errors.New("target public key: does not belong to the private key")
	}
	return t, nil
}

// PublicHex is the uncompressed public point, 65 bytes, as lower-case hex.
func (t *TargetKey) PublicHex() string { return hex.EncodeToString(t.private.PublicKey().Bytes()) }

// PrivateHex is the private scalar, 32 bytes, as lower-case hex. It goes to a
// file that only its owner reads, and nowhere else.
func (t *TargetKey) PrivateHex() string { return hex.EncodeToString(t.private.Bytes()) }

// Format prints the public half, whatever the verb.
func (t *TargetKey) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "TargetKey(%s)", t.PublicHex())
}

// LogValue logs the public half.
func (t *TargetKey) LogValue() slog.Value { return slog.StringValue(t.PublicHex()) }

// MarshalText refuses: a key is written field by field, on purpose.
func (t *TargetKey) MarshalText() ([]byte, error) {
	return nil, errors.New("target key: does not marshal")
}

// Secret is an exported private key: 32 bytes. It does not print.
type Secret []byte

// String is the length.
func (s Secret) String() string { return fmt.Sprintf("Secret(%d bytes)", len(s)) }

// Format prints the length, whatever the verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// LogValue logs the length.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText refuses: a secret is written on purpose, with [Secret.Hex].
func (s Secret) MarshalText() ([]byte, error) { return nil, errors.New("secret: does not marshal") }

// Hex is the secret as lower-case hex.
func (s Secret) Hex() string { return hex.EncodeToString(s) }
