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
	case len(e.Cause) > maxReason:
		return errors.New("error cause is too long")
	case len(e.Culprits) > maxCulprits:
		return errors.New("error has too many culprits")
	}
	for _, c := range e.Culprits {
		if len(c) > maxCulprit {
			return errors.New("error culprit is too long")
		}
	}
	return nil
}

// fit returns e in the form that the other side takes.
func (e *Error) fit() *Error {
	text := e.Message + e.Reason + e.Cause + strings.Join(e.Culprits, "")
	if e.valid() == nil && strings.ToValidUTF8(text, "") == text {
		return e
	}
	f := &Error{Code: e.Code, Reason: cut(e.Reason, maxReason), Message: cut(e.Message, maxMessage), Cause: cut(e.Cause, maxReason)}
	for _, c := range e.Culprits[:min(len(e.Culprits), maxCulprits)] {
		f.Culprits = append(f.Culprits, cut(c, maxCulprit))
	}
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
	case r.API != APIActivity && r.API != APISallyport && r.API != APINode:
		return "request API is unknown"
	case len(r.Path) > maxPath || !strings.HasPrefix(r.Path, "/") || !graphic(r.Path):
		return "request path must begin with / and have at most 512 printable ASCII characters"
	case r.StampKind > StampWebAuthn:
		return "stamp kind is unknown"
	case (r.StampKind == StampNone) != (len(r.Stamp) == 0):
		return "stamp and its kind must come together"
	case len(r.Nonce) != 0 && (len(r.Nonce) < minNonce || len(r.Nonce) > maxNonce):
		return "nonce must have 16 to 64 bytes"
	case r.API != APINode:
		if r.Method+r.Query+r.Authorization != "" {
			return "method, query and authorization are for the node API only"
		}
	case r.Method != "GET" && r.Method != "POST" && r.Method != "DELETE":
		return "request method must be GET, POST or DELETE"
	case len(r.Query) > maxQuery || !graphic(r.Query):
		return "request query must have at most 4096 printable ASCII characters"
	case len(r.Authorization) > maxAuthorization || !graphic(r.Authorization):
		return "authorization must have at most 512 printable ASCII characters"
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
