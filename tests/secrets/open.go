package secrets

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/fxamacker/cbor/v2"
)

// Whoever has the root secret can open the store. This does it from the words
// of the format alone, and shares no code with the enclave:
//
//	record = "SPS1" || length of header, u16be || header || nonce, 12 || AES-256-GCM
//	associated data = all before the nonce
//	key = HKDF-Expand(HKDF-Extract(root, "sallyport root v1"), "sallyport object key v1" || lp(header))

const (
	magic     = "SPS1"
	nonceSize = 12
)

// Kinds of sealed objects.
const (
	kindJournal  = 1
	kindShare    = 2
	kindIdentity = 3
)

// An opened is a record in the clear, with the key that it was sealed by.
type opened struct {
	kind  uint
	plain []byte
	key   []byte
}

// rootKey is the pseudo-random key of a root secret.
func rootKey(root []byte) ([]byte, error) {
	return hkdf.Extract(sha256.New, root, []byte("sallyport root v1"))
}

func open(root, record []byte) (*opened, error) {
	if len(record) < len(magic)+2 || string(record[:4]) != magic {
		return nil, errors.New("not a record")
	}
	end := 6 + int(binary.BigEndian.Uint16(record[4:]))
	if len(record) < end+nonceSize {
		return nil, errors.New("record is cut short")
	}
	head := record[6:end]
	var fields struct {
		Kind uint `cbor:"2,keyasint"`
	}
	if err := cbor.Unmarshal(head, &fields); err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	prk, err := rootKey(root)
	if err != nil {
		return nil, err
	}
	info := binary.BigEndian.AppendUint32([]byte("sallyport object key v1"), uint32(len(head)))
	key, err := hkdf.Expand(sha256.New, prk, string(append(info, head...)), 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	plain, err := aead.Open(nil, record[end:end+nonceSize], record[end+nonceSize:], record[:end])
	if err != nil {
		return nil, err
	}
	return &opened{fields.Kind, plain, key}, nil
}
