// Package front is the HTTP side of the host, the same for all public APIs of
// the appliance. It understands none of them. It carries the exact bytes of a
// request through the door and the exact bytes of the answer back, so what a
// client stamped is what the enclave verifies. What differs between APIs (their
// paths, how they say no) is a [Face].
//
// Nothing here is trusted. The rules it enforces (one stamp, one nonce, no
// encodings, bounded bodies) protect the host's own resources and refuse what
// could be read in two ways; the enclave checks again whatever matters.
package front

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/sallyport/sallyport/enclave/wire"
)

// A Face is one public API.
type Face struct {
	// Find returns the path as the enclave is to see it and its route, nil when
	// there is none. Mine says that the path is in the part of the name space
	// that belongs to this API, which then also refuses it.
	Find func(*http.Request) (path string, route *Route, mine bool)
	// Voice renders the refusals of this API.
	Voice *Voice
	// Read fills in what this API takes from a request beside stamp, nonce and
	// body. It may be nil.
	Read func(*http.Request, *wire.Request) *Refusal
}

// A Route is where requests of one path go: through the door in a lane, or to
// a page that the host answers by itself.
type Route struct {
	Allow string // methods separated by ", ": the Allow header
	API   wire.API
	Lane  *Lane
	Page  func(*Exchange)
}

// A Lane bounds calls of one kind, so that those which wait for other machines
// keep out none that do not.
type Lane struct {
	timeout time.Duration
	calls   gate
}

// NewLane makes a lane for so many calls at once, each of which may take so long.
func NewLane(inFlight int, timeout time.Duration) *Lane {
	return &Lane{timeout: timeout, calls: gate{limit: int64(inFlight)}}
}

// Config tunes a [Handler]. The zero value is usable.
type Config struct {
	Log       *slog.Logger // access and error log; nil discards
	BodyBytes int64        // memory for large bodies; 0 is 128 of the largest
}

// Handler serves all APIs. It is safe for concurrent use.
type Handler struct {
	enclave wire.Enclave
	faces   []*Face
	log     *slog.Logger
	ids     ids
	bodies  gate // bytes held by large bodies
}

// New returns the handler in front of enclave. The first face, of which there
// must be one, also refuses the paths that are nobody's.
func New(enclave wire.Enclave, c Config, faces ...*Face) *Handler {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.BodyBytes <= 0 {
		c.BodyBytes = maxBodyBytes
	}
	return &Handler{enclave: enclave, faces: faces, log: c.Log, ids: newIDs(), bodies: gate{limit: c.BodyBytes}}
}

// find asks every face whose path it is.
func (h *Handler) find(r *http.Request) (*Face, string, *Route) {
	for _, f := range h.faces {
		if path, route, mine := f.Find(r); mine {
			return f, path, route
		}
	}
	return h.faces[0], "", nil
}

// ServeHTTP implements [http.Handler]. It routes by itself: [http.ServeMux]
// would redirect a doubled slash, and a client that follows a redirect may
// change the method.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	face, path, route := h.find(r)
	x := &Exchange{w: w, r: r, voice: face.Voice, id: h.ids.next(), start: time.Now()}
	defer h.finish(x)
	w.Header()["X-Request-Id"] = []string{x.id}
	switch {
	case route == nil:
		x.Refuse(x.voice.notFound)
	case !route.allows(r.Method):
		x.Refuse(x.voice.methodNotAllowed(route.Allow))
	case route.Page != nil:
		route.Page(x)
	default:
		h.forward(x, face, route, path)
	}
}

// forward takes one request through the door.
func (h *Handler) forward(x *Exchange, face *Face, route *Route, path string) {
	req := &wire.Request{API: route.API, Path: path}
	if no := x.readHeaders(req); no != nil {
		x.Refuse(no)
		return
	}
	if face.Read != nil {
		if no := face.Read(x.r, req); no != nil {
			x.Refuse(no)
			return
		}
	}
	held, no := h.readBody(x, req)
	defer h.bodies.leave(held)
	if no != nil {
		x.Refuse(no)
		return
	}
	// Only now does the request count: a client that sends slowly holds up
	// nobody but itself.
	if !route.Lane.calls.enter(1) {
		x.Refuse(x.voice.overloaded)
		return
	}
	defer route.Lane.calls.leave(1)

	ctx, cancel := context.WithTimeout(x.r.Context(), route.Lane.timeout)
	defer cancel()
	reply, err := h.enclave.Do(ctx, req)
	x.restartWriteDeadline()
	if err != nil {
		x.fail(ctx, h.log, err)
		return
	}
	x.reply(h.log, reply)
}
