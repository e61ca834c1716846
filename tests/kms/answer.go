package kms

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
)

// The parts of an answer that never change, in DER: RFC 5652, 4055 and 3565.
var (
	envelopedData = []byte("\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x03")
	data          = []byte("\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01")
	two           = []byte("\x02\x01\x02")
	sha256Name    = []byte("\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00")
	mgf1          = []byte("\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x08")
	oaep          = []byte("\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x07")
	aes256CBC     = []byte("\x06\x09\x60\x86\x48\x01\x65\x03\x04\x01\x2a")
)

// answer encrypts to the key of a document, a DER SubjectPublicKeyInfo, in the
// form that KMS was seen to have: CMS EnvelopedData, the lengths of the outer
// parts left open, and the ciphertext in one of two ways.
func answer(public, plaintext []byte, atOnce bool) ([]byte, error) {
	random := make([]byte, 32+aes.BlockSize)
	if _, err := rand.Read(random); err != nil {
		return nil, err
	}
	key, iv := random[:32], random[32:]
	wrapped, err := encryptTo(public, key)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	pad := aes.BlockSize - len(plaintext)%aes.BlockSize
	content := append(bytes.Clone(plaintext), bytes.Repeat([]byte{byte(pad)}, pad)...)
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(content, content)

	name := sha256.Sum256(public) // of what KMS takes the hash is not documented
	algorithm := sized(0x30, oaep, sized(0x30, sized(0xa0, sha256Name), sized(0xa1, sized(0x30, mgf1, sha256Name))))
	recipient := sized(0x30, two, sized(0x80, name[:]), algorithm, sized(0x04, wrapped))
	sealed := unsized(0xa0, sized(0x04, content))
	if atOnce {
		sealed = sized(0x80, content)
	}
	encrypted := unsized(0x30, data, sized(0x30, aes256CBC, sized(0x04, iv)), sealed)
	enveloped := unsized(0x30, two, sized(0x31, recipient), encrypted)
	return unsized(0x30, envelopedData, unsized(0xa0, enveloped)), nil
}

// sized is a DER value of less than 64 KiB.
func sized(tag byte, parts ...[]byte) []byte {
	body := bytes.Join(parts, nil)
	head := []byte{tag, 0x82, byte(len(body) >> 8), byte(len(body))}
	switch {
	case len(body) < 0x80:
		head = []byte{tag, byte(len(body))}
	case len(body) < 0x100:
		head = []byte{tag, 0x81, byte(len(body))}
	}
	return append(head, body...)
}

// unsized is a BER value that two zero bytes end.
func unsized(tag byte, parts ...[]byte) []byte {
	return append(append([]byte{tag, 0x80}, bytes.Join(parts, nil)...), 0, 0)
}
