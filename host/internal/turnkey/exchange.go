package turnkey

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/sallyport/sallyport/enclave/wire"
)

// exchange is one request on its way to its answer.
type exchange struct {
	w      http.ResponseWriter
	r      *http.Request
	id     string
	start  time.Time
	status int // of the answer, 0 until there is one
}

// Header values shared by all answers; net/http only reads them.
var (
	valueJSON    = []string{"application/json"} // exactly: a client refuses a charset
	valueNoStore = []string{"no-store"}
	valueNoSniff = []string{"nosniff"}
	valueClose   = []string{"close"}
	valueRetry   = []string{"1"} // seconds
)

// write sends the one answer. Content-Length is always set: no chunking.
func (x *exchange) write(status int, body []byte) {
	h := x.w.Header()
	h["Content-Type"] = valueJSON
	h["Cache-Control"] = valueNoStore
	h["X-Content-Type-Options"] = valueNoSniff
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	x.status = status
	x.w.WriteHeader(status)
	_, _ = x.w.Write(body) // a client that has gone needs no answer
}

func (x *exchange) refuse(no *refusal) {
	h := x.w.Header()
	if no.allow != "" {
		h["Allow"] = []string{no.allow}
	}
	if no.retry {
		h["Retry-After"] = valueRetry
	}
	if no.close {
		h["Connection"] = valueClose
	}
	x.write(no.status, no.body)
}

// reply passes the enclave's answer on, whatever it says.
func (x *exchange) reply(log *slog.Logger, reply *wire.Reply) {
	if reply == nil || reply.Status < 200 || reply.Status > 599 {
		x.incident(log, errors.New("the enclave's reply has no valid status"))
		return
	}
	if reply.Proof != "" {
		x.w.Header()["X-Sallyport-Proof"] = []string{reply.Proof}
	}
	if reply.Status == http.StatusTooManyRequests || reply.Status == http.StatusServiceUnavailable {
		x.w.Header()["Retry-After"] = valueRetry
	}
	x.write(reply.Status, reply.Body)
}

// fail answers when no reply came through the door. What the error wraps is for
// the log only.
func (x *exchange) fail(ctx context.Context, log *slog.Logger, err error) {
	var e *wire.Error
	switch {
	case x.r.Context().Err() != nil:
		x.refuse(clientGone)
	case ctx.Err() != nil:
		x.refuse(unanswered)
	case !errors.As(err, &e):
		x.incident(log, err)
	default:
		if e.Code == wire.Unavailable || e.Code == wire.Internal {
			log.LogAttrs(context.Background(), slog.LevelWarn, "no reply", slog.String("id", x.id), slog.Any("err", err))
		}
		status, body := wire.TurnkeyEnvelope(e)
		x.refuse(&refusal{status: status, body: body, retry: e.Code == wire.Unavailable || e.Code == wire.ResourceExhausted})
	}
}

// incident answers Internal with a number by which the log can be searched;
// the cause stays in the log.
func (x *exchange) incident(log *slog.Logger, cause error) {
	var b [8]byte
	_, _ = rand.Read(b[:])
	number := hex.EncodeToString(b[:])
	log.LogAttrs(context.Background(), slog.LevelError, "incident",
		slog.String("id", x.id), slog.String("incident", number), slog.Any("err", cause))
	x.refuse(refuse(wire.Internal, "", "internal error, incident "+number))
}
