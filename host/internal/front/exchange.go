package front

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

// Exchange is one request on its way to its answer.
type Exchange struct {
	w      http.ResponseWriter
	r      *http.Request
	voice  *Voice
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

// Write sends the one answer, JSON. Content-Length is always set: no chunking.
func (x *Exchange) Write(status int, body []byte) { x.write(valueJSON, status, body) }

// WriteAs sends an answer that is not JSON.
func (x *Exchange) WriteAs(contentType string, status int, body []byte) {
	x.write([]string{contentType}, status, body)
}

func (x *Exchange) write(contentType []string, status int, body []byte) {
	h := x.w.Header()
	h["Content-Type"] = contentType
	h["Cache-Control"] = valueNoStore
	h["X-Content-Type-Options"] = valueNoSniff
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	x.status = status
	x.w.WriteHeader(status)
	_, _ = x.w.Write(body) // a client that has gone needs no answer
}

// Refuse sends a refusal.
func (x *Exchange) Refuse(no *Refusal) {
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
	x.Write(no.status, no.body)
}

// reply passes the enclave's answer on, whatever it says.
func (x *Exchange) reply(log *slog.Logger, reply *wire.Reply) {
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
	x.Write(reply.Status, reply.Body)
}

// answerTimeout is how long a client may take to take an answer.
const answerTimeout = 30 * time.Second

// restartWriteDeadline gives the answer the time that it has whatever the call
// took. The server's own WriteTimeout counts from the request.
func (x *Exchange) restartWriteDeadline() {
	_ = http.NewResponseController(x.w).SetWriteDeadline(time.Now().Add(answerTimeout))
}

// fail answers when no reply came through the door. What the error wraps is for
// the log only.
func (x *Exchange) fail(ctx context.Context, log *slog.Logger, err error) {
	var e *wire.Error
	switch {
	case x.r.Context().Err() != nil:
		x.Refuse(x.voice.clientGone)
	case ctx.Err() != nil:
		x.Refuse(x.voice.unanswered)
	case !errors.As(err, &e):
		x.incident(log, err)
	default:
		if e.Code == wire.Unavailable || e.Code == wire.Internal {
			log.LogAttrs(context.Background(), slog.LevelWarn, "no reply", slog.String("id", x.id), slog.Any("err", err))
		}
		status, body := x.voice.envelope(e)
		x.Refuse(&Refusal{status: status, body: body, retry: e.Code == wire.Unavailable || e.Code == wire.ResourceExhausted})
	}
}

// incident answers Internal with a number by which the log can be searched;
// the cause stays in the log.
func (x *Exchange) incident(log *slog.Logger, cause error) {
	var b [8]byte
	_, _ = rand.Read(b[:])
	number := hex.EncodeToString(b[:])
	log.LogAttrs(context.Background(), slog.LevelError, "incident",
		slog.String("id", x.id), slog.String("incident", number), slog.Any("err", cause))
	x.Refuse(x.voice.Refuse(wire.Internal, "", "internal error, incident "+number))
}
