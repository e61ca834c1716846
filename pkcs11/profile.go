//go:build cgo

package pkcs11

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	p11 "github.com/miekg/pkcs11"
)

// A requirement is what one boolean attribute of a key must be.
type requirement struct {
	attribute uint
	name      string
	want      bool
	kind      requirementKind
}

type requirementKind int

const (
	asked requirementKind = iota
	use                   // what the key may do; a module without it means no
	made                  // by the token, cannot be asked for
)

// guarded is required of every key. Modules differ in their defaults (SoftHSM
// makes keys readable and good for everything), so all of it is asked for,
// and then read back.
var guarded = []requirement{
	{p11.CKA_TOKEN, "CKA_TOKEN", true, asked},
	{p11.CKA_PRIVATE, "CKA_PRIVATE", true, asked},
	{p11.CKA_SENSITIVE, "CKA_SENSITIVE", true, asked},
	{p11.CKA_EXTRACTABLE, "CKA_EXTRACTABLE", false, asked},
	{p11.CKA_MODIFIABLE, "CKA_MODIFIABLE", false, asked},
	{p11.CKA_LOCAL, "CKA_LOCAL", true, made},
	{p11.CKA_ALWAYS_SENSITIVE, "CKA_ALWAYS_SENSITIVE", true, made},
	{p11.CKA_NEVER_EXTRACTABLE, "CKA_NEVER_EXTRACTABLE", true, made},
}

// A profile is what a key must be.
type profile struct {
	requirements []requirement
	mechanisms   []uint // the only ones allowed, where the module can say so
}

func newProfile(mechanisms []uint, uses ...requirement) profile {
	return profile{append(guarded[:len(guarded):len(guarded)], uses...), mechanisms}
}

// wrapping is the profile of a key that wraps: DECRYPT beside WRAP would give
// away what was wrapped.
func wrapping(mechanism uint, wraps bool) profile {
	return newProfile(
		[]uint{mechanism},
		requirement{p11.CKA_WRAP, "CKA_WRAP", wraps, use},
		requirement{p11.CKA_UNWRAP, "CKA_UNWRAP", wraps, use},
		requirement{p11.CKA_ENCRYPT, "CKA_ENCRYPT", !wraps, use},
		requirement{p11.CKA_DECRYPT, "CKA_DECRYPT", !wraps, use},
		requirement{p11.CKA_SIGN, "CKA_SIGN", false, use},
		requirement{p11.CKA_VERIFY, "CKA_VERIFY", false, use},
		requirement{p11.CKA_DERIVE, "CKA_DERIVE", false, use},
	)
}

// signing is the profile of a private key that signs, and agrees if derives.
func signing(derives bool, mechanisms ...uint) profile {
	return newProfile(
		mechanisms,
		requirement{p11.CKA_SIGN, "CKA_SIGN", true, use},
		requirement{p11.CKA_DERIVE, "CKA_DERIVE", derives, use},
		requirement{p11.CKA_SIGN_RECOVER, "CKA_SIGN_RECOVER", false, use},
		requirement{p11.CKA_DECRYPT, "CKA_DECRYPT", false, use},
		requirement{p11.CKA_UNWRAP, "CKA_UNWRAP", false, use},
	)
}

// template asks for a key of the profile: one that stays in the token, or one
// that goes with its session.
func (p profile) template(stays bool) []*p11.Attribute {
	var template []*p11.Attribute
	for _, r := range p.requirements {
		if r.attribute == p11.CKA_TOKEN {
			template = append(template, p11.NewAttribute(r.attribute, stays))
		} else if r.kind != made {
			template = append(template, p11.NewAttribute(r.attribute, r.want))
		}
	}
	return template
}

// allowed is CKA_ALLOWED_MECHANISMS: CK_MECHANISM_TYPE after CK_MECHANISM_TYPE
// in the C encoding.
func (p profile) allowed() []byte {
	var b []byte
	for _, m := range p.mechanisms {
		b = binary.NativeEndian.AppendUint64(b, uint64(m))
	}
	return b
}

// make tries to have the mechanisms limited too. Not every module has this
// attribute, and each refuses it with another code; the uses say the same.
func (p profile) make(stays bool, generate func([]*p11.Attribute) error) error {
	template := p.template(stays)
	err := generate(append(template[:len(template):len(template)], p11.NewAttribute(p11.CKA_ALLOWED_MECHANISMS, p.allowed())))
	if err != nil {
		err = generate(template)
	}
	return err
}

// weaknesses says how the key differs from the profile, as rules that name an
// attribute. A key that was imported, or could ever be read, is weak even if
// it is protected now.
func (t *Token) weaknesses(s p11.SessionHandle, key p11.ObjectHandle, p profile, stays bool) ([]string, error) {
	var weak []string
	for _, r := range p.requirements {
		if r.attribute == p11.CKA_TOKEN && !stays || r.attribute == p11.CKA_LOCAL && !t.origin {
			continue
		}
		value, err := t.attribute(s, key, r.attribute)
		if r.kind == use && !r.want && errors.Is(err, p11.Error(p11.CKR_ATTRIBUTE_TYPE_INVALID)) {
			continue
		}
		if err != nil && !errors.Is(err, p11.Error(p11.CKR_ATTRIBUTE_TYPE_INVALID)) {
			return nil, err
		}
		if len(value) != 1 || (value[0] != 0) != r.want {
			weak = append(weak, fmt.Sprintf("%s must be %v", r.name, r.want))
		}
	}
	got, err := t.attribute(s, key, p11.CKA_ALLOWED_MECHANISMS)
	if err == nil && len(got) > 0 && !bytes.Equal(got, p.allowed()) {
		weak = append(weak, "CKA_ALLOWED_MECHANISMS must be those of the profile only")
	}
	return weak, nil
}

// judge refuses a weak key. A key that creation left half-written is weak too.
func (t *Token) judge(s p11.SessionHandle, key p11.ObjectHandle, id []byte, p profile) error {
	weak, err := t.weaknesses(s, key, p, true)
	if err != nil {
		return err
	}
	if len(weak) > 0 {
		return fmt.Errorf("%w: %x: %s; a key that creation left half-written also looks like this", ErrKey, id, weak[0])
	}
	return nil
}
