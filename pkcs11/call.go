//go:build cgo

package pkcs11

import (
	"context"
	"errors"
	"fmt"

	p11 "github.com/miekg/pkcs11"
)

// call runs f, which may call the module, when it is its turn. A call into C
// cannot be cancelled: if ctx ends first, call returns and f keeps the turn
// until the module lets go of it; what f then returns is wiped.
func call[T any](ctx context.Context, t *Token, f func() (T, error)) (T, error) {
	var zero T
	ctx, cancel := context.WithTimeout(ctx, t.timeout)
	defer cancel()
	select {
	case t.turn <- struct{}{}:
	case <-ctx.Done():
		return zero, fmt.Errorf("%w: another call has not returned: %w", ErrUnavailable, ctx.Err())
	}
	if t.fatal != nil {
		<-t.turn
		return zero, t.fatal
	}
	type result struct {
		value T
		err   error
	}
	results := make(chan result)
	go func() {
		v, err := f()
		if errors.Is(err, ErrPIN) {
			t.fatal = err
		}
		<-t.turn
		select {
		case results <- result{v, err}:
		case <-ctx.Done():
			if b, ok := any(v).([]byte); ok {
				clear(b)
			}
		}
	}()
	select {
	case r := <-results:
		return r.value, r.err
	case <-ctx.Done():
		return zero, fmt.Errorf("%w: the module has not answered: %w", ErrUnavailable, ctx.Err())
	}
}

// withSession runs f in a session of its own, logged in. The session is
// closed whatever happens: one in which a call failed may be poisoned.
func withSession[T any](ctx context.Context, t *Token, f func(p11.SessionHandle) (T, error)) (T, error) {
	return call(ctx, t, func() (T, error) {
		var zero T
		if err := t.ensureLogin(); err != nil {
			return zero, err
		}
		s, err := t.api.OpenSession(t.slot, p11.CKF_SERIAL_SESSION|p11.CKF_RW_SESSION)
		if err != nil {
			return zero, unavailable("opening a session", err)
		}
		defer func() { _ = t.api.CloseSession(s) }()
		return f(s)
	})
}

// ensureLogin makes a new login epoch if the old one has ended: the token was
// removed, or the module restarted. Object handles of an old epoch are void,
// so none is kept anywhere.
func (t *Token) ensureLogin() error {
	if t.logged && t.stillLoggedIn() {
		return nil
	}
	if t.logged {
		_ = t.api.CloseSession(t.login)
		t.logged = false
		t.log.Warn("the login to the token has ended, logging in again", "serial", t.serial)
	}
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

func (t *Token) stillLoggedIn() bool {
	info, err := t.api.GetSessionInfo(t.login)
	if err != nil || info.State != p11.CKS_RW_USER_FUNCTIONS {
		return false
	}
	// A module may go on with sessions of a token that is gone.
	token, err := t.api.GetTokenInfo(t.slot)
	return err == nil && trim(token.SerialNumber) == t.serial
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

func unavailable(what string, err error) error {
	return fmt.Errorf("%w: %s: %v", ErrUnavailable, what, err)
}
