// Package secrets looks for secrets where they must not be: in the host's
// store, in what the processes print, and in the frames at the door between
// them. Its test tells a story on real processes and then looks for every
// secret that the story had: exported keys, API keys, the root secret and
// what derives from it, the quorum key, and the shares.
package secrets

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math/big"
	"strconv"
	"strings"
)

// A Secret is some bytes with the name by which a finding is reported.
type Secret struct {
	Name  string
	Bytes []byte
}

// A form is one way to write a secret.
type form struct {
	name  string
	bytes []byte
}

// forms are the ways in which a secret may show: as bytes, as text in the
// usual encodings, and as Go prints it. Halves are looked for too, so that a
// secret that is cut, as by a page of a database, is still found.
func (s Secret) forms() []form {
	b := s.Bytes
	half := len(b) / 2
	list := []form{
		{"raw", b},
		{"first half", b[:half]},
		{"second half", b[half:]},
		{"reversed", reversed(b)},
		{"hex", hexOf(b)},
		{"hex of the first half", hexOf(b[:half])},
		{"hex of the second half", hexOf(b[half:])},
		{"HEX", bytes.ToUpper(hexOf(b))},
		{"HEX of the first half", bytes.ToUpper(hexOf(b[:half]))},
		{"hex with spaces", fmt.Appendf(nil, "% x", b)},
		{"hex with colons", bytes.ReplaceAll(fmt.Appendf(nil, "% x", b), []byte(" "), []byte(":"))},
		{"a Go slice", []byte(strings.Trim(fmt.Sprintf("%d", b), "[]"))},
		{"a JSON array", []byte(strings.ReplaceAll(strings.Trim(fmt.Sprintf("%d", b), "[]"), " ", ","))},
		{"a number", []byte(new(big.Int).SetBytes(b).String())},
		{"quoted", []byte(strings.Trim(strconv.Quote(string(b)), `"`))},
		{"hex of the hex", hexOf(hexOf(b))},
		{"base64 of the hex", trimmed(base64.StdEncoding, hexOf(b), 0)},
	}
	for shift := range 3 {
		list = append(list,
			form{"base64", trimmed(base64.StdEncoding, b, shift)},
			form{"base64url", trimmed(base64.URLEncoding, b, shift)})
	}
	return list
}

func hexOf(b []byte) []byte { return hex.AppendEncode(nil, b) }

func reversed(b []byte) []byte {
	r := make([]byte, len(b))
	for i, c := range b {
		r[len(b)-1-i] = c
	}
	return r
}

// trimmed encodes a secret that stands at a multiple of 3 bytes and some more
// in what is encoded, and leaves out the digits that its neighbours change.
func trimmed(e *base64.Encoding, b []byte, shift int) []byte {
	text := e.EncodeToString(append(make([]byte, shift), b...))
	from := 0
	if shift > 0 {
		from = 4 // the first group has neighbours in it
	}
	to := (shift + len(b)) / 3 * 4
	return []byte(text[from:to])
}

// A Scanner looks for many secrets.
type Scanner struct {
	secrets []Secret
}

// NewScanner makes a scanner. It refuses secrets that are too short to be
// found without mistaking something else for them.
func NewScanner(secrets ...Secret) (*Scanner, error) {
	for _, s := range secrets {
		if len(s.Bytes) < 16 {
			return nil, fmt.Errorf("secret %q has only %d bytes", s.Name, len(s.Bytes))
		}
	}
	return &Scanner{secrets}, nil
}

// Find returns what of the secrets stands in some bytes, by name and form.
func (s *Scanner) Find(haystack []byte) []string {
	var found []string
	for _, secret := range s.secrets {
		for _, f := range secret.forms() {
			if i := bytes.Index(haystack, f.bytes); i >= 0 {
				found = append(found, fmt.Sprintf("%s as %s at byte %d", secret.Name, f.name, i))
			}
		}
	}
	return found
}
