package room

import (
	"context"
	"time"

	"github.com/sallyport/sallyport/enclave/internal/mpc"
)

// An operation is what runs in a complete room. It returns when this party is
// finished; the room then stays a little, so that others get what it said.
type operation func(ctx context.Context, s *talk) error

// operate takes a plan to its end. after, when set, goes on in the same room
// once the operation has succeeded and its result has been returned.
func (r *Rooms) operate(ctx context.Context, p plan, do operation, after operation) error {
	r.running.Add(1)
	going := r.follow(p.claim.Operation)
	defer going.end()
	room, leave := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(r.ctx, leave)
	handedOver := false
	defer func() {
		if !handedOver {
			stop()
			leave()
			r.running.Done()
		}
	}()
	t, err := r.sit(room, p)
	if err != nil {
		return failure(err)
	}
	if err := r.until(ctx, r.Times.Join, t.gather); err != nil {
		if t.complete() { // the others are to see what we were asked for
			handedOver = true
			go func() {
				defer r.running.Done()
				defer leave()
				defer stop()
				t.stay(room)
			}()
		}
		return failure(err)
	}
	s, err := t.talk(room)
	if err != nil {
		return failure(err)
	}
	going.now("all parties are there and compute")
	err = r.until(ctx, p.timeout, func(ctx context.Context) error { return do(ctx, s) })
	handedOver = true
	go func() {
		defer r.running.Done()
		defer leave()
		defer stop()
		s.end(room, err, after)
	}()
	return failure(err)
}

// stay answers knocks for a little while.
func (t *table) stay(ctx context.Context) {
	deadline := time.NewTimer(t.rooms.Times.Linger)
	defer deadline.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-deadline.C:
			return
		case m, ok := <-t.port.in:
			if !ok {
				return
			}
			t.take(ctx, m)
		}
	}
}

// until gives an operation its time, and ends it with the enclave. What the
// context of the caller says about its end counts before the deadline.
func (r *Rooms) until(ctx context.Context, d time.Duration, do operationOf) error {
	limited, cancel := context.WithTimeoutCause(ctx, d+d/8, errDeadline)
	defer cancel()
	defer context.AfterFunc(r.ctx, cancel)()
	err := do(limited)
	if err != nil && limited.Err() != nil && ctx.Err() == nil {
		if r.ctx.Err() != nil {
			return mpc.Failf(mpc.CauseCancelled, nil, "the enclave is stopping")
		}
		if _, ok := err.(*mpc.Failure); !ok {
			return errDeadline
		}
	}
	return err
}

type operationOf func(ctx context.Context) error

var errDeadline = mpc.Failf(mpc.CauseTimeout, nil, "the operation did not end in time")

// end says how it went, does what comes after, and waits for acknowledgements.
func (s *talk) end(ctx context.Context, err error, after operation) {
	if err == nil && after != nil {
		limited, cancel := context.WithTimeout(ctx, s.rooms.Times.Sign)
		if err := after(limited, s); err != nil {
			s.rooms.Log.Info("making half-done signatures", "error", err.Error())
		}
		cancel()
	}
	if err == nil {
		s.sendAll(&message{Kind: msgDone})
	} else {
		s.sendAll(abortOf(err))
	}
	deadline := time.NewTimer(s.rooms.Times.Linger)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-deadline.C:
			return
		case <-s.inbox: // nobody reads it any more
		case <-tick.C:
			if s.settled() && s.othersDone() {
				return
			}
		}
	}
}

// othersDone tells whether all others have said that they are finished.
func (s *talk) othersDone() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.peers {
		if p != nil && !p.done {
			return false
		}
	}
	return true
}

func abortOf(err error) *message {
	m := &message{Kind: msgAbort, Cause: string(mpc.CauseCancelled)}
	if f, ok := failure(err).(*mpc.Failure); ok {
		m.Cause = string(f.Cause)
	}
	return m
}

// next waits for a message of the operation. It returns a failure when the
// session has ended, or another party has failed: that party is not blamed,
// since it may be the honest one.
func (s *talk) next(ctx context.Context) (int, *message, error) {
	for {
		if err := s.failed(); err != nil {
			return 0, nil, err
		}
		select {
		case <-ctx.Done():
			return 0, nil, context.Cause(ctx)
		case <-s.ended:
			return 0, nil, mpc.Failf(mpc.CauseCancelled, nil, "the enclave is stopping")
		case d := <-s.inbox:
			if d.from < 0 || d.msg.Kind == msgDone {
				continue
			}
			if d.msg.Kind == msgAbort {
				return 0, nil, s.otherFailed(d)
			}
			return d.from, d.msg, nil
		}
	}
}

func (s *talk) otherFailed(d delivery) error {
	cause := mpc.Cause(d.msg.Cause)
	switch cause {
	case mpc.CauseTimeout, mpc.CauseMessage, mpc.CauseProtocol, mpc.CauseEquivocated, mpc.CauseShare, mpc.CauseSetup,
		mpc.CauseAttestation, mpc.CauseRelay, mpc.CauseEngine, mpc.CauseRefused, mpc.CauseAcks, mpc.CauseCancelled:
	default:
		cause = mpc.CauseMessage
	}
	return mpc.Failf(cause, nil, "the node %s has ended the operation", s.parties[d.from].Node)
}

// waiting are the parties that a map has nothing of, for the blame of a timeout.
func waiting[T any](s *talk, have map[int]T) (out []mpc.PartyID) {
	for i, p := range s.parties {
		if _, ok := have[i]; !ok && i != s.self {
			out = append(out, p)
		}
	}
	return out
}

// collect waits until each other party has sent one message of a kind. Other
// kinds are kept for later.
func (s *talk) collect(ctx context.Context, kind uint8) (map[int]*message, error) {
	got := map[int]*message{}
	for len(got) < len(s.parties)-1 {
		from, m, err := s.queue.next(ctx, s, kind)
		if err != nil {
			if ctx.Err() != nil {
				return nil, mpc.Failf(mpc.CauseTimeout, waiting(s, got), "they did not answer in time")
			}
			return nil, err
		}
		if _, ok := got[from]; ok {
			return nil, mpc.Failf(mpc.CauseMessage, []mpc.PartyID{s.parties[from]}, "a message that came before, again")
		}
		got[from] = m
	}
	return got, nil
}

// A queue keeps messages that came before they were looked for.
type queue struct{ kept []delivery }

// next returns the next message of a kind.
func (q *queue) next(ctx context.Context, s *talk, kind uint8) (int, *message, error) {
	for i, d := range q.kept {
		if d.msg.Kind == kind {
			q.kept = append(q.kept[:i], q.kept[i+1:]...)
			return d.from, d.msg, nil
		}
	}
	for {
		from, m, err := s.next(ctx)
		if err != nil {
			return 0, nil, err
		}
		if m.Kind == kind {
			return from, m, nil
		}
		if err := q.keep(s, from, m); err != nil {
			return 0, nil, err
		}
	}
}

func (q *queue) keep(s *talk, from int, m *message) error {
	if len(q.kept) >= inboxSize {
		return mpc.Failf(mpc.CauseMessage, []mpc.PartyID{s.parties[from]}, "more messages than any operation has")
	}
	q.kept = append(q.kept, delivery{from, m})
	return nil
}
