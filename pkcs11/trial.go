//go:build cgo

package pkcs11

import (
	"errors"
	"fmt"
	"strings"

	p11 "github.com/miekg/pkcs11"
)

// A trial finds out whether a role works.
type trial struct {
	role string
	by   string
	run  func(t *Token, s p11.SessionHandle) error
}

func trials() []trial {
	all := []trial{{role: string(RoleRoot), run: (*Token).tryRoot}}
	for _, c := range Curves {
		by := "CKM_ECDSA"
		if c == Ed25519 {
			by = "CKM_EDDSA"
		}
		all = append(all, trial{"signer:" + string(c), by, func(t *Token, s p11.SessionHandle) error { return t.tryPair(s, signerKind(c)) }})
	}
	return append(all, trial{string(RoleOperator), "CKM_ECDSA, CKM_ECDH1_DERIVE", func(t *Token, s p11.SessionHandle) error { return t.tryPair(s, operatorKind()) }})
}

// try runs a trial in a session of its own, with which its keys go.
func (t *Token) try(trial trial) RoleReport {
	r := RoleReport{Role: trial.role, By: trial.by}
	if r.By == "" && t.method != nil {
		r.By = t.method.name
	}
	err := t.aside(func(s p11.SessionHandle) error { return trial.run(t, s) })
	if r.Works = err == nil; !r.Works {
		r.Problem = plain(err)
	}
	return r
}

// plain is an error without what the reader knows: that it is of a token.
func plain(err error) string {
	text := err.Error()
	for _, known := range []error{ErrKey, ErrUnavailable} {
		text = strings.ReplaceAll(text, known.Error()+": ", "")
	}
	return strings.ReplaceAll(text, "pkcs11: ", "")
}

// aside runs f in a session that nothing else uses, then or later: what f does
// may fail, and poison it. The caller has all turns.
func (t *Token) aside(f func(p11.SessionHandle) error) error {
	s, err := t.api.OpenSession(t.slot, p11.CKF_SERIAL_SESSION|p11.CKF_RW_SESSION)
	if err != nil {
		return unavailable("opening a session", err)
	}
	defer func() { _ = t.api.CloseSession(s) }()
	return f(s)
}

func (t *Token) tryRoot(s p11.SessionHandle) error {
	if t.method == nil {
		_, err := chooseMethod(t.api, t.slot)
		return err
	}
	id := newID()
	key, err := t.generateKey(s, t.method, id, "sallyport-trial", false)
	if err != nil {
		return unavailable("making a key", err)
	}
	defer func() { _ = t.api.DestroyObject(s, key) }()
	if err := t.mustBeStrong(s, key, t.method.profile); err != nil {
		return err
	}
	return t.tryKey(s, t.method, key, id)
}

func (t *Token) tryPair(s p11.SessionHandle, kind pairKind) error {
	id := newID()
	public, private, err := t.makePair(s, kind, id, "sallyport-trial", false)
	if err != nil {
		return unavailable("making a key", err)
	}
	defer func() { _, _ = t.api.DestroyObject(s, private), t.api.DestroyObject(s, public) }()
	p, err := t.readPair(s, func(Curve) pairKind { return kind }, private, id)
	if err != nil {
		return err
	}
	if err := t.mustBeStrong(s, private, kind.profile); err != nil {
		return err
	}
	return p.try(s, private)
}

// mustBeStrong judges a key just made: what is wrong with it would be wrong
// with every key of this token.
func (t *Token) mustBeStrong(s p11.SessionHandle, key p11.ObjectHandle, p profile) error {
	weak, err := t.weaknesses(s, key, p, false)
	if err != nil {
		return err
	}
	if len(weak) == 1 && strings.HasPrefix(weak[0], "CKA_LOCAL ") {
		return errors.New("the token does not record where keys come from: CKA_LOCAL is false for one that it just made")
	}
	if len(weak) > 0 {
		return fmt.Errorf("a key just made is not as asked: %s", strings.Join(weak, ", "))
	}
	return nil
}
