//go:build cgo

package pkcs11

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"

	p11 "github.com/miekg/pkcs11"
)

// ownIDSize is the number of bytes of the CKA_ID we make.
const ownIDSize = 20

func newID() []byte {
	id := make([]byte, ownIDSize)
	_, _ = rand.Read(id)
	return id
}

// EnsureKey makes the key that the URI names, or finds it. It refuses two
// keys of that name, a key weaker than the profile, and one that does not
// wrap and unwrap; it never deletes one. Calling it again does nothing new.
func (t *Token) EnsureKey(ctx context.Context) error {
	_, err := withToken(ctx, t, func(s p11.SessionHandle) (struct{}, error) {
		_, _, err := t.findKey(s, t.uri.id, t.method)
		if errors.Is(err, errNoKey) && t.uri.id == nil {
			err = t.makeKey(s)
		}
		if err == nil {
			err = t.selfTest(s)
		}
		return struct{}{}, err
	})
	return err
}

func (t *Token) makeKey(s p11.SessionHandle) error {
	if t.method == nil {
		return fmt.Errorf("%w: the token was not opened as a root", ErrKey)
	}
	id := newID()
	if _, err := t.generateKey(s, t.method, id, t.uri.object, true); err != nil {
		return unavailable("making the key", err)
	}
	t.log.Info("made a key in the token", "label", t.uri.object, "id", fmt.Sprintf("%x", id), "serial", t.serial, "mechanism", t.method.name)
	return nil
}

func (t *Token) generateKey(s p11.SessionHandle, m *wrapMethod, id []byte, label string, stays bool) (key p11.ObjectHandle, err error) {
	names := []*p11.Attribute{
		p11.NewAttribute(p11.CKA_CLASS, p11.CKO_SECRET_KEY),
		p11.NewAttribute(p11.CKA_KEY_TYPE, p11.CKK_AES),
		p11.NewAttribute(p11.CKA_VALUE_LEN, 32),
		p11.NewAttribute(p11.CKA_ID, id),
		p11.NewAttribute(p11.CKA_LABEL, label),
	}
	err = m.profile.make(stays, func(template []*p11.Attribute) (err error) {
		key, err = t.api.GenerateKey(s, mechanisms(p11.CKM_AES_KEY_GEN, nil), append(names[:len(names):len(names)], template...))
		return err
	})
	return key, err
}

// findKey returns the one key of the URI's label, and of the id unless that is
// nil, after judging it.
func (t *Token) findKey(s p11.SessionHandle, id []byte, m *wrapMethod) (p11.ObjectHandle, []byte, error) {
	if m == nil {
		return 0, nil, fmt.Errorf("%w: the token was not opened as a root", ErrKey)
	}
	key, own, err := t.findOne(s, p11.CKO_SECRET_KEY, t.uri.object, id)
	if err != nil {
		return 0, nil, err
	}
	if err := t.judge(s, key, own, m.profile); err != nil {
		return 0, nil, err
	}
	return key, own, t.checkAES(s, key, own)
}

// checkAES wants a key for AES-256.
func (t *Token) checkAES(s p11.SessionHandle, key p11.ObjectHandle, id []byte) error {
	for _, p := range []struct {
		attribute uint
		name      string
		want      *p11.Attribute
	}{
		{p11.CKA_KEY_TYPE, "CKA_KEY_TYPE", p11.NewAttribute(0, p11.CKK_AES)},
		{p11.CKA_VALUE_LEN, "CKA_VALUE_LEN", p11.NewAttribute(0, 32)},
	} {
		if value, err := t.attribute(s, key, p.attribute); err != nil {
			return err
		} else if !bytes.Equal(value, p.want.Value) {
			return fmt.Errorf("%w: %x: %s is not that of AES-256", ErrKey, id, p.name)
		}
	}
	return nil
}

// selfTest finds out whether the key does its work, before anything depends
// on it.
func (t *Token) selfTest(s p11.SessionHandle) error {
	key, id, err := t.findKey(s, t.uri.id, t.method)
	if err != nil {
		return err
	}
	return t.tryKey(s, t.method, key, id)
}

// tryKey wraps and unwraps a random value.
func (t *Token) tryKey(s p11.SessionHandle, m *wrapMethod, key p11.ObjectHandle, id []byte) error {
	value := make([]byte, SecretSize)
	_, _ = rand.Read(value)
	wrapped, err := m.wrap(t, s, key, id, value)
	if err != nil {
		return err
	}
	again, err := m.unwrap(t, s, key, id, wrapped)
	if err != nil {
		return err
	}
	if subtle.ConstantTimeCompare(value, again) != 1 {
		return fmt.Errorf("%w: it does not unwrap what it wrapped", ErrKey)
	}
	return nil
}
