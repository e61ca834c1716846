package node

import (
	"encoding/hex"
	"io"
)

// A uid is the id of a user, rule, policy or key share: a UUID of version 8
// (RFC 9562, section 5.8) of random bytes.
type uid [16]byte

const uidText = 36 // 8-4-4-4-12 and four hyphens

func newID(rand io.Reader) (uid, error) {
	var b uid
	if _, err := io.ReadFull(rand, b[:]); err != nil {
		return uid{}, err
	}
	return b.stamped(), nil
}

// stamped sets version and variant.
func (u uid) stamped() uid {
	u[6] = u[6]&0x0f | 0x80
	u[8] = u[8]&0x3f | 0x80
	return u
}

func (u uid) String() string {
	var b [uidText]byte
	hex.Encode(b[0:8], u[0:4])
	b[8] = '-'
	hex.Encode(b[9:13], u[4:6])
	b[13] = '-'
	hex.Encode(b[14:18], u[6:8])
	b[18] = '-'
	hex.Encode(b[19:23], u[8:10])
	b[23] = '-'
	hex.Encode(b[24:36], u[10:16])
	return string(b[:])
}

// MarshalText writes the id as JSON strings show it.
func (u uid) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

// parseID reads the one accepted text form: lower-case hex with hyphens.
func parseID(s string) (uid, bool) {
	var out uid
	if len(s) != uidText || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return out, false
	}
	raw, err := hex.DecodeString(s[0:8] + s[9:13] + s[14:18] + s[19:23] + s[24:36])
	if err != nil {
		return out, false
	}
	copy(out[:], raw)
	return out, out.String() == s
}
