package serve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// session runs the two servers of a host and stops them in order: first the
// front, so that requests in flight can still be answered through the door,
// then the door.
type session struct {
	log       *slog.Logger
	faces     []face
	serveDoor func(context.Context) error
	timeout   time.Duration // of the whole stop
	listening func() error  // called once both servers accept
}

// A face is a server for the clients of one enclave.
type face struct {
	server *http.Server
	ln     net.Listener
}

// doorShare is the part of the stop's time that is kept for the door.
const doorShare = 4

func (s *session) run(ctx context.Context) error {
	doorCtx, closeDoor := context.WithCancel(context.WithoutCancel(ctx))
	defer closeDoor()
	door, front := make(chan error, 1), make(chan error, len(s.faces))
	go func() { door <- s.serveDoor(doorCtx) }()
	for _, f := range s.faces {
		go func() { front <- f.server.Serve(f.ln) }()
	}

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
	s.stopFaces(deadline.Add(-s.timeout / doorShare))
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

// stopFaces lets requests in flight finish until the deadline and cuts what
// remains.
func (s *session) stopFaces(deadline time.Time) {
	ctx, cancel := context.WithDeadline(context.Background(), deadline)
	defer cancel()
	var all sync.WaitGroup
	for _, f := range s.faces {
		all.Go(func() {
			if err := f.server.Shutdown(ctx); err != nil {
				s.log.Warn("requests were cut off", "err", err)
				_ = f.server.Close()
			}
			_ = f.ln.Close() // the server may not have taken it over yet
		})
	}
	all.Wait()
}

func orUnknown(err error) error {
	if err == nil {
		return errors.New("for no given reason")
	}
	return err
}
