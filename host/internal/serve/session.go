package serve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// session runs the two servers of a host and stops them in order: first the
// front, so that requests in flight can still be answered through the door,
// then the door.
type session struct {
	log       *slog.Logger
	server    *http.Server
	front     net.Listener
	serveDoor func(context.Context) error
	timeout   time.Duration // of the whole stop
	listening func() error  // called once both servers accept
}

// doorShare is the part of the stop's time that is kept for the door.
const doorShare = 4

func (s *session) run(ctx context.Context) error {
	doorCtx, closeDoor := context.WithCancel(context.WithoutCancel(ctx))
	defer closeDoor()
	door, front := make(chan error, 1), make(chan error, 1)
	go func() { door <- s.serveDoor(doorCtx) }()
	go func() { front <- s.server.Serve(s.front) }()

	err := s.listening()
	if err == nil {
		select {
		case <-ctx.Done():
			s.log.Info("stopping")
		case err = <-door:
			err = fmt.Errorf("the door stopped: %w", orUnknown(err))
			door <- nil
		case err = <-front:
			err = fmt.Errorf("the HTTP server stopped: %w", orUnknown(err))
		}
	}

	deadline := time.Now().Add(s.timeout)
	s.stopFront(deadline.Add(-s.timeout / doorShare))
	closeDoor()
	select {
	case stopped := <-door:
		if err == nil && stopped != nil && !errors.Is(stopped, context.Canceled) {
			s.log.Warn("the door did not stop cleanly", "err", stopped)
		}
	case <-time.After(time.Until(deadline)):
		s.log.Warn("the door did not stop in time")
	}
	return err
}

// stopFront lets requests in flight finish until the deadline and cuts what
// remains.
func (s *session) stopFront(deadline time.Time) {
	ctx, cancel := context.WithDeadline(context.Background(), deadline)
	defer cancel()
	if err := s.server.Shutdown(ctx); err != nil {
		s.log.Warn("requests were cut off", "err", err)
		_ = s.server.Close()
	}
	_ = s.front.Close() // the server may not have taken it over yet
}

func orUnknown(err error) error {
	if err == nil {
		return errors.New("for no given reason")
	}
	return err
}
