package wire

import (
	"errors"
	"strings"
)

// Valid tells whether c is one of the codes that cross the door.
func (c Code) Valid() bool {
	switch c {
	case InvalidArgument, NotFound, AlreadyExists, PermissionDenied, ResourceExhausted, FailedPrecondition,
		Conflict, Unimplemented, Internal, Unavailable, Unauthenticated:
		return true
	}
	return false
}

// valid is the form that an error must have to be taken from the other side.
func (e *Error) valid() error {
	switch {
	case !e.Code.Valid():
		return errors.New("error code is unknown")
	case len(e.Reason) > maxReason:
		return errors.New("error reason is too long")
	case len(e.Message) > maxMessage:
		return errors.New("error message is too long")
	}
	return nil
}

// fit returns e in the form that the other side takes.
func (e *Error) fit() *Error {
	if e.valid() == nil && strings.ToValidUTF8(e.Message+e.Reason, "") == e.Message+e.Reason {
		return e
	}
	f := &Error{Code: e.Code, Reason: cut(e.Reason, maxReason), Message: cut(e.Message, maxMessage)}
	if !f.Code.Valid() {
		f.Code = Internal
	}
	return f
}

// cut shortens s to at most n bytes of valid UTF-8.
func cut(s string, n int) string {
	return strings.ToValidUTF8(s[:min(len(s), n)], "")
}

// Valid checks the form that the comments on [Request] promise, whatever the
// request asks for. Its error is an [*Error] that names the field and the rule.
// The door checks it on both sides.
func (r *Request) Valid() error {
	if rule := r.broken(); rule != "" {
		return Errorf(InvalidArgument, "", "%s", rule)
	}
	return nil
}

func (r *Request) broken() string {
	switch {
	case r.API != APIActivity && r.API != APISallyport:
		return "request API is unknown"
	case len(r.Path) > maxPath || !strings.HasPrefix(r.Path, "/") || !graphic(r.Path):
		return "request path must begin with / and have at most 512 printable ASCII characters"
	case r.StampKind > StampWebAuthn:
		return "stamp kind is unknown"
	case (r.StampKind == StampNone) != (len(r.Stamp) == 0):
		return "stamp and its kind must come together"
	case len(r.Nonce) != 0 && (len(r.Nonce) < minNonce || len(r.Nonce) > maxNonce):
		return "nonce must have 16 to 64 bytes"
	}
	return ""
}

// graphic looks at bytes, since it is part of every call.
func graphic(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
