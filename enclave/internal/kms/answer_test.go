package kms

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"hash"
	"testing"
)

// An answer is one of KMS, piece by piece, so that a test can spoil any of them.
// It shares no code with the parser.
type answer struct {
	outer, wrapper, data, encryptedInfo func(...[]byte) []byte // around the open parts
	set, recipient                      func(...[]byte) []byte

	contentType, version, recipientVersion, keyID, algorithm []byte
	dataType, cipherAlgorithm                                []byte
	wrapped, iv, content, before, after, tail                []byte
}

// tlv is a value of a definite length, in its shortest form.
func tlv(tag byte) func(...[]byte) []byte {
	return func(parts ...[]byte) []byte {
		body := bytes.Join(parts, nil)
		switch n := len(body); {
		case n < 128:
			return append([]byte{tag, byte(n)}, body...)
		case n < 256:
			return append([]byte{tag, 0x81, byte(n)}, body...)
		default:
			return append([]byte{tag, 0x82, byte(n >> 8), byte(n)}, body...)
		}
	}
}

// openTLV is a value of an indefinite length.
func openTLV(tag byte) func(...[]byte) []byte {
	return func(parts ...[]byte) []byte {
		return append(append([]byte{tag, 0x80}, bytes.Join(parts, nil)...), 0, 0)
	}
}

func oid(b ...byte) []byte { return tlv(6)(b) }

func octets(b []byte) []byte { return tlv(4)(b) }

func null() []byte { return []byte{5, 0} }

func sha256ID() []byte { return tlv(0x30)(oid(0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1), null()) }

// bareID is sha256ID with no parameter.
func bareID() []byte { return tlv(0x30)(oid(0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1)) }

func sha1ID() []byte { return tlv(0x30)(oid(0x2b, 0x0e, 3, 2, 0x1a), null()) }

func oaepID(parameters ...[]byte) []byte {
	return tlv(0x30)(oid(0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 7), tlv(0x30)(parameters...))
}

func mgf1ID(inner []byte) []byte {
	return tlv(0xa1)(tlv(0x30)(oid(0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 8), inner))
}

// newAnswer encrypts a plaintext with its padding, as KMS does.
func newAnswer(tb testing.TB, public *rsa.PublicKey, padded []byte) *answer {
	tb.Helper()
	contentKey := make([]byte, 32)
	rand.Read(contentKey)
	a := &answer{
		outer: openTLV(0x30), wrapper: openTLV(0xa0), data: openTLV(0x30), encryptedInfo: openTLV(0x30),
		set: tlv(0x31), recipient: tlv(0x30),
		contentType: oid(0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 3),
		version:     []byte{2, 1, 2}, recipientVersion: []byte{2, 1, 2},
		keyID:           tlv(0x80)(make([]byte, 32)),
		algorithm:       oaepID(tlv(0xa0)(sha256ID()), mgf1ID(sha256ID())),
		dataType:        oid(0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 1),
		cipherAlgorithm: oid(0x60, 0x86, 0x48, 1, 0x65, 3, 4, 1, 0x2a),
		iv:              make([]byte, 16),
	}
	rand.Read(a.iv)
	a.wrap(tb, public, sha256.New(), contentKey)
	a.content = openTLV(0xa0)(octets(encrypt(tb, contentKey, a.iv, padded)))
	return a
}

func (a *answer) wrap(tb testing.TB, public *rsa.PublicKey, h hash.Hash, contentKey []byte) {
	tb.Helper()
	wrapped, err := rsa.EncryptOAEP(h, rand.Reader, public, contentKey, nil)
	if err != nil {
		tb.Fatal(err)
	}
	a.wrapped = octets(wrapped)
}

func encrypt(tb testing.TB, key, iv, padded []byte) []byte {
	tb.Helper()
	block, err := aes.NewCipher(key)
	if err != nil {
		tb.Fatal(err)
	}
	out := make([]byte, len(padded))
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(out, padded)
	return out
}

func (a *answer) bytes() []byte {
	recipient := a.recipient(a.recipientVersion, a.keyID, a.algorithm, a.wrapped)
	info := a.encryptedInfo(a.dataType, tlv(0x30)(a.cipherAlgorithm, octets(a.iv)), a.content)
	data := a.data(a.version, a.before, a.set(recipient), info, a.after)
	return append(a.outer(a.contentType, a.wrapper(data)), a.tail...)
}

// padded is a secret with its PKCS #7 padding.
func padded(secret []byte) []byte {
	n := 16 - len(secret)%16
	return append(bytes.Clone(secret), bytes.Repeat([]byte{byte(n)}, n)...)
}
