package keys

import (
	"crypto/sha256"
	"slices"
)

const (
	bitcoinAlphabet = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
	rippleAlphabet  = "rpshnaf39wBUDNEGHJKLM4PQRST7VWXYZ2bcdeCg65jkm8oFqi1tuvAxyz"
	bech32Alphabet  = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
)

// base58 writes b as one big-endian number in base 58, with the first digit
// of the alphabet for each leading zero byte (draft-msporny-base58-03).
// It is for public values: its time depends on them.
func base58(b []byte, alphabet string) string {
	var digits []byte // of rising weight
	for _, carry := range b {
		c := int(carry)
		for i := range digits {
			c += int(digits[i]) << 8
			digits[i] = byte(c % 58)
			c /= 58
		}
		for ; c > 0; c /= 58 {
			digits = append(digits, byte(c%58))
		}
	}
	var out []byte
	for _, d := range b {
		if d != 0 {
			break
		}
		out = append(out, alphabet[0])
	}
	for _, d := range slices.Backward(digits) {
		out = append(out, alphabet[d])
	}
	return string(out)
}

// base58Check appends the first four bytes of SHA-256 twice.
func base58Check(b []byte, alphabet string) string {
	sum := sha256.Sum256(b)
	sum = sha256.Sum256(sum[:])
	return base58(append(slices.Clone(b), sum[:4]...), alphabet)
}

// bech32 is BIP-173: values are groups of five bits.
func bech32(hrp string, values []byte) string {
	check := uint32(1)
	for _, c := range []byte(hrp) {
		check = bech32Step(check, c>>5)
	}
	check = bech32Step(check, 0)
	for _, c := range []byte(hrp) {
		check = bech32Step(check, c&31)
	}
	out := append([]byte(hrp), '1')
	for _, v := range values {
		check = bech32Step(check, v)
		out = append(out, bech32Alphabet[v])
	}
	for range 6 {
		check = bech32Step(check, 0)
	}
	check ^= 1
	for i := range 6 {
		out = append(out, bech32Alphabet[check>>(5*(5-i))&31])
	}
	return string(out)
}

func bech32Step(check uint32, value byte) uint32 {
	top := check >> 25
	check = check&0x1ffffff<<5 ^ uint32(value)
	for i, g := range [5]uint32{0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3} {
		if top>>i&1 == 1 {
			check ^= g
		}
	}
	return check
}

// to5Bits regroups bits from eight to five, most significant first, and fills
// the last group with zeros.
func to5Bits(b []byte) []byte {
	var out []byte
	acc, n := uint(0), 0
	for _, v := range b {
		acc, n = acc<<8|uint(v), n+8
		for ; n >= 5; n -= 5 {
			out = append(out, byte(acc>>(n-5)&31))
		}
	}
	if n > 0 {
		out = append(out, byte(acc<<(5-n)&31))
	}
	return out
}

// crc16 is CRC-16/XMODEM: polynomial 0x1021, initial value 0.
func crc16(b []byte) uint16 {
	var crc uint16
	for _, v := range b {
		crc ^= uint16(v) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
	}
	return crc
}
