package strictjson

import (
	"encoding/hex"
	"errors"
)

var errHex = errors.New("must be lower-case hex")

// Hex is bytes that JSON shows as lower-case hex without a prefix. Upper case
// is refused, so that equal bytes have one text.
type Hex []byte

// ParseHex returns the bytes that s, lower-case hex, stands for. Its error
// does not repeat s, which might be a private key.
func ParseHex(s string) ([]byte, error) {
	for i := range len(s) {
		if c := s[i]; 'A' <= c && c <= 'F' {
			return nil, errHex
		}
	}
	b, err := hex.DecodeString(s)
	if err != nil {
		return nil, errHex
	}
	return b, nil
}

// String returns the hex digits.
func (h Hex) String() string { return hex.EncodeToString(h) }

// MarshalText returns the hex digits.
func (h Hex) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h), nil }

// UnmarshalText sets h to the bytes that text stands for.
func (h *Hex) UnmarshalText(text []byte) error {
	b, err := ParseHex(string(text))
	if err != nil {
		return err
	}
	*h = b
	return nil
}
