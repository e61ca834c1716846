// Package hd derives child keys from a key that exists in shares only: what is
// added to the private key follows from public key and chain code alone
// (BIP-32, public derivation), so each signer computes it by itself and no
// share is touched. Paths come from callers and are not trusted. The package
// also reads and writes extended private keys, for keys that leave whole.
//
// Who holds a parent's public key and chain code and one child's private key
// can compute the parent's private key (BIP-32, "Security"): exporting a
// child is exporting its tree.
package hd

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha512"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/sallyport/sallyport/enclave/internal/keys"
)

const (
	// MaxDepth is what the depth byte of an extended key can count.
	MaxDepth = 255
	// Hardened is the first index that needs the private key.
	Hardened = uint32(1) << 31

	chainSize = 32
)

// A step is one key of the path, on one curve.
type step interface {
	// data is what is hashed before the index: 33 bytes.
	data() []byte
	// add adds left, a big-endian number, to the key and to the sum so far.
	add(left *[32]byte) error
	// result returns the public key, and the sum as 32 bytes big endian.
	result() (public, delta []byte)
}

// Derive follows a path from a public key (33 bytes compressed on secp256k1, 32
// bytes on Ed25519) and its chain code (32 bytes). It returns the child's
// public key in the same form, its chain code, and delta, the number modulo the group
// order that the child's private key is above the parent's: 32 bytes big
// endian, nil for an empty path, where there is nothing to add.
//
// For secp256k1 each step is CKDpub of BIP-32. For Ed25519, which BIP-32 does not
// cover and SLIP-10 covers for hardened indices only, it is the same with the group's
// order L and base point B, and in place of the compressed point a zero byte
// and the encoded point A (RFC 8032, section 5.1.2):
//
//	I = HMAC-SHA512(chain code, 0x00 || A || index as 4 bytes big endian)
//	child = A + (I[0:32] as a big-endian number, modulo L) B
//	child's chain code = I[32:64]
//
// A child's private key is then a scalar without a seed. Indices from 2^31 on
// are refused. So are, with a chance below 2^-127, indices that BIP-32 says to skip.
func Derive(c keys.Curve, public, chainCode []byte, path []uint32) (child, childChain, delta []byte, err error) {
	if len(chainCode) != chainSize {
		return nil, nil, nil, fmt.Errorf("chain code: must be %d bytes, not %d", chainSize, len(chainCode))
	}
	if len(path) > MaxDepth {
		return nil, nil, nil, fmt.Errorf("path: must have at most %d indices, not %d", MaxDepth, len(path))
	}
	at, err := newStep(c, public)
	if err != nil {
		return nil, nil, nil, err
	}
	chain := bytes.Clone(chainCode)
	for i, index := range path {
		if index >= Hardened {
			return nil, nil, nil, fmt.Errorf("path: index %d is hardened: it must be below 2^31", i)
		}
		mac := hmac.New(sha512.New, chain)
		mac.Write(at.data())
		mac.Write(binary.BigEndian.AppendUint32(nil, index))
		sum := mac.Sum(nil)
		if err := at.add((*[32]byte)(sum)); err != nil {
			return nil, nil, nil, fmt.Errorf("path: index %d: %w", i, err)
		}
		chain = sum[32:]
	}
	child, delta = at.result()
	if len(path) == 0 {
		delta = nil
	}
	return child, chain, delta, nil
}

func newStep(c keys.Curve, public []byte) (step, error) {
	switch c {
	case keys.Secp256k1:
		return newSecp256k1(public)
	case keys.Ed25519:
		return newEd25519(public)
	default:
		return nil, fmt.Errorf("path: keys of %v have no children", c)
	}
}

// errNoChild is the case that BIP-32 calls invalid.
var errNoChild = errors.New("gives no key: use the next one")
