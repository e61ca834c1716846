//go:build cgo

package pkcs11

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	p11 "github.com/miekg/pkcs11"
)

// keyClasses are what is listed, and how it is judged.
var keyClasses = map[uint]struct {
	name  string
	judge func(*Token, p11.SessionHandle, p11.ObjectHandle, *KeyReport) error
}{
	p11.CKO_SECRET_KEY:  {"secret-key", (*Token).reportSecret},
	p11.CKO_PRIVATE_KEY: {"private", (*Token).reportPrivate},
	p11.CKO_PUBLIC_KEY:  {"public", (*Token).reportPublic},
}

// reportKeys lists all keys of the token, public ones only if they are halves.
// It looks for no attribute: what creation left may have none.
func (t *Token) reportKeys() ([]KeyReport, error) {
	all := []KeyReport{}
	err := t.aside(func(s p11.SessionHandle) error {
		found, err := t.find(s, maxListed)
		if err != nil {
			return err
		}
		for _, key := range found {
			var r KeyReport
			// In a session of its own while this one is open: to SoftHSM, a key
			// without CKA_TOKEN goes with the session that found it.
			err := t.aside(func(own p11.SessionHandle) error { return t.reportKey(own, key, &r) })
			if err != nil {
				r.Problems = append(r.Problems, plain(err))
			}
			r.Problems = names(r.Problems)
			if r.Class != "" && (r.Class != "public" || r.HalfWritten) {
				all = append(all, r)
			}
		}
		return nil
	})
	slices.SortStableFunc(all, func(a, b KeyReport) int {
		return cmp.Or(cmp.Compare(a.Class, b.Class), cmp.Compare(a.Label, b.Label), cmp.Compare(a.ID, b.ID))
	})
	return all, err
}

// reportKey leaves the class empty for what is no key.
func (t *Token) reportKey(s p11.SessionHandle, key p11.ObjectHandle, r *KeyReport) error {
	b, err := t.attribute(s, key, p11.CKA_CLASS)
	if err != nil || len(b) != 8 {
		r.Class, r.HalfWritten = "unknown", true
		r.Problems = append(r.Problems, "has no CKA_CLASS")
		return nil
	}
	class, ok := keyClasses[uint(binary.NativeEndian.Uint64(b))]
	if !ok {
		return nil
	}
	r.Class = class.name
	if err := t.nameKey(s, key, r); err != nil {
		return t.half(r, err)
	}
	return class.judge(t, s, key, r)
}

func (t *Token) nameKey(s p11.SessionHandle, key p11.ObjectHandle, r *KeyReport) error {
	label, err := t.attribute(s, key, p11.CKA_LABEL)
	if err != nil {
		return err
	}
	id, err := t.attribute(s, key, p11.CKA_ID)
	r.Label, r.ID = string(label), fmt.Sprintf("%x", id)
	return err
}

// reportSecret judges an AES-256 key as a root.
func (t *Token) reportSecret(s p11.SessionHandle, key p11.ObjectHandle, r *KeyReport) error {
	keyType, err := t.attribute(s, key, p11.CKA_KEY_TYPE)
	if err != nil {
		return err
	}
	if r.Kind = typeName(keyType); !bytes.Equal(keyType, p11.NewAttribute(0, p11.CKK_AES).Value) {
		return nil
	}
	m := byKeyWrap
	if may, err := t.attribute(s, key, p11.CKA_ENCRYPT); err == nil && len(may) == 1 && may[0] != 0 {
		if wraps, err := t.attribute(s, key, p11.CKA_WRAP); err == nil && len(wraps) == 1 && wraps[0] == 0 {
			m = byGCM
		}
	}
	r.Role, r.Kind = string(RoleRoot), "AES-256"
	if r.Problems, err = t.weaknesses(s, key, m.profile, true); err != nil {
		return err
	}
	if err := t.checkAES(s, key, nil); err != nil {
		r.Kind = "AES"
		r.Problems = append(r.Problems, "must be a key for AES-256")
	}
	id, err := t.attribute(s, key, p11.CKA_ID)
	if err != nil {
		return err
	}
	if err := t.tryKey(s, m, key, id); err != nil {
		return t.half(r, err)
	}
	return nil
}

// half calls a key half-written that does not do its work although its
// attributes say that it may; a key that may not is of somebody else.
func (t *Token) half(r *KeyReport, err error) error {
	if !t.alive(t.login) {
		return err
	}
	r.HalfWritten = true
	r.Problems = append(r.Problems, "does not do its work: "+plain(err))
	return nil
}

// reportPrivate judges a key on one of our curves as an operator's if it
// agrees, else as a signer.
func (t *Token) reportPrivate(s p11.SessionHandle, private p11.ObjectHandle, r *KeyReport) error {
	keyType, err := t.attribute(s, private, p11.CKA_KEY_TYPE)
	if err != nil {
		return err
	}
	r.Kind = typeName(keyType)
	kindOf, role := signerKind, RoleSigner
	if derives, err := t.attribute(s, private, p11.CKA_DERIVE); err == nil && len(derives) == 1 && derives[0] != 0 {
		kindOf, role = func(Curve) pairKind { return operatorKind() }, RoleOperator
	}
	id, err := t.attribute(s, private, p11.CKA_ID)
	if err != nil {
		return err
	}
	p, err := t.readPair(s, kindOf, private, id)
	if err != nil {
		return t.judgeUnread(s, private, r, err)
	}
	r.Kind, r.Role = string(p.kind.curve), string(role)
	if r.Problems, err = t.weaknesses(s, private, p.kind.profile, true); err != nil {
		return err
	}
	if err := p.try(s, private); err != nil {
		return t.half(r, err)
	}
	return nil
}

// judgeUnread tells a key of somebody else, on a curve of theirs, from one
// that lacks what creation writes last.
func (t *Token) judgeUnread(s p11.SessionHandle, private p11.ObjectHandle, r *KeyReport, cause error) error {
	params, err := t.attribute(s, private, p11.CKA_EC_PARAMS)
	isEC := r.Kind == "EC" || r.Kind == "EC Edwards"
	if isEC && (err != nil || len(params) == 0 || t.isOurs(params)) {
		return t.half(r, cause)
	}
	return nil
}

func (t *Token) isOurs(params []byte) bool {
	for _, c := range curves {
		if bytes.Equal(params, c.params) {
			return true
		}
	}
	return bytes.Equal(params, edwardsName)
}

// reportPublic looks for public keys whose private key was not written.
func (t *Token) reportPublic(s p11.SessionHandle, public p11.ObjectHandle, r *KeyReport) error {
	id, err := t.attribute(s, public, p11.CKA_ID)
	if err != nil {
		return err
	}
	keyType, err := t.attribute(s, public, p11.CKA_KEY_TYPE)
	if err != nil {
		return err
	}
	r.Kind = typeName(keyType)
	if len(id) == 0 && r.Label == "" {
		r.HalfWritten = true
		r.Problems = append(r.Problems, "has no name")
		return nil
	}
	_, _, err = t.findOne(s, p11.CKO_PRIVATE_KEY, "", id)
	if errors.Is(err, errNoKey) && len(id) == ownIDSize {
		r.HalfWritten = true
		r.Problems = append(r.Problems, "has no private key")
	}
	return nil
}

// badKey says what is wrong with a key that the URI names for the role, if
// there is one.
func (t *Token) badKey(role string, keys []KeyReport) string {
	for _, k := range keys {
		if len(k.Problems) == 0 || !k.servesRole(role) {
			continue
		}
		named := k.Label == t.uri.object || t.uri.id != nil && k.ID == fmt.Sprintf("%x", t.uri.id)
		if named {
			return fmt.Sprintf("the key %q, id %s: %s", k.Label, k.ID, k.Problems[0])
		}
	}
	return ""
}

// typeName names CKA_KEY_TYPE, a CK_ULONG in the C encoding.
func typeName(b []byte) string {
	if len(b) != 8 {
		return "of no type"
	}
	switch n := binary.NativeEndian.Uint64(b); n {
	case p11.CKK_AES:
		return "AES"
	case p11.CKK_EC:
		return "EC"
	case ckkECEdwards:
		return "EC Edwards"
	case p11.CKK_RSA:
		return "RSA"
	default:
		return fmt.Sprintf("type 0x%x", n)
	}
}
