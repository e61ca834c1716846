//go:build cgo

package pkcs11

import (
	"context"
	"errors"
	"fmt"

	p11 "github.com/miekg/pkcs11"
)

// enter takes n turns, or none if ctx ends first. Whoever wants several waits
// alone, so that two such do not each hold what the other needs.
func (t *Token) enter(ctx context.Context, n int) error {
	if n > 1 {
		select {
		case t.alone <- struct{}{}:
			defer func() { <-t.alone }()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	for i := range n {
		select {
		case t.turns <- struct{}{}:
		case <-ctx.Done():
			t.leave(i)
			return ctx.Err()
		}
	}
	return nil
}

func (t *Token) leave(n int) {
	for range n {
		<-t.turns
	}
}

// call runs f, which may call the module, when it has its turns: one, or all
// to be alone. A call into C cannot be cancelled: if ctx ends first, call
// returns and f keeps the turns until the module lets go of it; what f then
// returns is wiped.
func call[T any](ctx context.Context, t *Token, turns int, f func() (T, error)) (T, error) {
	var zero T
	if err := t.enter(ctx, turns); err != nil {
		return zero, fmt.Errorf("%w: another call has not returned: %w", ErrUnavailable, err)
	}
	if err := t.ended(); err != nil {
		t.leave(turns)
		return zero, err
	}
	type result struct {
		value T
		err   error
	}
	results := make(chan result)
	go func() {
		v, err := f()
		if errors.Is(err, ErrPIN) {
			t.end(err)
		}
		t.leave(turns)
		select {
		case results <- result{v, err}:
		case <-ctx.Done():
			if b, ok := any(v).([]byte); ok {
				clear(b)
			}
		}
	}()
	select {
	case r := <-results:
		return r.value, r.err
	case <-ctx.Done():
		return zero, fmt.Errorf("%w: the module has not answered: %w", ErrUnavailable, ctx.Err())
	}
}

// withSession runs f in a session that nobody else uses meanwhile, logged in.
func withSession[T any](ctx context.Context, t *Token, f func(p11.SessionHandle) (T, error)) (T, error) {
	return loggedIn(ctx, t, 1, f)
}

// withToken runs f like withSession while nothing else is in the module. Some
// modules fail when objects of the token are written and looked for at once.
func withToken[T any](ctx context.Context, t *Token, f func(p11.SessionHandle) (T, error)) (T, error) {
	return loggedIn(ctx, t, cap(t.turns), f)
}

// loggedIn runs f, and once more after a new login if the old one had ended
// before f began.
func loggedIn[T any](ctx context.Context, t *Token, turns int, f func(p11.SessionHandle) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, t.timeout)
	defer cancel()
	run := func() (T, error) { return inSession(t, f) }
	v, err := call(ctx, t, turns, run)
	if !errors.Is(err, errLoggedOut) {
		return v, err
	}
	if _, err := call(ctx, t, cap(t.turns), func() (struct{}, error) { return struct{}{}, t.ensureLogin() }); err != nil {
		return v, err
	}
	return call(ctx, t, turns, run)
}

func unavailable(what string, err error) error {
	return fmt.Errorf("%w: %s: %w", ErrUnavailable, what, err)
}
