package keys

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log/slog"
)

// redacted is what a Secret looks like wherever it is printed.
const redacted = "[secret]"

var errSecret = errors.New("keys: a secret cannot be encoded")

// A Secret is key material. It cannot be printed, logged, encoded or compared
// with ==; the only way out is [Secret.Expose]. Pass it by pointer; the zero
// Secret and nil hold nothing. Copies share their bytes.
//
// A Secret is not safe for concurrent use with Erase.
type Secret struct {
	// The bytes stand behind a closure, where reflection cannot follow.
	// Behind a pointer they would be printed: fmt calls no methods on
	// unexported fields, and %s of a struct that holds one follows it.
	bytes func() *[]byte
}

// NewSecret copies b. The caller still owns b and should wipe it.
func NewSecret(b []byte) *Secret {
	c := make([]byte, len(b))
	copy(c, b)
	return &Secret{bytes: func() *[]byte { return &c }}
}

// Expose returns the bytes themselves, not a copy: they are zeroed by Erase
// and must not be changed. It is nil once erased.
func (s *Secret) Expose() []byte {
	if s == nil || s.bytes == nil {
		return nil
	}
	return *s.bytes()
}

// Erase zeroes the bytes. It may be called any number of times, and on nil.
func (s *Secret) Erase() {
	if s == nil || s.bytes == nil {
		return
	}
	p := s.bytes()
	clear(*p)
	*p = nil
}

// Equal compares in constant time. Lengths are not secret.
func (s *Secret) Equal(t *Secret) bool {
	return subtle.ConstantTimeCompare(s.Expose(), t.Expose()) == 1
}

// Format implements [fmt.Formatter] for every verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// String implements [fmt.Stringer].
func (s Secret) String() string { return redacted }

// LogValue implements [slog.LogValuer].
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText fails: encoding/json keys and encoding/xml come this way.
func (s Secret) MarshalText() ([]byte, error) { return nil, errSecret }

// MarshalJSON fails.
func (s Secret) MarshalJSON() ([]byte, error) { return nil, errSecret }

// MarshalBinary fails.
func (s Secret) MarshalBinary() ([]byte, error) { return nil, errSecret }

// MarshalCBOR fails.
func (s Secret) MarshalCBOR() ([]byte, error) { return nil, errSecret }

// GobEncode fails.
func (s Secret) GobEncode() ([]byte, error) { return nil, errSecret }
