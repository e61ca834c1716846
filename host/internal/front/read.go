package front

import (
	"encoding/hex"
	"errors"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/sallyport/sallyport/enclave/wire"
)

const (
	// MaxBody is the largest body taken. Half of what a frame of the door
	// holds, so that body, stamp and nonce fit into one with room to spare.
	MaxBody = 512 << 10

	// FirstRead is what a body may hold without counting against
	// maxBodyBytes. Nearly every request is smaller.
	FirstRead = 4 << 10
	// maxBodyBytes bounds the memory held by all bodies larger than
	// FirstRead: 128 of the largest.
	maxBodyBytes = 128 * MaxBody

	minNonce, maxNonce = 16, 64 // bytes
)

// Header names in canonical form, as the keys of [http.Header].
const (
	headerStamp    = "X-Stamp"
	headerWebAuthn = "X-Stamp-Webauthn"
	headerNonce    = "X-Sallyport-Nonce"
)

// readHeaders fills in what headers say about a request. Whatever could be
// read in two ways is refused rather than chosen between.
func (x *Exchange) readHeaders(req *wire.Request) *Refusal {
	r := x.r
	if e := r.Header["Content-Encoding"]; len(e) > 0 {
		return x.voice.unsupportedEncoding
	}
	key, web := r.Header[headerStamp], r.Header[headerWebAuthn]
	if len(key)+len(web) > 1 {
		return x.voice.twoStamps
	}
	switch {
	case len(key) == 1 && key[0] == "" || len(web) == 1 && web[0] == "":
		return x.voice.emptyStamp
	case len(key) == 1:
		req.StampKind, req.Stamp = wire.StampAPIKey, []byte(key[0])
	case len(web) == 1:
		req.StampKind, req.Stamp = wire.StampWebAuthn, []byte(web[0])
	}
	return x.readNonce(r.Header[headerNonce], req)
}

func (x *Exchange) readNonce(values []string, req *wire.Request) *Refusal {
	switch {
	case len(values) == 0:
		return nil
	case len(values) > 1:
		return x.voice.badNonce
	}
	nonce, err := hex.DecodeString(values[0])
	if err != nil || len(nonce) < minNonce || len(nonce) > maxNonce {
		return x.voice.badNonce
	}
	req.Nonce = nonce
	return nil
}

// readBody reads exactly the announced number of bytes. It returns how many
// bytes it took from h.bodies, which the caller gives back, also on refusal.
//
// A body needs a Content-Length. A chunked one would leave two readers (a
// proxy and this server) to agree on where it ends, and no known client sends
// one.
func (h *Handler) readBody(x *Exchange, req *wire.Request) (held int64, no *Refusal) {
	n := x.r.ContentLength
	switch {
	case len(x.r.TransferEncoding) > 0 || n < 0:
		return 0, x.voice.noLength
	case n > MaxBody:
		return 0, x.voice.tooLarge
	case n > 0 && x.r.Method == http.MethodGet:
		return 0, x.voice.bodyOnGet
	}
	body := make([]byte, 0, min(n, FirstRead))
	for {
		got, err := io.ReadFull(x.r.Body, body[len(body):cap(body)])
		body = body[:len(body)+got]
		if err != nil {
			return held, x.bodyError(err)
		}
		if int64(len(body)) == n {
			break
		}
		// Grow by what has arrived, never by what was announced alone.
		size := min(n, 2*int64(cap(body)))
		if !h.bodies.enter(size - held) {
			return held, x.voice.overloaded
		}
		held = size
		body = append(make([]byte, 0, size), body...)
	}
	req.Body = body
	x.stopReadDeadline()
	return held, nil
}

func (x *Exchange) bodyError(err error) *Refusal {
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return x.voice.tooSlow
	}
	return x.voice.shortBody
}

// stopReadDeadline ends the server's ReadTimeout, which has done its work once
// the body is there. Left alone it would fire during a slow call, and net/http
// would take that for a client that has gone.
func (x *Exchange) stopReadDeadline() {
	_ = http.NewResponseController(x.w).SetReadDeadline(time.Time{})
}
