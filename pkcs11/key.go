//go:build cgo

package pkcs11

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"

	p11 "github.com/miekg/pkcs11"
)

// ownIDSize is the number of bytes of the CKA_ID we make.
const ownIDSize = 20

// profile is what the key must be. Modules differ in their defaults (SoftHSM
// makes keys readable and good for everything), so all of it is asked for,
// and then read back. DECRYPT beside WRAP would give away what was wrapped.
var profile = []struct {
	attribute uint
	name      string
	want      bool
	made      bool // by the token, cannot be asked for
}{
	{p11.CKA_TOKEN, "CKA_TOKEN", true, false},
	{p11.CKA_PRIVATE, "CKA_PRIVATE", true, false},
	{p11.CKA_SENSITIVE, "CKA_SENSITIVE", true, false},
	{p11.CKA_EXTRACTABLE, "CKA_EXTRACTABLE", false, false},
	{p11.CKA_MODIFIABLE, "CKA_MODIFIABLE", false, false},
	{p11.CKA_WRAP, "CKA_WRAP", true, false},
	{p11.CKA_UNWRAP, "CKA_UNWRAP", true, false},
	{p11.CKA_ENCRYPT, "CKA_ENCRYPT", false, false},
	{p11.CKA_DECRYPT, "CKA_DECRYPT", false, false},
	{p11.CKA_SIGN, "CKA_SIGN", false, false},
	{p11.CKA_VERIFY, "CKA_VERIFY", false, false},
	{p11.CKA_DERIVE, "CKA_DERIVE", false, false},
	{p11.CKA_LOCAL, "CKA_LOCAL", true, true},
	{p11.CKA_ALWAYS_SENSITIVE, "CKA_ALWAYS_SENSITIVE", true, true},
	{p11.CKA_NEVER_EXTRACTABLE, "CKA_NEVER_EXTRACTABLE", true, true},
}

// EnsureKey makes the key that the URI names, or finds it. It refuses two
// keys of that name, a key weaker than the profile, and one that does not
// wrap and unwrap; it never deletes one. Calling it again does nothing new.
func (t *Token) EnsureKey(ctx context.Context) error {
	_, err := withSession(ctx, t, func(s p11.SessionHandle) (struct{}, error) {
		_, _, err := t.findKey(s, t.uri.id)
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
	id := make([]byte, ownIDSize)
	_, _ = rand.Read(id)
	template := []*p11.Attribute{
		p11.NewAttribute(p11.CKA_CLASS, p11.CKO_SECRET_KEY),
		p11.NewAttribute(p11.CKA_KEY_TYPE, p11.CKK_AES),
		p11.NewAttribute(p11.CKA_VALUE_LEN, 32),
		p11.NewAttribute(p11.CKA_ID, id),
		p11.NewAttribute(p11.CKA_LABEL, t.uri.object),
	}
	for _, p := range profile {
		if !p.made {
			template = append(template, p11.NewAttribute(p.attribute, p.want))
		}
	}
	only := p11.NewAttribute(p11.CKA_ALLOWED_MECHANISMS, allowedMechanisms())
	mechanism := []*p11.Mechanism{p11.NewMechanism(p11.CKM_AES_KEY_GEN, nil)}
	_, err := t.api.GenerateKey(s, mechanism, append(template[:len(template):len(template)], only))
	if errors.Is(err, p11.Error(p11.CKR_ATTRIBUTE_TYPE_INVALID)) {
		// Not every module has this attribute; the usage bits say the same.
		_, err = t.api.GenerateKey(s, mechanism, template)
	}
	if err != nil {
		return unavailable("making the key", err)
	}
	t.log.Info("made a key in the token", "label", t.uri.object, "id", fmt.Sprintf("%x", id), "serial", t.serial)
	return nil
}

// allowedMechanisms is an array of CK_MECHANISM_TYPE, in the C encoding.
func allowedMechanisms() []byte {
	return binary.NativeEndian.AppendUint64(nil, p11.CKM_AES_KEY_WRAP)
}

var errNoKey = fmt.Errorf("%w: there is none of that name", ErrKey)

// findKey returns the one key of the label, and of the id unless that is nil,
// after judging it. Handles are good for one session only.
func (t *Token) findKey(s p11.SessionHandle, id []byte) (p11.ObjectHandle, []byte, error) {
	template := []*p11.Attribute{
		p11.NewAttribute(p11.CKA_CLASS, p11.CKO_SECRET_KEY),
		p11.NewAttribute(p11.CKA_LABEL, t.uri.object),
	}
	if id != nil {
		template = append(template, p11.NewAttribute(p11.CKA_ID, id))
	}
	if err := t.api.FindObjectsInit(s, template); err != nil {
		return 0, nil, unavailable("looking for the key", err)
	}
	found, _, err := t.api.FindObjects(s, 2)
	if errFinal := t.api.FindObjectsFinal(s); err == nil {
		err = errFinal
	}
	if err != nil {
		return 0, nil, unavailable("looking for the key", err)
	}
	if len(found) == 0 {
		return 0, nil, errNoKey
	}
	names := make([]string, len(found))
	var own []byte
	for i, key := range found {
		if own, err = t.attribute(s, key, p11.CKA_ID); err != nil {
			return 0, nil, err
		}
		names[i] = fmt.Sprintf("%x", own)
	}
	if len(found) > 1 {
		return 0, nil, fmt.Errorf("%w: several are called %q, with the ids %v: add id to the URI", ErrKey, t.uri.object, names)
	}
	if len(own) == 0 || len(own) > maxID {
		return 0, nil, fmt.Errorf("%w: its CKA_ID must be 1 to %d bytes", ErrKey, maxID)
	}
	return found[0], own, t.judgeKey(s, found[0], own)
}

func (t *Token) attribute(s p11.SessionHandle, key p11.ObjectHandle, attribute uint) ([]byte, error) {
	got, err := t.api.GetAttributeValue(s, key, []*p11.Attribute{p11.NewAttribute(attribute, nil)})
	if err != nil {
		return nil, unavailable(fmt.Sprintf("reading attribute 0x%x of the key", attribute), err)
	}
	if len(got) != 1 {
		return nil, fmt.Errorf("%w: reading attribute 0x%x of the key: no value", ErrUnavailable, attribute)
	}
	return got[0].Value, nil
}

// judgeKey compares the attributes with the profile. A key that was imported,
// or could ever be read, is refused even if it is protected now.
func (t *Token) judgeKey(s p11.SessionHandle, key p11.ObjectHandle, id []byte) error {
	for _, p := range profile {
		value, err := t.attribute(s, key, p.attribute)
		if err != nil {
			return err
		}
		if len(value) != 1 || (value[0] != 0) != p.want {
			return fmt.Errorf("%w: %x: %s must be %v; a key that creation left half-written also looks like this", ErrKey, id, p.name, p.want)
		}
	}
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
	got, err := t.attribute(s, key, p11.CKA_ALLOWED_MECHANISMS)
	if err == nil && len(got) > 0 && !bytes.Equal(got, allowedMechanisms()) {
		return fmt.Errorf("%w: %x: CKA_ALLOWED_MECHANISMS must be CKM_AES_KEY_WRAP only", ErrKey, id)
	}
	return nil
}

// selfTest finds out whether the key does its work, before anything depends
// on it.
func (t *Token) selfTest(s p11.SessionHandle) error {
	secret := make([]byte, SecretSize)
	_, _ = rand.Read(secret)
	wrapped, err := t.wrap(s, secret)
	if err != nil {
		return err
	}
	again, err := t.unwrap(s, wrapped)
	if err != nil {
		return err
	}
	if subtle.ConstantTimeCompare(secret, again) != 1 {
		return fmt.Errorf("%w: it does not unwrap what it wrapped", ErrKey)
	}
	return nil
}
