package turnkey

import (
	"net/http"

	"github.com/sallyport/sallyport/enclave/wire"
)

// refusal is an answer that the host gives by itself. Its body is rendered
// once, by the same function that renders the enclave's errors.
type refusal struct {
	status int
	body   []byte
	allow  string // Allow header
	retry  bool   // Retry-After header
	close  bool   // what follows on the connection is not to be trusted
}

// refuse makes a refusal with the HTTP status that the code has.
func refuse(code wire.Code, reason, message string) *refusal {
	status, body := wire.TurnkeyEnvelope(wire.Errorf(code, reason, "%s", message))
	return &refusal{status: status, body: body}
}

// refuseAs is for HTTP statuses that no code has of its own.
func refuseAs(status int, code wire.Code, message string) *refusal {
	r := refuse(code, "", message)
	r.status = status
	return r
}

func closing(r *refusal) *refusal {
	r.close = true
	return r
}

func retrying(r *refusal) *refusal {
	r.retry = true
	return r
}

// Every refusal there is. 413, 415 and 408 say InvalidArgument, because the
// request is at fault and the activity API has no code that is closer.
var (
	notFound            = refuse(wire.NotFound, "", "no such path")
	noLength            = closing(refuse(wire.InvalidArgument, "", "body: needs a Content-Length and no Transfer-Encoding"))
	tooLarge            = closing(refuseAs(http.StatusRequestEntityTooLarge, wire.InvalidArgument, "body: at most 524288 bytes are accepted"))
	unsupportedEncoding = closing(refuseAs(http.StatusUnsupportedMediaType, wire.InvalidArgument, "Content-Encoding: no encoding is accepted"))
	tooSlow             = closing(refuseAs(http.StatusRequestTimeout, wire.InvalidArgument, "body: did not arrive in time"))
	shortBody           = closing(refuse(wire.InvalidArgument, "", "body: is shorter than its Content-Length"))
	bodyOnGet           = closing(refuse(wire.InvalidArgument, "", "body: must be empty in a GET request"))
	twoStamps           = refuse(wire.InvalidArgument, "", "stamp: exactly one X-Stamp or X-Stamp-WebAuthn header is accepted")
	emptyStamp          = refuse(wire.Unauthenticated, "SIGNATURE_INVALID", "malformed activity stamp")
	badNonce            = refuse(wire.InvalidArgument, "", "X-Sallyport-Nonce: must be one header of 16 to 64 bytes in hex")
	overloaded          = retrying(refuse(wire.ResourceExhausted, "", "too many requests at once, try again"))
	unreachable         = retrying(refuse(wire.Unavailable, "", "the enclave cannot be reached"))
	unanswered          = retrying(refuse(wire.Unavailable, "", "the enclave did not answer in time"))
	clientGone          = closing(refuse(wire.Unavailable, "", "the client closed the connection"))
)

func methodNotAllowed(allow string) *refusal {
	r := refuseAs(http.StatusMethodNotAllowed, wire.Unimplemented, "method: must be "+allow)
	r.allow = allow
	return r
}

// notHTTP is for requests that net/http cannot read and refuses by itself.
func notHTTP(status int, text string) *refusal {
	code := wire.InvalidArgument
	switch {
	case status == http.StatusNotImplemented:
		code = wire.Unimplemented
	case status >= 500:
		code = wire.Internal
	}
	return refuseAs(status, code, text)
}
