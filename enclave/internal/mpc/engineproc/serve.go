package engineproc

import (
	"context"
	"errors"
	"io"
	"sync"

	"github.com/sallyport/sallyport/enclave/internal/mpc"
)

// Serve is the child: it carries out what comes in, until in ends.
func Serve(e mpc.Engine, in io.Reader, out io.Writer) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	c := &child{engine: e, out: out, sessions: map[uint64]mpc.Session{}}
	for {
		f, err := read(in)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := c.take(ctx, f); err != nil {
			return err
		}
	}
}

type child struct {
	engine mpc.Engine

	write sync.Mutex
	out   io.Writer

	mu       sync.Mutex
	sessions map[uint64]mpc.Session
}

func (c *child) take(ctx context.Context, f *frame) error {
	if f.Kind == kindStart {
		return c.start(ctx, f)
	}
	c.mu.Lock()
	s := c.sessions[f.ID]
	c.mu.Unlock()
	if s == nil {
		return nil // it has ended
	}
	switch f.Kind {
	case kindDeliver:
		s.Deliver(f.Party, f.Broadcast, f.Body)
	case kindFinish:
		_ = s.Finish(f.Body) // the parent lets only one through
	case kindClose:
		s.Close()
	}
	return nil
}

func (c *child) start(ctx context.Context, f *frame) error {
	setup, err := f.Setup.setup()
	var s mpc.Session
	if err == nil {
		s, err = c.engine.Start(ctx, setup)
	}
	if err != nil {
		erase(setup)
		failed, ok := errors.AsType[*mpc.Failure](err)
		if !ok {
			failed = mpc.Failf(mpc.CauseEngine, nil, "%v", err)
		}
		return c.send(&frame{Kind: kindStarted, ID: f.ID, Failure: fromFailure(failed)})
	}
	c.mu.Lock()
	c.sessions[f.ID] = s
	c.mu.Unlock()
	if err := c.send(&frame{Kind: kindStarted, ID: f.ID}); err != nil {
		return err
	}
	go func() {
		defer erase(setup)
		c.pass(f.ID, s)
	}()
	return nil
}

// erase wipes what the parent sent for a session.
func erase(s *mpc.Setup) {
	if s == nil {
		return
	}
	s.Share.Erase()
	s.PreParams.Erase()
	for _, o := range s.Old {
		o.Secret.Erase()
		o.State.Erase()
	}
}

// pass hands a session's events to the parent.
func (c *child) pass(id uint64, s mpc.Session) {
	for e := range s.Events() {
		f := &frame{ID: id}
		switch {
		case e.Message != nil:
			f.Kind, f.Party, f.Broadcast = kindMessage, e.Message.To, e.Message.Broadcast
			f.Round, f.Body = int(e.Message.Round), e.Message.Body
		case e.Presigned:
			f.Kind = kindPresigned
		case e.Failure != nil:
			f.Kind, f.Failure = kindFailure, fromFailure(e.Failure)
		case e.Result != nil:
			f.Kind, f.Share, f.Body = kindResult, fromShare(e.Result.Share), e.Result.Signature
		}
		_ = c.send(f) // who reads no more has ended
		if e.Result != nil {
			e.Result.Share.Erase()
		}
	}
	c.mu.Lock()
	delete(c.sessions, id)
	c.mu.Unlock()
	_ = c.send(&frame{Kind: kindEnded, ID: id})
}

func (c *child) send(f *frame) error {
	c.write.Lock()
	defer c.write.Unlock()
	return write(c.out, f)
}
