package seal

import "encoding/binary"

// appendUint adds a CBOR unsigned integer in its shortest form (RFC 8949,
// section 3.1, major type 0).
func appendUint(dst []byte, n uint64) []byte { return appendHead(dst, 0x00, n) }

// appendBytes adds a CBOR byte string of definite length (major type 2).
func appendBytes(dst, b []byte) []byte {
	return append(appendHead(dst, 0x40, uint64(len(b))), b...)
}

func appendHead(dst []byte, major byte, n uint64) []byte {
	switch {
	case n < 24:
		return append(dst, major|byte(n))
	case n < 1<<8:
		return append(dst, major|24, byte(n))
	case n < 1<<16:
		return binary.BigEndian.AppendUint16(append(dst, major|25), uint16(n))
	case n < 1<<32:
		return binary.BigEndian.AppendUint32(append(dst, major|26), uint32(n))
	}
	return binary.BigEndian.AppendUint64(append(dst, major|27), n)
}
