package wire

import "fmt"

// Code is the coarse kind of an [Error]. Numbers are those of gRPC, which the
// activity API shows to its clients; they never change.
type Code uint8

// The codes that cross the door.
const (
	InvalidArgument    Code = 3
	NotFound           Code = 5
	AlreadyExists      Code = 6
	PermissionDenied   Code = 7
	ResourceExhausted  Code = 8
	FailedPrecondition Code = 9
	Conflict           Code = 10 // gRPC's ABORTED: the journal's length is not what the caller thinks
	Unimplemented      Code = 12
	Internal           Code = 13
	Unavailable        Code = 14
	Unauthenticated    Code = 16
)

// Error is the only error that crosses the door.
type Error struct {
	Code    Code   `cbor:"1,keyasint"`
	Reason  string `cbor:"2,keyasint,omitempty"` // stable, for machines: "SIGNATURE_INVALID"
	Message string `cbor:"3,keyasint"`           // for the caller; never holds secrets or internals
	// Cause and Culprits say more about a failed MPC operation: what ended it,
	// and the parties that are to blame where that is known.
	Cause    string   `cbor:"4,keyasint,omitempty"`
	Culprits []string `cbor:"5,keyasint,omitempty"`
}

// Errorf makes an [*Error]. The message goes to the caller.
func Errorf(code Code, reason, format string, args ...any) *Error {
	return &Error{Code: code, Reason: reason, Message: fmt.Sprintf(format, args...)}
}

func (e *Error) Error() string { return e.Message }

// Is matches by code, so that errors.Is(err, &Error{Code: NotFound}) works.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code && (t.Reason == "" || t.Reason == e.Reason)
}
