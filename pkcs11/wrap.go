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
	magic       = "SPT1"
	wrapLabel   = "sallyport pkcs11 root v1"
	wrappedSize = 40 // RFC 3394: 32 bytes and an integrity block of 8
	nonceSize   = 12
	tagSize     = 16
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
	key, id, err := t.findKey(s, t.uri.id)
	if err != nil {
		return nil, err
	}
	dataKey, nonce := make([]byte, 32), make([]byte, nonceSize)
	defer clear(dataKey)
	_, _ = rand.Read(dataKey)
	_, _ = rand.Read(nonce)
	wrappedKey, err := t.wrapDataKey(s, key, dataKey)
	if err != nil {
		return nil, err
	}
	header := append([]byte(magic), byte(len(id)))
	header = append(append(append(header, id...), wrappedKey...), nonce...)
	aead, err := newAEAD(dataKey)
	if err != nil {
		return nil, err
	}
	return aead.Seal(header, nonce, secret, associated(header)), nil
}

// wrapDataKey puts the data key into the token for as long as it takes, as a
// session object that may be wrapped.
func (t *Token) wrapDataKey(s p11.SessionHandle, key p11.ObjectHandle, dataKey []byte) ([]byte, error) {
	object, err := t.api.CreateObject(s, append(dataKeyTemplate(), p11.NewAttribute(p11.CKA_VALUE, dataKey)))
	if err != nil {
		return nil, unavailable("handing the token a data key", err)
	}
	defer func() { _ = t.api.DestroyObject(s, object) }()
	wrapped, err := t.api.WrapKey(s, keyWrap(), key, object)
	if err != nil {
		return nil, unavailable("wrapping", err)
	}
	if len(wrapped) != wrappedSize {
		return nil, fmt.Errorf("%w: wrapping gave %d bytes, not %d", ErrUnavailable, len(wrapped), wrappedSize)
	}
	return wrapped, nil
}

func (t *Token) unwrap(s p11.SessionHandle, wrapped []byte) ([]byte, error) {
	header, id, wrappedKey, ok := parseWrapped(wrapped)
	if !ok {
		return nil, fmt.Errorf("%w: it is malformed", ErrUnwrap)
	}
	key, _, err := t.findKey(s, id)
	if errors.Is(err, errNoKey) {
		return nil, fmt.Errorf("%w: it was wrapped by key %x, which is not there", ErrUnwrap, id)
	}
	if err != nil {
		return nil, err
	}
	dataKey, err := t.unwrapDataKey(s, key, wrappedKey)
	if err != nil {
		return nil, err
	}
	defer clear(dataKey)
	aead, err := newAEAD(dataKey)
	if err != nil {
		return nil, err
	}
	secret, err := aead.Open(nil, header[len(header)-nonceSize:], wrapped[len(header):], associated(header))
	if err != nil {
		return nil, ErrUnwrap
	}
	return secret, nil
}

func (t *Token) unwrapDataKey(s p11.SessionHandle, key p11.ObjectHandle, wrapped []byte) ([]byte, error) {
	object, err := t.api.UnwrapKey(s, keyWrap(), key, wrapped, dataKeyTemplate())
	if err != nil {
		// Modules and even versions of one disagree about the code for
		// damaged bytes, so it decides only between gone and refused.
		if t.stillLoggedIn() {
			return nil, ErrUnwrap
		}
		return nil, unavailable("unwrapping", err)
	}
	defer func() { _ = t.api.DestroyObject(s, object) }()
	value, err := t.attribute(s, object, p11.CKA_VALUE)
	if err != nil {
		return nil, err
	}
	if len(value) != 32 {
		clear(value)
		return nil, ErrUnwrap
	}
	return value, nil
}

// parseWrapped splits a wrapped secret: header is all before the ciphertext.
func parseWrapped(b []byte) (header, id, wrappedKey []byte, ok bool) {
	if len(b) <= len(magic) || string(b[:len(magic)]) != magic {
		return nil, nil, nil, false
	}
	n := int(b[len(magic)])
	start := len(magic) + 1
	if n == 0 || n > maxID || len(b) != start+n+wrappedSize+nonceSize+SecretSize+tagSize {
		return nil, nil, nil, false
	}
	id, wrappedKey = b[start:start+n], b[start+n:start+n+wrappedSize]
	end := start + n + wrappedSize + nonceSize
	return b[:end:end], id, wrappedKey, true
}

func associated(header []byte) []byte { return append([]byte(wrapLabel), header...) }

func dataKeyTemplate() []*p11.Attribute {
	return []*p11.Attribute{
		p11.NewAttribute(p11.CKA_CLASS, p11.CKO_SECRET_KEY),
		p11.NewAttribute(p11.CKA_KEY_TYPE, p11.CKK_AES),
		p11.NewAttribute(p11.CKA_TOKEN, false),
		p11.NewAttribute(p11.CKA_PRIVATE, true),
		p11.NewAttribute(p11.CKA_SENSITIVE, false),
		p11.NewAttribute(p11.CKA_EXTRACTABLE, true),
		p11.NewAttribute(p11.CKA_ENCRYPT, false),
		p11.NewAttribute(p11.CKA_DECRYPT, false),
		p11.NewAttribute(p11.CKA_WRAP, false),
		p11.NewAttribute(p11.CKA_UNWRAP, false),
	}
}

func keyWrap() []*p11.Mechanism {
	return []*p11.Mechanism{p11.NewMechanism(p11.CKM_AES_KEY_WRAP, nil)}
}

func newAEAD(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, errors.New("pkcs11: internal error: data key")
	}
	return cipher.NewGCM(block)
}
