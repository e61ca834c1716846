package engineproc

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/sallyport/sallyport/enclave/internal/mpc"
)

// A session is one of the child's.
type session struct {
	process *process
	id      uint64
	events  chan mpc.Event
	started chan error
	kick    chan struct{}
	gone    chan struct{} // closed by Close
	once    sync.Once

	finished atomic.Bool

	mu        sync.Mutex
	queue     []mpc.Event
	presigned bool
	ended     bool
	over      bool
	stop      func() bool // forgets the context that Start was given
}

// take takes a frame of the child; it never waits, so that one session that
// nobody reads holds up no other.
func (s *session) take(f *frame) {
	s.mu.Lock()
	switch f.Kind {
	case kindStarted:
		s.tell(f)
	case kindMessage:
		s.queue = append(s.queue, mpc.Event{Message: &mpc.Message{To: f.Party, Broadcast: f.Broadcast, Round: uint8(f.Round), Body: f.Body}})
	case kindPresigned:
		s.presigned = true
		s.queue = append(s.queue, mpc.Event{Presigned: true})
	case kindFailure:
		s.tell(f)
		s.queue = append(s.queue, mpc.Event{Failure: f.Failure.failure()})
	case kindResult:
		share, err := f.Share.share()
		if err != nil {
			s.queue = append(s.queue, mpc.Event{Failure: mpc.Failf(mpc.CauseEngine, nil, "the engine gave no share")})
		} else {
			s.queue = append(s.queue, mpc.Event{Result: &mpc.Result{Share: share, Signature: f.Body}})
		}
	case kindEnded:
		s.ended = true
	}
	s.mu.Unlock()
	select {
	case s.kick <- struct{}{}:
	default:
	}
}

// tell answers Start, once.
func (s *session) tell(f *frame) {
	var err error
	if f.Failure != nil {
		err = f.Failure.failure()
	}
	select {
	case s.started <- err:
	default:
	}
}

// pass gives the queue to who reads the events.
func (s *session) pass() {
	defer close(s.events)
	defer s.finish()
	for {
		s.mu.Lock()
		queue, ended := s.queue, s.ended
		s.queue = nil
		s.mu.Unlock()
		for _, e := range queue {
			select {
			case s.events <- e:
			case <-s.gone:
				return
			}
		}
		if ended && len(queue) == 0 {
			return
		}
		if len(queue) > 0 {
			continue
		}
		select {
		case <-s.kick:
		case <-s.gone:
			return
		}
	}
}

// detach keeps how to forget the context.
func (s *session) detach(stop func() bool) {
	s.mu.Lock()
	s.stop = stop
	over := s.over
	s.mu.Unlock()
	if over {
		stop()
	}
}

// finish forgets the context: it may live longer than the session.
func (s *session) finish() {
	s.mu.Lock()
	s.over = true
	stop := s.stop
	s.mu.Unlock()
	if stop != nil {
		stop()
	}
}

// Events implements [mpc.Session].
func (s *session) Events() <-chan mpc.Event { return s.events }

// Deliver implements [mpc.Session].
func (s *session) Deliver(from int, broadcast bool, body []byte) {
	_ = s.process.send(&frame{Kind: kindDeliver, ID: s.id, Party: from, Broadcast: broadcast, Body: slices.Clone(body)})
}

// Finish implements [mpc.Session].
func (s *session) Finish(digest []byte) error {
	s.mu.Lock()
	presigned, ended := s.presigned, s.ended
	s.mu.Unlock()
	switch {
	case len(digest) != 32:
		return errors.New("engine: a digest has 32 bytes")
	case ended || s.process.dead():
		return gone()
	case !presigned:
		return errors.New("engine: the half-done signature is not ready")
	case !s.finished.CompareAndSwap(false, true):
		return errors.New("engine: the half-done signature was used before")
	}
	if s.process.send(&frame{Kind: kindFinish, ID: s.id, Body: digest}) != nil {
		return gone()
	}
	return nil
}

// Close implements [mpc.Session].
func (s *session) Close() {
	s.once.Do(func() {
		close(s.gone)
		_ = s.process.send(&frame{Kind: kindClose, ID: s.id})
	})
}

func (p *process) start(ctx context.Context, setup *mpc.Setup) (mpc.Session, error) {
	s := &session{process: p, events: make(chan mpc.Event), started: make(chan error, 1), kick: make(chan struct{}, 1), gone: make(chan struct{})}
	p.mu.Lock()
	if p.ended {
		p.mu.Unlock()
		return nil, errGone
	}
	p.number++
	s.id = p.number
	p.sessions[s.id] = s
	p.mu.Unlock()
	go s.pass()
	if err := p.send(&frame{Kind: kindStart, ID: s.id, Setup: fromSetup(setup)}); err != nil {
		p.mu.Lock()
		delete(p.sessions, s.id)
		p.mu.Unlock()
		s.Close()
		if errors.Is(err, errTooLong) {
			return nil, err
		}
		return nil, errGone
	}
	select {
	case <-ctx.Done():
		s.Close()
		return nil, ctx.Err()
	case err := <-s.started:
		if err != nil {
			s.Close()
			return nil, err
		}
	}
	s.detach(context.AfterFunc(ctx, s.Close))
	return s, nil
}
