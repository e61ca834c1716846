//go:build cgo

package pkcs11

import (
	"errors"
	"fmt"

	p11 "github.com/miekg/pkcs11"
)

// ensureLogin makes a new login epoch if the old one has ended: the token was
// removed, or the module restarted. The caller has all turns.
func (t *Token) ensureLogin() error {
	if t.logged && t.alive(t.login) {
		return nil
	}
	if t.logged {
		t.log.Warn("the login to the token has ended, logging in again", "serial", t.serial)
	}
	t.closeSessions()
	slot, info, err := selectToken(t.api, t.uri)
	if errors.Is(err, ErrUnavailable) && t.restart() {
		// A module may never look again for a token that it has missed once.
		slot, info, err = selectToken(t.api, t.uri)
	}
	if err != nil {
		return err
	}
	if serial := trim(info.SerialNumber); serial != t.serial {
		return fmt.Errorf("%w: the token is another one now: serial %s, not %s", ErrUnavailable, serial, t.serial)
	}
	if err := judgePIN(info, t.final); err != nil {
		return err
	}
	if err := t.logIn(slot); err != nil {
		return err
	}
	settled(t.uri.modulePath)
	return nil
}

func (t *Token) logIn(slot uint) error {
	pin, err := t.uri.pin()
	if err != nil {
		return err
	}
	s, err := t.api.OpenSession(slot, p11.CKF_SERIAL_SESSION|p11.CKF_RW_SESSION)
	if err != nil {
		return unavailable("opening a session", err)
	}
	if err := t.api.Login(s, p11.CKU_USER, pin); err != nil {
		_ = t.api.CloseSession(s)
		return loginError(err)
	}
	t.login, t.slot, t.logged = s, slot, true
	return nil
}

// judgePIN refuses to log in where a wrong PIN would do harm.
func judgePIN(info p11.TokenInfo, allowFinal bool) error {
	switch {
	case info.Flags&p11.CKF_USER_PIN_INITIALIZED == 0:
		return fmt.Errorf("%w: the token has no user PIN yet", ErrPIN)
	case info.Flags&p11.CKF_USER_PIN_LOCKED != 0:
		return fmt.Errorf("%w: it is locked", ErrPIN)
	case info.Flags&p11.CKF_USER_PIN_FINAL_TRY != 0 && !allowFinal:
		return fmt.Errorf("%w: one more wrong PIN locks it; check the PIN and log in once by hand", ErrPIN)
	}
	return nil
}

// loginError names the cases. All but a token that is gone are final: a real
// token is destroyed by a few retries.
func loginError(err error) error {
	var e p11.Error
	if !errors.As(err, &e) {
		return fmt.Errorf("%w: login: %v", ErrPIN, err)
	}
	switch uint(e) {
	case p11.CKR_PIN_INCORRECT, p11.CKR_PIN_INVALID, p11.CKR_PIN_LEN_RANGE:
		return fmt.Errorf("%w: it is wrong, and is not tried again", ErrPIN)
	case p11.CKR_PIN_LOCKED:
		return fmt.Errorf("%w: it is locked", ErrPIN)
	case p11.CKR_USER_ALREADY_LOGGED_IN:
		return fmt.Errorf("%w: other code in this process is logged in, so it was not checked", ErrPIN)
	case p11.CKR_TOKEN_NOT_PRESENT, p11.CKR_DEVICE_REMOVED, p11.CKR_SESSION_HANDLE_INVALID, p11.CKR_SESSION_CLOSED:
		return unavailable("login", err)
	}
	return fmt.Errorf("%w: login: %v", ErrPIN, e)
}
