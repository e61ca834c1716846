//go:build cgo

package pkcs11

import (
	"fmt"

	p11 "github.com/miekg/pkcs11"
)

// maxListed bounds how many objects one search returns.
const maxListed = 1024

// find returns the handles of at most limit objects. Handles are good until
// the login ends.
func (t *Token) find(s p11.SessionHandle, limit int, template ...*p11.Attribute) ([]p11.ObjectHandle, error) {
	if err := t.api.FindObjectsInit(s, template); err != nil {
		return nil, unavailable("looking for keys", err)
	}
	found, _, err := t.api.FindObjects(s, limit)
	if errFinal := t.api.FindObjectsFinal(s); err == nil {
		err = errFinal
	}
	if err != nil {
		return nil, unavailable("looking for keys", err)
	}
	return found, nil
}

// findOne returns the one key of a class with the label, unless that is empty,
// and the id, unless that is nil; and its CKA_ID, 1 to 64 bytes.
func (t *Token) findOne(s p11.SessionHandle, class uint, label string, id []byte) (p11.ObjectHandle, []byte, error) {
	template := []*p11.Attribute{p11.NewAttribute(p11.CKA_CLASS, class)}
	if label != "" {
		template = append(template, p11.NewAttribute(p11.CKA_LABEL, label))
	}
	if id != nil {
		template = append(template, p11.NewAttribute(p11.CKA_ID, id))
	}
	found, err := t.find(s, 2, template...)
	if err != nil {
		return 0, nil, err
	}
	if len(found) == 0 {
		return 0, nil, t.errMissing(s)
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
		return 0, nil, fmt.Errorf("%w: several are called %q, with the ids %v: add id to the URI", ErrKey, label, names)
	}
	if len(own) == 0 || len(own) > maxID {
		return 0, nil, fmt.Errorf("%w: its CKA_ID must be 1 to %d bytes", ErrKey, maxID)
	}
	return found[0], own, nil
}

// errMissing tells a key that is not there from a token that is not: a module
// may find nothing, without an error, in a token that is gone.
func (t *Token) errMissing(s p11.SessionHandle) error {
	if !t.alive(s) {
		return fmt.Errorf("%w: it went away while a key was looked for", ErrUnavailable)
	}
	return errNoKey
}

var errNoKey = fmt.Errorf("%w: there is none of that name", ErrKey)

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
