// Package turnkey is the HTTP front of the appliance: the activity API under
// /public/v1, wire-compatible with Turnkey, and the appliance's own API under
// /sallyport/v1. It understands neither. It carries the exact bytes of a
// request through the door and the exact bytes of the answer back, so what a
// client stamped is what the enclave verifies.
//
// Nothing here is trusted. The rules it enforces (one stamp, one nonce, no
// encodings, bounded bodies) protect the host's own resources and refuse what
// could be read in two ways; the enclave checks again whatever matters.
package turnkey

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/sallyport/sallyport/enclave/wire"
)

// Defaults of [Config].
const (
	// DefaultMaxInFlight is how many calls wait at the door at once. Each
	// holds one connection to the enclave; with more, those waiting would
	// only wait longer.
	DefaultMaxInFlight = 128
	// DefaultCallTimeout bounds one call through the door. A call takes
	// milliseconds; this is the time after which nobody is still waiting.
	DefaultCallTimeout = 30 * time.Second
)

// Config tunes a [Handler]. The zero value is usable.
type Config struct {
	MaxInFlight int           // calls through the door at once; 0 is DefaultMaxInFlight
	CallTimeout time.Duration // of one call through the door; 0 is DefaultCallTimeout
	Log         *slog.Logger  // access and error log; nil discards
}

// Handler serves both APIs and the health pages. It is safe for concurrent use.
type Handler struct {
	enclave wire.Enclave
	timeout time.Duration
	log     *slog.Logger
	ids     ids
	calls   gate // calls through the door
	bodies  gate // bytes held by large bodies
	ready   readiness
}

// New returns the handler in front of enclave.
func New(enclave wire.Enclave, c Config) *Handler {
	if c.MaxInFlight <= 0 {
		c.MaxInFlight = DefaultMaxInFlight
	}
	if c.CallTimeout <= 0 {
		c.CallTimeout = DefaultCallTimeout
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return &Handler{
		enclave: enclave,
		timeout: c.CallTimeout,
		log:     c.Log,
		ids:     newIDs(),
		calls:   gate{limit: int64(c.MaxInFlight)},
		bodies:  gate{limit: maxBodyBytes},
		ready:   readiness{enclave: enclave},
	}
}

// ServeHTTP implements [http.Handler]. It routes by itself: [http.ServeMux]
// would redirect a doubled slash, and a client that follows a redirect may
// change the method.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := &exchange{w: w, r: r, id: h.ids.next(), start: time.Now()}
	defer h.finish(x)
	w.Header()["X-Request-Id"] = []string{x.id}

	path, rt := find(r)
	if rt == nil {
		x.refuse(notFound)
		return
	}
	if !rt.allows(r.Method) {
		x.refuse(methodNotAllowed(rt.allow))
		return
	}
	switch rt.kind {
	case kindAlive:
		x.write(http.StatusOK, aliveBody)
	case kindReady:
		h.ready.serve(x)
	default:
		h.forward(x, rt.api, path)
	}
}

// forward takes one request through the door.
func (h *Handler) forward(x *exchange, api wire.API, path string) {
	req := &wire.Request{API: api, Path: path}
	if no := readHeaders(x.r, req); no != nil {
		x.refuse(no)
		return
	}
	held, no := h.readBody(x, req)
	defer h.bodies.leave(held)
	if no != nil {
		x.refuse(no)
		return
	}
	// Only now does the request count: a client that sends slowly holds up
	// nobody but itself.
	if !h.calls.enter(1) {
		x.refuse(overloaded)
		return
	}
	defer h.calls.leave(1)

	ctx, cancel := context.WithTimeout(x.r.Context(), h.timeout)
	defer cancel()
	reply, err := h.enclave.Do(ctx, req)
	if err != nil {
		x.fail(ctx, h.log, err)
		return
	}
	x.reply(h.log, reply)
}
