package attestationtest

import "encoding/binary"

// CBOR major types that documents use, RFC 8949 section 3.1.
const (
	majorBytes = 2
	majorText  = 3
	majorArray = 4
	majorMap   = 5
)

// Null is the CBOR null of an option that is left out.
var Null = []byte{0xf6}

// Head encodes a major type with its argument in the shortest form.
func Head(major byte, argument uint64) []byte {
	m := major << 5
	switch {
	case argument < 24:
		return []byte{m | byte(argument)}
	case argument < 1<<8:
		return []byte{m | 24, byte(argument)}
	case argument < 1<<16:
		return binary.BigEndian.AppendUint16([]byte{m | 25}, uint16(argument))
	case argument < 1<<32:
		return binary.BigEndian.AppendUint32([]byte{m | 26}, uint32(argument))
	}
	return binary.BigEndian.AppendUint64([]byte{m | 27}, argument)
}

// Uint encodes an unsigned integer.
func Uint(n uint64) []byte { return Head(0, n) }

// Bytes encodes a byte string.
func Bytes(b []byte) []byte { return append(Head(majorBytes, uint64(len(b))), b...) }

// Text encodes a text string.
func Text(s string) []byte { return append(Head(majorText, uint64(len(s))), s...) }

func option(b []byte) []byte {
	if b == nil {
		return Null
	}
	return Bytes(b)
}
