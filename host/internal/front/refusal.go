package front

import (
	"net/http"

	"github.com/sallyport/sallyport/enclave/wire"
)

// Refusal is an answer that the host gives by itself. Its body is rendered
// once, by the same function that renders the enclave's errors.
type Refusal struct {
	status int
	body   []byte
	allow  string // Allow header
	retry  bool   // Retry-After header
	close  bool   // what follows on the connection is not to be trusted
}

// An Envelope renders an error as one public API shows it.
type Envelope func(*wire.Error) (status int, body []byte)

// A Voice is every refusal there is, in the envelope of one API.
type Voice struct {
	envelope Envelope
	// statuses says that failures of HTTP itself have the statuses that HTTP
	// has for them (405, 408, 413, 415). Otherwise only those of the envelope
	// are used, and a path with a wrong method is an unknown one.
	statuses bool

	notFound, noLength, tooLarge, unsupportedEncoding, tooSlow, shortBody, bodyOnGet *Refusal
	twoStamps, emptyStamp, badNonce, overloaded, unanswered, clientGone              *Refusal
}

// NewVoice renders all refusals. With statuses, failures of HTTP itself are
// answered with the statuses that HTTP has for them; without, only with those
// that the envelope gives.
//
// 413, 415 and 408 say InvalidArgument, because the request is at fault and no
// API has a code that is closer.
func NewVoice(envelope Envelope, statuses bool) *Voice {
	v := &Voice{envelope: envelope, statuses: statuses}
	invalid := func(message string) *Refusal { return v.Refuse(wire.InvalidArgument, "", message) }
	v.notFound = v.Refuse(wire.NotFound, "", "no such path")
	v.noLength = closing(invalid("body: needs a Content-Length and no Transfer-Encoding"))
	v.tooLarge = closing(v.refuseAs(http.StatusRequestEntityTooLarge, wire.InvalidArgument, "body: at most 524288 bytes are accepted"))
	v.unsupportedEncoding = closing(v.refuseAs(http.StatusUnsupportedMediaType, wire.InvalidArgument, "Content-Encoding: no encoding is accepted"))
	v.tooSlow = closing(v.refuseAs(http.StatusRequestTimeout, wire.InvalidArgument, "body: did not arrive in time"))
	v.shortBody = closing(invalid("body: is shorter than its Content-Length"))
	v.bodyOnGet = closing(invalid("body: must be empty in a GET request"))
	v.twoStamps = invalid("stamp: exactly one X-Stamp or X-Stamp-WebAuthn header is accepted")
	v.emptyStamp = v.Refuse(wire.Unauthenticated, "SIGNATURE_INVALID", "malformed activity stamp")
	v.badNonce = invalid("X-Sallyport-Nonce: must be one header of 16 to 64 bytes in hex")
	v.overloaded = retrying(v.Refuse(wire.ResourceExhausted, "", "too many requests at once, try again"))
	v.unanswered = v.Unavailable("the enclave did not answer in time")
	v.clientGone = closing(v.Refuse(wire.Unavailable, "", "the client closed the connection"))
	return v
}

// Refuse makes a refusal with the HTTP status that the code has.
func (v *Voice) Refuse(code wire.Code, reason, message string) *Refusal {
	status, body := v.envelope(wire.Errorf(code, reason, "%s", message))
	return &Refusal{status: status, body: body}
}

// Unavailable makes a refusal that asks to try again.
func (v *Voice) Unavailable(message string) *Refusal {
	return retrying(v.Refuse(wire.Unavailable, "", message))
}

// refuseAs is for HTTP statuses that no code has of its own.
func (v *Voice) refuseAs(status int, code wire.Code, message string) *Refusal {
	r := v.Refuse(code, "", message)
	if v.statuses {
		r.status = status
	}
	return r
}

func closing(r *Refusal) *Refusal {
	r.close = true
	return r
}

func retrying(r *Refusal) *Refusal {
	r.retry = true
	return r
}

func (v *Voice) methodNotAllowed(allow string) *Refusal {
	if !v.statuses {
		return v.notFound
	}
	r := v.refuseAs(http.StatusMethodNotAllowed, wire.Unimplemented, "method: must be "+allow)
	r.allow = allow
	return r
}

// notHTTP is for requests that net/http cannot read and refuses by itself.
// Which API they were meant for is not known.
func notHTTP(status int, text string) *Refusal {
	code := wire.InvalidArgument
	switch {
	case status == http.StatusNotImplemented:
		code = wire.Unimplemented
	case status >= 500:
		code = wire.Internal
	}
	return plainVoice.refuseAs(status, code, text)
}

var plainVoice = NewVoice(wire.TurnkeyEnvelope, true)
