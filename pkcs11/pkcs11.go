// Package pkcs11 uses keys that a PKCS#11 token made and keeps: an AES key that
// wraps a root of 32 bytes, keys that sign ([Signer]), and the keys of operators,
// who sign and open what is sealed to them ([Operator]). It trusts the module,
// which runs in this process, and checks what it can of what the module says:
// selection, attributes, lengths, points, that what was wrapped unwraps and that
// signatures verify.
//
// It needs cgo (without, [Open] says so), and has no place in the production enclave, which could
// reach a token only through the host that it does not trust.
package pkcs11

import (
	"errors"
	"log/slog"
	"time"
)

// SecretSize is the number of bytes that Wrap takes.
const SecretSize = 32

// maxID bounds CKA_ID in bytes: a wrapped secret names its key with one length
// byte before it.
const maxID = 64

// DefaultTimeout bounds a call whose context has no deadline. Making a key in
// a busy token takes some hundred milliseconds.
const DefaultTimeout = 30 * time.Second

// DefaultSessions is how many calls may be in the module at once. More buys
// nothing with tokens in software, and hardware has few.
const DefaultSessions = 4

// A Role is what a token is opened for.
type Role string

// The roles.
const (
	RoleRoot     Role = "root"     // wraps 32 bytes
	RoleSigner   Role = "signer"   // holds keys that sign
	RoleOperator Role = "operator" // holds P-256 keys that sign and agree
	roleAny      Role = "any"      // is looked at
)

// Errors that callers may branch on.
var (
	// ErrPIN is fatal: the token refused the PIN, or could lock at the next
	// wrong one. Nothing is tried again in the life of a [Token].
	ErrPIN = errors.New("pkcs11: the token does not accept the PIN")
	// ErrUnavailable says that the token or its module does not answer as
	// it should. The call may be made again.
	ErrUnavailable = errors.New("pkcs11: the token is not available")
	// ErrKey says that the key in the token is missing, ambiguous, broken, or
	// weaker than its profile.
	ErrKey = errors.New("pkcs11: the key in the token cannot be used")
	// ErrUnwrap says that a wrapped secret does not open, whatever the cause.
	ErrUnwrap = errors.New("pkcs11: the wrapped secret does not open with this token")
	// ErrClosed says that the token was closed.
	ErrClosed = errors.New("pkcs11: the token is closed")
)

// Options are what a URI does not say. The zero value is good.
type Options struct {
	// Log gets warnings and what was selected, never a PIN. Nil discards.
	Log *slog.Logger
	// Timeout replaces DefaultTimeout.
	Timeout time.Duration
	// Role replaces RoleRoot.
	Role Role
	// Sessions replaces DefaultSessions. The token's own limit stays.
	Sessions int
	// TrustOrigin accepts keys with CKA_LOCAL false. NSS says so of every
	// key; of other modules it means that somebody had the key in the clear.
	TrustOrigin bool
	// AllowFinalPINTry logs in even if the token says that one more wrong
	// PIN locks it.
	AllowFinalPINTry bool
}

func (o Options) logger() *slog.Logger {
	if o.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return o.Log
}
