package shares

import (
	"crypto/sha256"
	"errors"
	"math/big"
)

// XPriv returns the extended private key of a master key on secp256k1, as text:
// BIP-32, serialization format, version 0x0488ADE4, depth 0.
func XPriv(key, chainCode []byte) (string, error) {
	if len(key) != scalarSize || len(chainCode) != chainSize {
		return "", errors.New("xprv: key and chain code must be 32 bytes each")
	}
	b := make([]byte, 0, 82)
	defer func() { clear(b[:cap(b)]) }()
	b = append(b, 0x04, 0x88, 0xAD, 0xE4)
	b = append(b, make([]byte, 1+4+4)...) // depth, parent's fingerprint, child number
	b = append(b, chainCode...)
	b = append(b, 0)
	b = append(b, key...)
	first := sha256.Sum256(b)
	second := sha256.Sum256(first[:])
	return base58(append(b, second[:4]...)), nil
}

const base58Digits = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"

// base58 writes a number whose first byte is not zero.
func base58(b []byte) string {
	n, radix, digit := new(big.Int).SetBytes(b), big.NewInt(58), new(big.Int)
	var out []byte
	for n.Sign() > 0 {
		n.DivMod(n, radix, digit)
		out = append(out, base58Digits[digit.Int64()])
	}
	for i, j := 0, len(out)-1; i < j; i, j = i+1, j-1 {
		out[i], out[j] = out[j], out[i]
	}
	return string(out)
}
