package main

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ed25519"
	"encoding/hex"
	"fmt"
	"os"
	"unicode/utf8"
)

// compareKey checks that an opened key of 32 bytes belongs to the public key
// that the enclave stated. It returns what was found, for the report. The
// statement does not name the curve, so both curves of compressed keys count.
func compareKey(key []byte, public string) (found string, err error) {
	want, err := hex.DecodeString(public)
	if err != nil {
		return "", err
	}
	if len(key) != 32 {
		return "", nil // a mnemonic: what is derived from it is not known here
	}
	switch {
	case len(want) == ed25519.PublicKeySize:
		if bytes.Equal(want, ed25519.NewKeyFromSeed(key).Public().(ed25519.PublicKey)) {
			return "Ed25519", nil
		}
	case bytes.Equal(want, secpPublic(key)):
		return "secp256k1", nil
	case bytes.Equal(want, p256Public(key)):
		return "P-256", nil
	}
	return "", &refusal{"key", "the opened key is not that of the stated public key"}
}

// p256Public returns the compressed public key, or nil for a scalar that is
// none.
func p256Public(scalar []byte) []byte {
	key, err := ecdh.P256().NewPrivateKey(scalar)
	if err != nil {
		return nil
	}
	b := key.PublicKey().Bytes()
	return append([]byte{2 + b[64]&1}, b[1:33]...)
}

// writeKey writes an opened key to a new file that only its owner can read. It
// never writes over a file.
func writeKey(path string, key []byte) error {
	text := key
	if len(key) == 32 || !utf8.Valid(key) {
		text = append(hex.AppendEncode(nil, key), '\n')
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return &usageError{fmt.Sprintf("--out: %v", err)}
	}
	_, err = f.Write(text)
	if syncErr := f.Sync(); err == nil {
		err = syncErr
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		_ = os.Remove(path)
		return &usageError{fmt.Sprintf("--out: %v", err)}
	}
	return nil
}
