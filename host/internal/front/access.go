package front

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"
)

// ids numbers requests: a random prefix of this process and a counter. Ids
// that clients bring along are not used, they could be anyone's.
type ids struct {
	prefix string
	n      *atomic.Uint64
}

func newIDs() ids {
	var b [4]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24
	return ids{prefix: hex.EncodeToString(b[:]) + "-", n: new(atomic.Uint64)}
}

func (i ids) next() string {
	var buf [32]byte
	b := append(buf[:0], i.prefix...)
	return string(strconv.AppendUint(b, i.n.Add(1), 10))
}

// finish contains a panic and writes the access log: never bodies, stamps,
// nonces, queries or header values.
func (h *Handler) finish(x *Exchange) {
	if p := recover(); p != nil {
		h.contain(x, p)
	}
	if !h.log.Enabled(context.Background(), slog.LevelInfo) {
		return
	}
	h.log.LogAttrs(context.Background(), slog.LevelInfo, "request",
		slog.String("id", x.id),
		slog.String("method", Printable(x.r.Method, 16)),
		slog.String("path", Printable(x.r.URL.Path, 128)),
		slog.Int("status", x.status),
		slog.Int64("us", time.Since(x.start).Microseconds()))
}

// contain turns a panic into an incident, or cuts the connection when an
// answer has begun.
func (h *Handler) contain(x *Exchange, p any) {
	err, _ := p.(error)
	if x.status != 0 || errors.Is(err, http.ErrAbortHandler) {
		panic(http.ErrAbortHandler)
	}
	// The value of a panic may quote its input; its type does not.
	x.incident(h.log, fmt.Errorf("panic of type %T", p))
}

// Printable returns s in at most limit bytes of plain ASCII, so that a path
// can neither break a log line nor move a terminal's cursor.
func Printable(s string, limit int) string {
	plain := len(s) <= limit
	for i := 0; plain && i < len(s); i++ {
		plain = s[i] > 0x20 && s[i] < 0x7f && s[i] != '"' && s[i] != '\\'
	}
	if plain {
		return s
	}
	q := strconv.QuoteToASCII(s[:min(len(s), limit)])
	return q[1:min(len(q)-1, limit+1)]
}
