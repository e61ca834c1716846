//go:build cgo

package pkcs11

import (
	"bytes"
	"crypto/rand"
	"fmt"

	p11 "github.com/miekg/pkcs11"
)

// A wrapMethod is one of the two ways in which a token is trusted to wrap a
// random data key of 32 bytes. id is the CKA_ID of the wrapping key.
type wrapMethod struct {
	magic     string // of what Wrap returns, 4 bytes
	name      string
	mechanism uint
	flags     uint
	size      int // of a wrapped data key, bytes
	profile   profile
	wrap      func(t *Token, s p11.SessionHandle, key p11.ObjectHandle, id, dataKey []byte) ([]byte, error)
	unwrap    func(t *Token, s p11.SessionHandle, key p11.ObjectHandle, id, wrapped []byte) ([]byte, error)
}

const (
	keyWrapSize = 40                       // RFC 3394: 32 bytes and an integrity block of 8
	gcmSize     = nonceSize + 32 + tagSize // a nonce of ours, 32 bytes, and a tag
)

// byKeyWrap is what modules agree on.
var byKeyWrap = &wrapMethod{
	magic: "SPT1", name: "CKM_AES_KEY_WRAP", mechanism: p11.CKM_AES_KEY_WRAP, flags: p11.CKF_WRAP | p11.CKF_UNWRAP, size: keyWrapSize,
	profile: wrapping(p11.CKM_AES_KEY_WRAP, true),
	wrap:    (*Token).keyWrap, unwrap: (*Token).keyUnwrap,
}

// byGCM is for tokens that do not wrap.
var byGCM = &wrapMethod{
	magic: "SPT2", name: "CKM_AES_GCM", mechanism: p11.CKM_AES_GCM, flags: p11.CKF_ENCRYPT | p11.CKF_DECRYPT, size: gcmSize,
	profile: wrapping(p11.CKM_AES_GCM, false),
	wrap:    (*Token).gcmSeal, unwrap: (*Token).gcmOpen,
}

// keyWrap puts the data key into the token for as long as it takes, as a
// session object that may be wrapped.
func (t *Token) keyWrap(s p11.SessionHandle, key p11.ObjectHandle, _, dataKey []byte) ([]byte, error) {
	object, err := t.api.CreateObject(s, append(dataKeyTemplate(), p11.NewAttribute(p11.CKA_VALUE, dataKey)))
	if err != nil {
		return nil, unavailable("handing the token a data key", err)
	}
	defer func() { _ = t.api.DestroyObject(s, object) }()
	wrapped, err := t.api.WrapKey(s, mechanisms(p11.CKM_AES_KEY_WRAP, nil), key, object)
	if err != nil {
		return nil, unavailable("wrapping", err)
	}
	return wrapped, checkSize("wrapping", wrapped, keyWrapSize)
}

func (t *Token) keyUnwrap(s p11.SessionHandle, key p11.ObjectHandle, _, wrapped []byte) ([]byte, error) {
	object, err := t.api.UnwrapKey(s, mechanisms(p11.CKM_AES_KEY_WRAP, nil), key, wrapped, dataKeyTemplate())
	if err != nil {
		return nil, t.refused(s, err)
	}
	defer func() { _ = t.api.DestroyObject(s, object) }()
	value, err := t.attribute(s, object, p11.CKA_VALUE)
	if err != nil {
		return nil, err
	}
	return dataKeyOf(value)
}

// gcmSeal returns nonce, ciphertext and tag. Modules accept tags of no bits
// and empty nonces, so both are fixed here; a module that puts its own nonce
// in place of ours is not used, because nobody here could say that it does
// not come twice.
func (t *Token) gcmSeal(s p11.SessionHandle, key p11.ObjectHandle, id, dataKey []byte) ([]byte, error) {
	nonce := make([]byte, nonceSize)
	_, _ = rand.Read(nonce)
	params := gcmParams(nonce, id)
	defer params.Free()
	if err := t.api.EncryptInit(s, mechanisms(p11.CKM_AES_GCM, params), key); err != nil {
		return nil, unavailable("wrapping", err)
	}
	sealed, err := t.api.Encrypt(s, dataKey)
	if err != nil {
		return nil, unavailable("wrapping", err)
	}
	if !bytes.Equal(params.IV(), nonce) {
		return nil, fmt.Errorf("%w: wrapping: the token took another nonce than it was given", ErrUnavailable)
	}
	wrapped := append(nonce, sealed...)
	return wrapped, checkSize("wrapping", wrapped, gcmSize)
}

func (t *Token) gcmOpen(s p11.SessionHandle, key p11.ObjectHandle, id, wrapped []byte) ([]byte, error) {
	params := gcmParams(wrapped[:nonceSize], id)
	defer params.Free()
	if err := t.api.DecryptInit(s, mechanisms(p11.CKM_AES_GCM, params), key); err != nil {
		return nil, t.refused(s, err)
	}
	value, err := t.api.Decrypt(s, wrapped[nonceSize:])
	if err != nil {
		return nil, t.refused(s, err)
	}
	return dataKeyOf(value)
}

// gcmParams never has an empty AAD: some modules abort on it.
func gcmParams(nonce, id []byte) *p11.GCMParams {
	return p11.NewGCMParams(nonce, append([]byte(gcmLabel), id...), 8*tagSize)
}

// refused says why nothing was unwrapped. Modules and even versions of one
// disagree about the code for damaged bytes, so it decides only between gone
// and refused.
func (t *Token) refused(s p11.SessionHandle, err error) error {
	if t.alive(s) {
		return ErrUnwrap
	}
	return unavailable("unwrapping", err)
}

func dataKeyOf(value []byte) ([]byte, error) {
	if len(value) != 32 {
		clear(value)
		return nil, ErrUnwrap
	}
	return value, nil
}

func checkSize(what string, b []byte, want int) error {
	if len(b) != want {
		return fmt.Errorf("%w: %s gave %d bytes, not %d", ErrUnavailable, what, len(b), want)
	}
	return nil
}

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
