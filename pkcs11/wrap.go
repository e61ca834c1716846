//go:build cgo

package pkcs11

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"

	p11 "github.com/miekg/pkcs11"
)

const (
	wrapLabel = "sallyport pkcs11 root v1"
	gcmLabel  = "sallyport pkcs11 data key v1"
	nonceSize = 12
	tagSize   = 16
)

// Wrap seals 32 bytes so that only this token's key opens them. The form is
// that of README.md. It is returned only after it has been opened again.
func (t *Token) Wrap(ctx context.Context, secret []byte) ([]byte, error) {
	if len(secret) != SecretSize {
		return nil, fmt.Errorf("pkcs11: secret: must be %d bytes, not %d", SecretSize, len(secret))
	}
	// A copy: the call may outlive ours, and the caller wipes its own.
	own := bytes.Clone(secret)
	return withSession(ctx, t, func(s p11.SessionHandle) ([]byte, error) {
		defer clear(own)
		wrapped, err := t.wrap(s, own)
		if err != nil {
			return nil, err
		}
		again, err := t.unwrap(s, wrapped)
		defer clear(again)
		if err != nil || subtle.ConstantTimeCompare(own, again) != 1 {
			return nil, fmt.Errorf("%w: it does not unwrap what it wrapped", ErrKey)
		}
		return wrapped, nil
	})
}

// Unwrap opens what Wrap returned. It finds the key by the id that stands in
// wrapped. Every failure that depends on the bytes is [ErrUnwrap]. The caller
// wipes the result.
func (t *Token) Unwrap(ctx context.Context, wrapped []byte) ([]byte, error) {
	own := bytes.Clone(wrapped)
	return withSession(ctx, t, func(s p11.SessionHandle) ([]byte, error) { return t.unwrap(s, own) })
}

func (t *Token) wrap(s p11.SessionHandle, secret []byte) ([]byte, error) {
	key, id, err := t.findKey(s, t.uri.id, t.method)
	if err != nil {
		return nil, err
	}
	dataKey, nonce := make([]byte, 32), make([]byte, nonceSize)
	defer clear(dataKey)
	_, _ = rand.Read(dataKey)
	_, _ = rand.Read(nonce)
	wrappedKey, err := t.method.wrap(t, s, key, id, dataKey)
	if err != nil {
		return nil, err
	}
	header := append([]byte(t.method.magic), byte(len(id)))
	header = append(append(append(header, id...), wrappedKey...), nonce...)
	aead, err := newAEAD(dataKey)
	if err != nil {
		return nil, err
	}
	return aead.Seal(header, nonce, secret, associated(header)), nil
}

func (t *Token) unwrap(s p11.SessionHandle, wrapped []byte) ([]byte, error) {
	w, ok := parseWrapped(wrapped)
	if !ok {
		return nil, fmt.Errorf("%w: it is malformed", ErrUnwrap)
	}
	key, _, err := t.findKey(s, w.id, w.method)
	if errors.Is(err, errNoKey) {
		return nil, fmt.Errorf("%w: it was wrapped by key %x, which is not there", ErrUnwrap, w.id)
	}
	if err != nil {
		return nil, err
	}
	dataKey, err := w.method.unwrap(t, s, key, w.id, w.key)
	if err != nil {
		return nil, err
	}
	defer clear(dataKey)
	aead, err := newAEAD(dataKey)
	if err != nil {
		return nil, err
	}
	secret, err := aead.Open(nil, w.header[len(w.header)-nonceSize:], wrapped[len(w.header):], associated(w.header))
	if err != nil {
		return nil, ErrUnwrap
	}
	return secret, nil
}

// wrapped are the parts of what Wrap returns: header is all before the
// ciphertext, key the wrapped data key.
type wrapped struct {
	method          *wrapMethod
	header, id, key []byte
}

func parseWrapped(b []byte) (w wrapped, ok bool) {
	for _, m := range []*wrapMethod{byKeyWrap, byGCM} {
		if len(b) > len(m.magic) && string(b[:len(m.magic)]) == m.magic {
			w.method = m
		}
	}
	if w.method == nil {
		return w, false
	}
	start := len(w.method.magic) + 1
	n := int(b[start-1])
	end := start + n + w.method.size + nonceSize
	if n == 0 || n > maxID || len(b) != end+SecretSize+tagSize {
		return w, false
	}
	w.id, w.key, w.header = b[start:start+n], b[start+n:start+n+w.method.size], b[:end:end]
	return w, true
}

func associated(header []byte) []byte { return append([]byte(wrapLabel), header...) }

func newAEAD(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, errors.New("pkcs11: internal error: data key")
	}
	return cipher.NewGCM(block)
}
