//go:build cgo

package pkcs11

import (
	"context"
	"errors"
	"testing"
	"time"

	p11 "github.com/miekg/pkcs11"
)

// faulty stands between a token and its module.
type faulty struct {
	cryptoki
	template        *p11.Attribute // replaces one attribute of keys made
	flags           uint           // added to those of every token
	login           error
	logins          int
	session         error
	shortWrap       bool
	garble          bool
	block           chan struct{} // WrapKey waits for it
	noWrap          bool
	noGCM           bool
	garbleSignature bool
	garbleSeal      bool
}

func (f *faulty) GenerateKey(s p11.SessionHandle, m []*p11.Mechanism, a []*p11.Attribute) (p11.ObjectHandle, error) {
	for i := range a {
		if f.template != nil && a[i].Type == f.template.Type {
			a[i] = f.template
		}
	}
	return f.cryptoki.GenerateKey(s, m, a)
}

func (f *faulty) GenerateKeyPair(s p11.SessionHandle, m []*p11.Mechanism, public, private []*p11.Attribute) (p11.ObjectHandle, p11.ObjectHandle, error) {
	for _, list := range [][]*p11.Attribute{public, private} {
		for i := range list {
			if f.template != nil && list[i].Type == f.template.Type {
				list[i] = f.template
			}
		}
	}
	return f.cryptoki.GenerateKeyPair(s, m, public, private)
}

func (f *faulty) Sign(s p11.SessionHandle, digest []byte) ([]byte, error) {
	signature, err := f.cryptoki.Sign(s, digest)
	if f.garbleSignature {
		signature[7] ^= 1
	}
	return signature, err
}

func (f *faulty) Encrypt(s p11.SessionHandle, plaintext []byte) ([]byte, error) {
	sealed, err := f.cryptoki.Encrypt(s, plaintext)
	if f.garbleSeal {
		sealed[3] ^= 1
	}
	return sealed, err
}

func (f *faulty) GetTokenInfo(slot uint) (p11.TokenInfo, error) {
	info, err := f.cryptoki.GetTokenInfo(slot)
	info.Flags |= f.flags
	return info, err
}

func (f *faulty) GetMechanismInfo(slot uint, m []*p11.Mechanism) (p11.MechanismInfo, error) {
	info, err := f.cryptoki.GetMechanismInfo(slot, m)
	if f.noWrap {
		info.Flags &^= p11.CKF_WRAP
	}
	if f.noGCM && m[0].Mechanism == p11.CKM_AES_GCM {
		info.Flags = 0
	}
	return info, err
}

func (f *faulty) Login(s p11.SessionHandle, user uint, pin string) error {
	f.logins++
	if f.login != nil {
		return f.login
	}
	return f.cryptoki.Login(s, user, pin)
}

func (f *faulty) GetSessionInfo(s p11.SessionHandle) (p11.SessionInfo, error) {
	if f.session != nil {
		return p11.SessionInfo{}, f.session
	}
	return f.cryptoki.GetSessionInfo(s)
}

func (f *faulty) WrapKey(s p11.SessionHandle, m []*p11.Mechanism, wrapping, key p11.ObjectHandle) ([]byte, error) {
	if f.block != nil {
		<-f.block
	}
	wrapped, err := f.cryptoki.WrapKey(s, m, wrapping, key)
	if f.shortWrap {
		wrapped = wrapped[:8]
	}
	if f.garble {
		wrapped[20] ^= 1
	}
	return wrapped, err
}

// openFaulty opens a token of a fresh SoftHSM through f.
func openFaulty(t *testing.T, f *faulty, o Options) (*Token, error) {
	t.Helper()
	k := newTokens(t)
	k.add("sallyport")
	u, err := parseURI(k.uri("sallyport"))
	if err != nil {
		t.Fatal(err)
	}
	api, release, err := acquire(u.modulePath, "", Options{}.logger())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(release)
	f.cryptoki = api
	token, err := open(f, release, u, o)
	if err == nil {
		t.Cleanup(func() { mustClose(t, token) })
	}
	return token, err
}

func TestNoLoginWhereAWrongPINWouldLock(t *testing.T) {
	for name, flag := range map[string]uint{"final try": p11.CKF_USER_PIN_FINAL_TRY, "locked": p11.CKF_USER_PIN_LOCKED} {
		t.Run(name, func(t *testing.T) {
			f := &faulty{flags: flag}
			_, err := openFaulty(t, f, Options{})
			if !errors.Is(err, ErrPIN) || f.logins != 0 {
				t.Errorf("got %v after %d logins", err, f.logins)
			}
		})
	}
	f := &faulty{flags: p11.CKF_USER_PIN_FINAL_TRY}
	if _, err := openFaulty(t, f, Options{AllowFinalPINTry: true}); err != nil || f.logins != 1 {
		t.Errorf("allowed: %v after %d logins", err, f.logins)
	}
}

func TestALoginThatWasNotOursIsNotTrusted(t *testing.T) {
	f := &faulty{login: p11.Error(p11.CKR_USER_ALREADY_LOGGED_IN)}
	if _, err := openFaulty(t, f, Options{}); !errors.Is(err, ErrPIN) {
		t.Errorf("got %v", err)
	}
}

// The PIN was changed behind our back, and the login ended: the new login
// fails once, and then for ever, without asking the token.
func TestAPINThatTurnsWrongIsNotTriedAgain(t *testing.T) {
	f := &faulty{}
	token, err := openFaulty(t, f, Options{})
	if err != nil {
		t.Fatal(err)
	}
	f.session, f.login = p11.Error(p11.CKR_SESSION_HANDLE_INVALID), p11.Error(p11.CKR_PIN_INCORRECT)
	for range 5 {
		if err := token.EnsureKey(t.Context()); !errors.Is(err, ErrPIN) {
			t.Errorf("got %v", err)
		}
	}
	f.session, f.login = nil, nil
	if err := token.EnsureKey(t.Context()); !errors.Is(err, ErrPIN) {
		t.Errorf("got %v", err)
	}
	if f.logins != 2 {
		t.Errorf("%d logins", f.logins)
	}
}

func TestALostLoginIsMadeAgain(t *testing.T) {
	f := &faulty{}
	token, err := openFaulty(t, f, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := token.EnsureKey(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := f.cryptoki.(*p11.Ctx).CloseAllSessions(token.slot); err != nil { // closing the last one logs out
		t.Fatal(err)
	}
	if err := token.EnsureKey(t.Context()); err != nil {
		t.Error(err)
	}
	if f.logins != 2 {
		t.Errorf("%d logins", f.logins)
	}
}

func TestTokensWithoutTheMechanismAreRefused(t *testing.T) {
	_, err := openFaulty(t, &faulty{noWrap: true, noGCM: true}, Options{})
	contains(t, err, "the token offers neither CKM_AES_KEY_WRAP nor CKM_AES_GCM")
}

func TestGarbageFromTheModuleDoesNotLeave(t *testing.T) {
	for name, f := range map[string]*faulty{"short": {shortWrap: true}, "garbled": {garble: true}} {
		t.Run(name, func(t *testing.T) {
			token, err := openFaulty(t, f, Options{})
			if err != nil {
				t.Fatal(err)
			}
			if err := token.EnsureKey(t.Context()); err == nil {
				t.Error("the self-test did not notice")
			}
			if wrapped, err := token.Wrap(t.Context(), secret); err == nil || wrapped != nil {
				t.Errorf("got %x, %v", wrapped, err)
			}
		})
	}
}

func TestAModuleThatHangsDoesNotHangItsCallers(t *testing.T) {
	f := &faulty{}
	token, err := openFaulty(t, f, Options{Sessions: 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := token.EnsureKey(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.block = make(chan struct{})
	for _, want := range []string{"the module has not answered", "another call has not returned"} {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		_, err := token.Wrap(ctx, secret)
		cancel()
		if !errors.Is(err, ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		contains(t, err, want)
	}
	close(f.block)
	if _, err := token.Wrap(t.Context(), secret); err != nil {
		t.Errorf("after it let go: %v", err)
	}
}
