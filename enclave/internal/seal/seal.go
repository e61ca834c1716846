// Package seal encrypts what the appliance keeps at its host, so that each
// record opens only as the one object that it was sealed as.
//
// A record is
//
//	"SPS1" || u16be(len(header)) || header || nonce (12 bytes) || AES-256-GCM ciphertext and tag
//
// and everything before the nonce is the associated data. The header names the
// object (see header.go). Each record has a key of its own:
//
//	PRK = HKDF-Extract(SHA-256, salt = "sallyport root v1", root secret)
//	key = HKDF-Expand(SHA-256, PRK, "sallyport object key v1" || u32be(len(header)) || header, 32)
//
// The header holds 32 random bytes, so no two records share a key and the
// random nonce can never meet a key twice, not even after the host has rolled
// the appliance back and made it seal another plaintext as the same version.
//
// The package trusts its root secret and its source of randomness, and nothing
// in a record before that record has opened.
package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/sallyport/sallyport/enclave/internal/platform"
)

const (
	magic     = "SPS1"
	rootSalt  = "sallyport root v1"
	keyLabel  = "sallyport object key v1"
	rootSize  = 32
	saltSize  = 32
	nonceSize = 12
	tagSize   = 16

	// maxHeader is the longest header that Seal can make: 9 one-byte keys,
	// three 9-byte integers, two 1-byte ones, and byte strings of 16, 16, 32,
	// 48 and 32 bytes with at most 2 bytes of length each, in one map.
	maxHeader = 1 + 9 + 3*9 + 2 + (16 + 16 + 32 + 48 + 32) + 5*2

	// Overhead bounds how much longer a record is than its plaintext.
	Overhead = len(magic) + 2 + maxHeader + nonceSize + tagSize
)

// ErrForged means that the header names the object that was asked for, but the
// record was not sealed under this root secret, or was altered.
var ErrForged = errors.New("seal: record does not authenticate")

// Sealer seals and opens the records of one appliance. It is safe for
// concurrent use when its source of randomness is.
type Sealer struct {
	prk        []byte
	appliance  [applianceSize]byte
	assurance  uint
	writer     []byte
	randomness io.Reader
}

// New derives the sealing keys from the 32-byte root secret. The writer is the
// 48-byte PCR0 of the running image; records name it so that an audit can tell
// which release wrote them, and any release may open them.
//
// New panics when the root or the writer has another length, or when the
// assurance is unknown: both are checked where they enter the enclave.
func New(root []byte, appliance [16]byte, assurance platform.Assurance, writer []byte, rand io.Reader) *Sealer {
	if len(root) != rootSize || len(writer) != writerSize {
		panic("internal error: seal: root secret must have 32 bytes and writer 48")
	}
	prk, err := hkdf.Extract(sha256.New, root, []byte(rootSalt))
	if err != nil {
		panic("internal error: seal: extracting the root key")
	}
	return &Sealer{
		prk:        prk,
		appliance:  appliance,
		assurance:  assuranceNumber(assurance),
		writer:     append([]byte(nil), writer...),
		randomness: rand,
	}
}

// Format keeps the root key out of every way to print a Sealer.
func (s *Sealer) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "seal.Sealer(hidden)") }

// Seal encrypts plaintext as the named object. The result is never longer than
// the plaintext by more than [Overhead] bytes.
func (s *Sealer) Seal(o Object, plaintext []byte) ([]byte, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	var random [saltSize + nonceSize]byte
	if _, err := io.ReadFull(s.randomness, random[:]); err != nil {
		return nil, fmt.Errorf("seal: reading randomness: %v", err)
	}
	salt, nonce := random[:saltSize], random[saltSize:]

	record := make([]byte, 0, len(plaintext)+Overhead)
	record = append(record, magic...)
	record = append(record, 0, 0) // the header's length, known below
	record = s.header(o, s.writer, salt).append(record)
	prefix := len(record)
	binary.BigEndian.PutUint16(record[len(magic):], uint16(prefix-len(magic)-2))

	aead, err := s.aead(record[len(magic)+2:])
	if err != nil {
		return nil, err
	}
	record = append(record, nonce...)
	return aead.Seal(record, nonce, plaintext, record[:prefix]), nil
}

// Open decrypts a record that must have been sealed as the named object. A
// record of another object is refused with a [*MismatchError] before anything
// is decrypted; one that was altered or sealed under another root with
// [ErrForged]; any other bytes with [ErrMalformed].
func (s *Sealer) Open(o Object, record []byte) ([]byte, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	prefix, header, err := split(record)
	if err != nil {
		return nil, err
	}
	if err := s.match(o, header); err != nil {
		return nil, err
	}
	aead, err := s.aead(header)
	if err != nil {
		return nil, err
	}
	nonce, ciphertext := record[prefix:prefix+nonceSize], record[prefix+nonceSize:]
	plaintext, err := aead.Open(nil, nonce, ciphertext, record[:prefix])
	if err != nil {
		return nil, ErrForged
	}
	return plaintext, nil
}

// split returns where the associated data ends, and the header inside it.
func split(record []byte) (prefix int, header []byte, err error) {
	if len(record) < len(magic)+2 || string(record[:len(magic)]) != magic {
		return 0, nil, fmt.Errorf("%w: must begin with %s", ErrMalformed, magic)
	}
	size := int(binary.BigEndian.Uint16(record[len(magic):]))
	if size > maxHeader {
		return 0, nil, fmt.Errorf("%w: header must have at most %d bytes", ErrMalformed, maxHeader)
	}
	prefix = len(magic) + 2 + size
	if len(record) < prefix+nonceSize+tagSize {
		return 0, nil, fmt.Errorf("%w: cut short", ErrMalformed)
	}
	return prefix, record[len(magic)+2 : prefix], nil
}

// aead returns the cipher of the one record that has this header.
func (s *Sealer) aead(header []byte) (cipher.AEAD, error) {
	info := make([]byte, 0, len(keyLabel)+4+maxHeader)
	info = append(info, keyLabel...)
	info = binary.BigEndian.AppendUint32(info, uint32(len(header)))
	info = append(info, header...)
	key, err := hkdf.Expand(sha256.New, s.prk, string(info), 32)
	if err != nil {
		return nil, fmt.Errorf("seal: deriving the object key: %v", err)
	}
	defer clear(key)
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("seal: object key: %v", err)
	}
	return cipher.NewGCM(block)
}
