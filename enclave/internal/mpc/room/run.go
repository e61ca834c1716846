package room

import (
	"context"
	"errors"

	"github.com/sallyport/sallyport/enclave/internal/mpc"
)

// A run carries the messages of one engine session.
type run struct {
	s       *talk
	session mpc.Session
	casts   *casts // nil where broadcasts need no echo: signing checks its result
	ahead   uint64 // number of the half-done signature that this makes; 0: none
	// hold is the round whose messages wait until contribute has returned.
	hold       uint8
	contribute func(context.Context) error

	held    []*mpc.Message
	allowed chan error // what contribute returned
	asked   bool
	heard   map[int]int // messages of each party
}

// carry runs until the engine has a result, a failure, or (for a half-done
// signature) has come to where it needs its digest; the result is nil then.
func (r *run) carry(ctx context.Context) (*mpc.Result, error) {
	r.allowed, r.heard = make(chan error, 1), map[int]int{}
	if err := r.early(); err != nil {
		return nil, err
	}
	for {
		if err := r.s.failed(); err != nil {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, r.late(ctx)
		case <-r.s.ended:
			return nil, mpc.Failf(mpc.CauseCancelled, nil, "the enclave is stopping")
		case err := <-r.allowed:
			if err != nil {
				return nil, err
			}
			r.release()
		case d := <-r.s.inbox:
			if err := r.receive(d); err != nil {
				return nil, err
			}
		case e, ok := <-r.session.Events():
			if done, result, err := r.event(ctx, e, ok); done {
				return result, err
			}
		}
	}
}

// early delivers what came before the engine was started.
func (r *run) early() error {
	kept := r.s.queue.kept
	r.s.queue.kept = nil
	for _, d := range kept {
		if err := r.receive(d); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) event(ctx context.Context, e mpc.Event, ok bool) (done bool, _ *mpc.Result, _ error) {
	switch {
	case !ok:
		return true, nil, mpc.Failf(mpc.CauseEngine, nil, "the engine has ended without a result")
	case e.Message != nil:
		r.out(ctx, e.Message)
	case e.Failure != nil:
		return true, nil, e.Failure
	case e.Result != nil:
		return true, e.Result, r.settle(ctx)
	case e.Presigned && r.ahead > 0:
		return true, nil, nil
	}
	return false, nil, nil
}

// out sends a message of the engine, or holds it.
func (r *run) out(ctx context.Context, m *mpc.Message) {
	if r.hold == 0 || m.Round < r.hold || r.contribute == nil {
		r.send(m)
		return
	}
	r.held = append(r.held, m)
	r.ask(ctx)
}

// ask makes this party's contribution durable, once.
func (r *run) ask(ctx context.Context) {
	if !r.asked {
		r.asked = true
		go func() { r.allowed <- r.contribute(ctx) }()
	}
}

// settle holds a result, which may come before the last messages have left,
// until the contribution is durable.
func (r *run) settle(ctx context.Context) error {
	if r.hold == 0 || r.contribute == nil {
		return nil
	}
	r.ask(ctx)
	select {
	case <-ctx.Done():
		return r.late(ctx)
	case err := <-r.allowed:
		if err == nil {
			r.release()
		}
		return err
	}
}

// release sends what was held: it may leave now.
func (r *run) release() {
	r.contribute = nil
	for _, m := range r.held {
		r.send(m)
	}
	r.held = nil
}

func (r *run) send(m *mpc.Message) {
	kind := uint8(msgEngine)
	if r.ahead > 0 {
		kind = msgAhead
	}
	switch {
	case m.Broadcast && r.casts != nil:
		r.casts.send(m.Body)
	case m.To < 0:
		r.s.sendAll(&message{Kind: kind, Number: r.ahead, Broadcast: m.Broadcast, Body: m.Body})
	case m.To < len(r.s.parties):
		r.s.send(m.To, &message{Kind: kind, Number: r.ahead, Broadcast: m.Broadcast, Body: m.Body})
	}
}

// receive hands a message to the engine, or keeps it for who looks for it.
func (r *run) receive(d delivery) error {
	if d.from < 0 || d.msg.Kind == msgDone {
		return nil
	}
	m := d.msg
	switch {
	case m.Kind == msgAbort:
		return r.s.otherFailed(d)
	case m.Kind == msgEngine && r.ahead == 0, m.Kind == msgAhead && r.ahead == m.Number:
		if m.Broadcast && r.casts != nil {
			return mpc.Failf(mpc.CauseMessage, []mpc.PartyID{r.s.parties[d.from]}, "a broadcast without its signature")
		}
		r.heard[d.from]++
		r.session.Deliver(d.from, m.Broadcast, m.Body)
	case (m.Kind == msgCast || m.Kind == msgEcho) && r.casts != nil:
		sender, body, err := r.casts.take(d.from, m)
		if err != nil {
			return err
		}
		if body != nil {
			r.heard[sender]++
			r.session.Deliver(sender, true, body)
		}
	default:
		return r.s.queue.keep(r.s, d.from, m)
	}
	return nil
}

// late blames those of whom less was heard than of others.
func (r *run) late(ctx context.Context) error {
	if !errors.Is(context.Cause(ctx), errDeadline) {
		return context.Cause(ctx)
	}
	most := 0
	for _, n := range r.heard {
		most = max(most, n)
	}
	var late []mpc.PartyID
	for i, p := range r.s.parties {
		if i != r.s.self && r.heard[i] < most {
			late = append(late, p)
		}
	}
	return mpc.Failf(mpc.CauseTimeout, late, "the protocol did not end in time")
}

// engine starts the engine and carries a session to its result.
func (s *talk) engine(ctx context.Context, setup *mpc.Setup, change func(*run)) (*mpc.Result, error) {
	session, err := s.rooms.Engine.Start(ctx, setup)
	if err != nil {
		return nil, err
	}
	defer drain(session)
	r := &run{s: s, session: session}
	if change != nil {
		change(r)
	}
	return r.carry(ctx)
}

// drain closes a session: its events must be read to their end.
func drain(session mpc.Session) {
	session.Close()
	go func() {
		for range session.Events() {
		}
	}()
}
