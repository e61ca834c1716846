//go:build cgo

package pkcs11

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	p11 "github.com/miekg/pkcs11"
)

// cryptoki is what this package uses of a module; tests put faults between.
type cryptoki interface {
	GetSlotList(tokenPresent bool) ([]uint, error)
	GetTokenInfo(slot uint) (p11.TokenInfo, error)
	GetMechanismInfo(slot uint, m []*p11.Mechanism) (p11.MechanismInfo, error)
	OpenSession(slot uint, flags uint) (p11.SessionHandle, error)
	CloseSession(p11.SessionHandle) error
	GetSessionInfo(p11.SessionHandle) (p11.SessionInfo, error)
	Login(s p11.SessionHandle, user uint, pin string) error
	FindObjectsInit(p11.SessionHandle, []*p11.Attribute) error
	FindObjects(s p11.SessionHandle, limit int) ([]p11.ObjectHandle, bool, error)
	FindObjectsFinal(p11.SessionHandle) error
	GetAttributeValue(p11.SessionHandle, p11.ObjectHandle, []*p11.Attribute) ([]*p11.Attribute, error)
	GenerateKey(p11.SessionHandle, []*p11.Mechanism, []*p11.Attribute) (p11.ObjectHandle, error)
	GenerateKeyPair(s p11.SessionHandle, m []*p11.Mechanism, public, private []*p11.Attribute) (p11.ObjectHandle, p11.ObjectHandle, error)
	CreateObject(p11.SessionHandle, []*p11.Attribute) (p11.ObjectHandle, error)
	DestroyObject(p11.SessionHandle, p11.ObjectHandle) error
	WrapKey(s p11.SessionHandle, m []*p11.Mechanism, wrapping, key p11.ObjectHandle) ([]byte, error)
	EncryptInit(p11.SessionHandle, []*p11.Mechanism, p11.ObjectHandle) error
	Encrypt(p11.SessionHandle, []byte) ([]byte, error)
	DecryptInit(p11.SessionHandle, []*p11.Mechanism, p11.ObjectHandle) error
	Decrypt(p11.SessionHandle, []byte) ([]byte, error)
	SignInit(p11.SessionHandle, []*p11.Mechanism, p11.ObjectHandle) error
	Sign(p11.SessionHandle, []byte) ([]byte, error)
	DeriveKey(s p11.SessionHandle, m []*p11.Mechanism, base p11.ObjectHandle, a []*p11.Attribute) (p11.ObjectHandle, error)
	GetInfo() (p11.Info, error)
	UnwrapKey(s p11.SessionHandle, m []*p11.Mechanism, unwrapping p11.ObjectHandle, wrapped []byte, a []*p11.Attribute) (p11.ObjectHandle, error)
}

// Token is one token, logged in to. It is safe for concurrent use. Each call
// has a session to itself, because modules do not survive one shared between
// threads; when all are taken, calls wait.
type Token struct {
	api     cryptoki
	uri     *uri
	log     *slog.Logger
	timeout time.Duration
	final   bool
	origin  bool // CKA_LOCAL must be true
	method  *wrapMethod
	serial  string
	label   string
	release func()
	restart func() bool // the module, when its tokens are lost

	turns chan struct{} // holds one for each call in the module
	alone chan struct{} // holds one for whoever waits for all turns

	// Changed by whoever has all turns, read by whoever has one.
	login  p11.SessionHandle // open all the time: closing the last one logs out
	slot   uint
	logged bool

	mu      sync.Mutex // guards what follows, and is not held in the module
	fatal   error      // ErrPIN or ErrClosed, for ever
	idle    []p11.SessionHandle
	handles map[string]p11.ObjectHandle // of private keys, by CKA_ID
	seen    time.Time                   // when the token was there

	closeOnce sync.Once
}

// Open loads the module of a PKCS#11 URI (RFC 7512), selects the one token
// that matches, and logs in. README.md has the attributes.
//
// A process can have a token open once only; another wrong PIN would go
// unnoticed, because login counts for the whole process.
func Open(uriText string, o Options) (*Token, error) {
	u, err := parseURI(uriText)
	if err != nil {
		return nil, err
	}
	if o.Role == "" {
		o.Role = RoleRoot
	}
	if err := u.fitRole(o.Role); err != nil {
		return nil, err
	}
	o.Log = o.logger()
	if u.pinValue != "" {
		o.Log.Warn("the PIN stands in the URI (pin-value), where logs and process lists show it: use pin-source")
	}
	api, release, err := acquire(u.modulePath, u.initReserved, o.Log)
	if err != nil {
		return nil, err
	}
	t, err := open(api, release, u, o)
	if err != nil && !errors.Is(err, context.DeadlineExceeded) {
		release() // not while a call may still be in the module
	}
	return t, err
}

// open does not call release when it fails.
func open(api cryptoki, release func(), u *uri, o Options) (*Token, error) {
	if o.Timeout <= 0 {
		o.Timeout = DefaultTimeout
	}
	t := &Token{
		api: api, uri: u, log: o.logger(), timeout: o.Timeout, final: o.AllowFinalPINTry, origin: !o.TrustOrigin,
		alone:   make(chan struct{}, 1),
		restart: func() bool { return restart(u.modulePath) },
		handles: map[string]p11.ObjectHandle{},
	}
	slot, info, err := selectToken(api, u)
	if err != nil {
		return nil, err
	}
	t.turns = make(chan struct{}, sessions(o.Sessions, info))
	if err := t.fit(slot, o.Role); err != nil {
		return nil, err
	}
	t.serial, t.label = trim(info.SerialNumber), trim(info.Label)
	if !claim(u.modulePath, t.serial) {
		return nil, fmt.Errorf("pkcs11: token %q (serial %s) is open in this process already", t.label, t.serial)
	}
	t.release = sync.OnceFunc(func() {
		unclaim(u.modulePath, t.serial)
		release()
	})
	ctx, cancel := context.WithTimeout(context.Background(), t.timeout)
	defer cancel()
	_, err = call(ctx, t, cap(t.turns), func() (struct{}, error) { return struct{}{}, t.ensureLogin() })
	if err != nil {
		if !errors.Is(err, context.DeadlineExceeded) {
			unclaim(u.modulePath, t.serial)
		}
		return nil, err
	}
	t.log.Info("token selected", "label", t.label, "serial", t.serial,
		"model", trim(info.Model), "firmware", fmt.Sprintf("%d.%d", info.FirmwareVersion.Major, info.FirmwareVersion.Minor))
	return t, nil
}

// fit finds out how the token would wrap, and refuses a root that does not.
// The other roles wrap nothing.
func (t *Token) fit(slot uint, role Role) (err error) {
	if role == RoleSigner || role == RoleOperator {
		return nil
	}
	t.method, err = chooseMethod(t.api, slot)
	if role == roleAny {
		return nil
	}
	return err
}

// sessions is how many calls may be in the module at once: one session less
// than the token has, for the one that holds the login.
func sessions(asked int, info p11.TokenInfo) int {
	if asked <= 0 {
		asked = DefaultSessions
	}
	if limit := info.MaxRwSessionCount; limit != p11.CK_EFFECTIVELY_INFINITE && limit != p11.CK_UNAVAILABLE_INFORMATION && limit > 0 {
		asked = min(asked, max(int(min(limit, 1<<16))-1, 1))
	}
	return asked
}

// Describe names the token for people.
func (t *Token) Describe() string {
	return fmt.Sprintf("PKCS#11 token %q, serial %s", t.label, t.serial)
}

// Close ends the sessions and, with the last token of a module, the module.
// It waits for a call under way, at most the timeout; then it leaves the
// module as it is.
func (t *Token) Close() error {
	var err error
	t.closeOnce.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), t.timeout)
		defer cancel()
		_, err = call(ctx, t, cap(t.turns), func() (struct{}, error) {
			t.closeSessions()
			t.end(ErrClosed)
			t.release()
			return struct{}{}, nil
		})
		if errors.Is(err, ErrPIN) {
			t.release()
			err = nil
		}
	})
	return err
}
