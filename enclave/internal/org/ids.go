package org

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
)

// An id is a UUID of version 8 (RFC 9562, section 5.8). All ids but an
// organization's are SHA-256 of a label, the organization and the fingerprint
// of the request that made the thing, so that every member of a key group
// derives the same ones and a repeated request cannot make a second thing.
type id [16]byte

const idText = 36 // 8-4-4-4-12 and four hyphens

func (i id) String() string {
	var b [idText]byte
	hex.Encode(b[0:8], i[0:4])
	b[8] = '-'
	hex.Encode(b[9:13], i[4:6])
	b[13] = '-'
	hex.Encode(b[14:18], i[6:8])
	b[18] = '-'
	hex.Encode(b[19:23], i[8:10])
	b[23] = '-'
	hex.Encode(b[24:36], i[10:16])
	return string(b[:])
}

// MarshalText writes the id as JSON strings show it.
func (i id) MarshalText() ([]byte, error) { return []byte(i.String()), nil }

// parseID reads the one accepted text form: lower-case hex with hyphens.
func parseID(s string) (id, bool) {
	var out id
	if len(s) != idText || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return out, false
	}
	raw := s[0:8] + s[9:13] + s[14:18] + s[19:23] + s[24:36]
	for _, c := range []byte(raw) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return out, false
		}
	}
	_, err := hex.Decode(out[:], []byte(raw))
	return out, err == nil
}

// uuid8 cuts a hash to a version 8 UUID.
func uuid8(sum [32]byte) id {
	out := id(sum[:16])
	out[6] = out[6]&0x0f | 0x80
	out[8] = out[8]&0x3f | 0x80
	return out
}

const (
	organizationIDLabel = "sallyport organization id v1"
	objectIDLabel       = "sallyport object id v1"
)

// organizationID commits to the founding body.
func organizationID(foundingBody []byte) id {
	return uuid8(sha256.Sum256(append([]byte(organizationIDLabel), foundingBody...)))
}

// objectID names the index-th object of a kind that the request with this
// fingerprint made in an organization.
func objectID(kind string, org id, made fingerprint, index int) id {
	b := make([]byte, 0, 128)
	b = append(b, objectIDLabel...)
	b = append(b, byte(len(kind)))
	b = append(b, kind...)
	b = append(b, org[:]...)
	b = append(b, made[:]...)
	b = binary.BigEndian.AppendUint32(b, uint32(index))
	return uuid8(sha256.Sum256(b))
}

// deniedID names the denial of one user's request. It has the user in it
// because the same body from another user may be allowed, and is then the
// activity that the body names.
func deniedID(org, user id, made fingerprint) id {
	return objectID("denied "+user.String(), org, made, 0)
}

// A fingerprint is SHA-256 of a request's exact body. It names an activity.
type fingerprint [32]byte

const fingerprintPrefix = "sha256:"

func fingerprintOf(body []byte) fingerprint { return sha256.Sum256(body) }

func (f fingerprint) String() string { return fingerprintPrefix + hex.EncodeToString(f[:]) }

func parseFingerprint(s string) (fingerprint, bool) {
	var f fingerprint
	if len(s) != len(fingerprintPrefix)+2*len(f) || s[:len(fingerprintPrefix)] != fingerprintPrefix {
		return f, false
	}
	digits := s[len(fingerprintPrefix):]
	_, err := hex.Decode(f[:], []byte(digits))
	return f, err == nil && hex.EncodeToString(f[:]) == digits
}
