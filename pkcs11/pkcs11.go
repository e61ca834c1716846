// Package pkcs11 uses a PKCS#11 token as a root: an AES key that the token
// made and keeps wraps 32 bytes. It trusts the module, which runs in this
// process, and checks what it can of what the module says: selection,
// attributes, lengths, and that what was wrapped unwraps.
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
