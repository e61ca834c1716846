package wire

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
)

// outward returns the error that crosses the door for what ended a call. What
// is not an [*Error] stays on this side, in the log, under a random number that
// the other side is told.
func outward(ctx context.Context, log *slog.Logger, m method, err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok && e != nil {
		if _, bare := err.(*Error); !bare {
			log.Warn("call failed", "method", m.String(), "cause", err)
		}
		return e.fit()
	}
	if ctx.Err() != nil {
		return Errorf(Unavailable, "", "the call was cancelled")
	}
	id := make([]byte, 8)
	_, _ = rand.Read(id) // never fails
	incident := hex.EncodeToString(id)
	log.Error("incident", "incident", incident, "method", m.String(), "cause", err)
	return Errorf(Internal, "", "incident %s", incident)
}

// contain runs a call and turns a panic into an error, so that a request that
// finds a bug costs its sender the answer and nobody else the service.
func contain(ctx context.Context, run func(context.Context) (any, error)) (result any, err error) {
	defer func() {
		if r := recover(); r != nil {
			result, err = nil, panicked(r)
		}
	}()
	return run(ctx)
}

// panicError is what the log gets of a panic. Arguments are left out of the
// frames: they may be words of a secret.
type panicError struct {
	text   string
	frames []string
}

// panicked is called by the deferred function that recovered r.
func panicked(r any) error {
	return &panicError{text: panicText(r), frames: panicFrames()}
}

func (e *panicError) Error() string {
	return "panic: " + e.text + " at " + strings.Join(e.frames, " < ")
}

// panicText prints only what a programmer wrote as text; any other value may
// hold data.
func panicText(r any) string {
	switch r := r.(type) {
	case error:
		return r.Error()
	case string:
		return r
	}
	return fmt.Sprintf("a %T", r)
}

func panicFrames() []string {
	const skip = 5 // Callers, panicFrames, panicked, the deferred function, gopanic
	pc := make([]uintptr, 16)
	frames := runtime.CallersFrames(pc[:runtime.Callers(skip, pc)])
	var out []string
	for {
		f, more := frames.Next()
		out = append(out, fmt.Sprintf("%s:%d", f.Function, f.Line))
		if !more {
			return out
		}
	}
}
