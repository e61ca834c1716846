//go:build cgo

package pkcs11

import (
	"fmt"
	"time"

	p11 "github.com/miekg/pkcs11"
)

// errLoggedOut says that nothing was done because the login has ended.
var errLoggedOut = fmt.Errorf("%w: the login has ended", ErrUnavailable)

// inSession runs f in a session of the pool. One in which anything failed may
// be poisoned: it is closed and not used again, and handles are looked up anew.
func inSession[T any](t *Token, f func(p11.SessionHandle) (T, error)) (T, error) {
	var zero T
	s, err := t.takeSession()
	if err != nil {
		return zero, err
	}
	v, err := f(s)
	if err != nil {
		_ = t.api.CloseSession(s)
		t.doubt()
		return v, err
	}
	t.putSession(s)
	return v, nil
}

// takeSession returns a session that is logged in: an idle one, or a new one.
// There are never more than turns.
func (t *Token) takeSession() (p11.SessionHandle, error) {
	if !t.logged {
		return 0, errLoggedOut
	}
	s, ok := t.popIdle()
	if !ok {
		var err error
		if s, err = t.api.OpenSession(t.slot, p11.CKF_SERIAL_SESSION|p11.CKF_RW_SESSION); err != nil {
			if t.alive(t.login) {
				return 0, unavailable("opening a session", err)
			}
			return 0, errLoggedOut
		}
	}
	if !t.usable(s) {
		_ = t.api.CloseSession(s)
		return 0, errLoggedOut
	}
	return s, nil
}

func (t *Token) popIdle() (p11.SessionHandle, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.idle) == 0 {
		return 0, false
	}
	s := t.idle[len(t.idle)-1]
	t.idle = t.idle[:len(t.idle)-1]
	return s, true
}

func (t *Token) putSession(s p11.SessionHandle) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.idle = append(t.idle, s)
}

// closeSessions ends the epoch. The caller has all turns. It comes before any
// restart, after which the numbers may name sessions of others.
func (t *Token) closeSessions() {
	t.mu.Lock()
	idle := t.idle
	t.idle = nil
	clear(t.handles)
	t.seen = time.Time{}
	t.mu.Unlock()
	for _, s := range idle {
		_ = t.api.CloseSession(s)
	}
	if t.logged {
		_ = t.api.CloseSession(t.login)
	}
	t.logged = false
}

// seenFor is how long a token that was there counts as there, if nothing fails:
// asking is a round trip in hardware, and files read in SoftHSM.
const seenFor = 100 * time.Millisecond

// usable is alive, but for a token that was there just now.
func (t *Token) usable(s p11.SessionHandle) bool {
	t.mu.Lock()
	lately := time.Since(t.seen) < seenFor
	t.mu.Unlock()
	if lately {
		return t.loggedInTo(s)
	}
	ok := t.alive(s)
	if ok {
		t.mu.Lock()
		t.seen = time.Now()
		t.mu.Unlock()
	}
	return ok
}

func (t *Token) loggedInTo(s p11.SessionHandle) bool {
	info, err := t.api.GetSessionInfo(s)
	return err == nil && info.State == p11.CKS_RW_USER_FUNCTIONS
}

// alive says whether the session is logged in and its token there.
func (t *Token) alive(s p11.SessionHandle) bool {
	if !t.loggedInTo(s) {
		return false
	}
	// A module may go on with sessions of a token that is gone.
	token, err := t.api.GetTokenInfo(t.slot)
	return err == nil && trim(token.SerialNumber) == t.serial
}

// handle returns what rememberHandle kept in this epoch. Handles of an ended
// login are void, even after the next one.
func (t *Token) handle(id []byte) (p11.ObjectHandle, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	h, ok := t.handles[string(id)]
	return h, ok
}

func (t *Token) rememberHandle(id []byte, h p11.ObjectHandle) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.handles[string(id)] = h
}

// doubt has everything looked up anew, after something failed.
func (t *Token) doubt() {
	t.mu.Lock()
	defer t.mu.Unlock()
	clear(t.handles)
	t.seen = time.Time{}
}

func (t *Token) ended() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.fatal
}

// end makes every later call fail with err.
func (t *Token) end(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.fatal = err
}
