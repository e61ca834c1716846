package hd

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"

	"github.com/sallyport/sallyport/enclave/internal/keys"
)

// An extended private key (BIP-32, "Serialization format"): version, depth,
// parent's fingerprint, child number, chain code, a zero byte and the scalar,
// and four bytes of SHA-256 twice.
const (
	xprivSize    = 78 + checkSize
	checkSize    = 4
	depthAt      = 4
	chainAt      = 13
	keyAt        = 46
	xprivDigits  = 111 // of base 58: the first byte is 4, so it is always so many
	base58Digits = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
)

// version is that of private keys of Bitcoin's main network; its text begins
// with "xprv".
var version = [4]byte{0x04, 0x88, 0xad, 0xe4}

// XPriv returns the text of a master key of secp256k1: depth 0, no parent.
// Its time does not depend on the key.
func XPriv(key *keys.Secret, chainCode []byte) (*keys.Secret, error) {
	raw := key.Expose()
	if err := keys.Check(keys.Secp256k1, raw); err != nil {
		return nil, err
	}
	if len(chainCode) != chainSize {
		return nil, fmt.Errorf("chain code: must be %d bytes, not %d", chainSize, len(chainCode))
	}
	var b [xprivSize]byte
	defer clear(b[:])
	copy(b[:], version[:])
	copy(b[chainAt:], chainCode)
	copy(b[keyAt:], raw)
	check := checksum(b[:xprivSize-checkSize])
	copy(b[xprivSize-checkSize:], check[:])
	text := toBase58(&b)
	defer clear(text[:])
	return keys.NewSecret(text[:]), nil
}

// ParseXPriv reads an extended private key of secp256k1 for Bitcoin's main
// network, of any depth. Errors name the rule and nothing of the text.
func ParseXPriv(text string) (key *keys.Secret, chainCode []byte, err error) {
	if len(text) != xprivDigits {
		return nil, nil, fmt.Errorf("xprv: must be %d characters, not %d", xprivDigits, len(text))
	}
	b, ok := fromBase58(text)
	defer clear(b[:])
	if !ok {
		return nil, nil, errors.New("xprv: must be in base 58")
	}
	check := checksum(b[:xprivSize-checkSize])
	if subtle.ConstantTimeCompare(check[:], b[xprivSize-checkSize:]) != 1 {
		return nil, nil, errors.New("xprv: the checksum is wrong")
	}
	if [4]byte(b[:depthAt]) != version {
		return nil, nil, errors.New("xprv: must be a private key for the main network")
	}
	if b[depthAt] == 0 && [8]byte(b[depthAt+1:]) != [8]byte{} {
		return nil, nil, errors.New("xprv: a key of depth 0 must have no parent and no number")
	}
	if b[keyAt-1] != 0 {
		return nil, nil, errors.New("xprv: a zero byte must come before the key")
	}
	raw := b[keyAt : keyAt+keys.Size]
	if err := keys.Check(keys.Secp256k1, raw); err != nil {
		return nil, nil, fmt.Errorf("xprv: %w", err)
	}
	chainCode = append(chainCode, b[chainAt:chainAt+chainSize]...)
	return keys.NewSecret(raw), chainCode, nil
}

func checksum(b []byte) (out [checkSize]byte) {
	sum := sha256.Sum256(b)
	sum = sha256.Sum256(sum[:])
	return [checkSize]byte(sum[:])
}

// toBase58 writes one big-endian number. All loops have fixed bounds, and no
// address depends on a digit.
func toBase58(b *[xprivSize]byte) (out [xprivDigits]byte) {
	for _, carry := range b {
		c := uint32(carry)
		for i := xprivDigits - 1; i >= 0; i-- {
			c += uint32(out[i]) << 8
			out[i] = byte(c % 58)
			c /= 58
		}
	}
	for i, d := range out {
		digit := 0
		for value := range len(base58Digits) {
			same := subtle.ConstantTimeByteEq(d, byte(value))
			digit |= subtle.ConstantTimeSelect(same, int(base58Digits[value]), 0)
		}
		out[i] = byte(digit)
	}
	return out
}

// fromBase58 is the inverse; it is not ok with other characters. As many
// digits are below 2^651, and always fit.
func fromBase58(text string) (out [xprivSize]byte, ok bool) {
	all := 1
	for i := range xprivDigits {
		value, known := 0, 0
		for v := range len(base58Digits) {
			same := subtle.ConstantTimeByteEq(text[i], base58Digits[v])
			value |= subtle.ConstantTimeSelect(same, v, 0)
			known |= same
		}
		c := uint32(value)
		for j := xprivSize - 1; j >= 0; j-- {
			c += uint32(out[j]) * 58
			out[j] = byte(c)
			c >>= 8
		}
		all &= known
	}
	return out, all == 1
}
