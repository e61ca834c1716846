package serve

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// trial is a session whose parts the test holds.
type trial struct {
	url     string
	entered chan struct{} // a request is in flight
	release chan struct{} // lets it finish
	door    chan error    // ends the door
	done    chan error    // what run returned
	stop    context.CancelFunc
	closed  chan struct{} // the door was told to stop
}

func try(t *testing.T, timeout time.Duration, listening error) *trial {
	t.Helper()
	front, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	x := &trial{
		url: "http://" + front.Addr().String(), stop: stop,
		entered: make(chan struct{}, 1), release: make(chan struct{}),
		door: make(chan error, 1), done: make(chan error, 1), closed: make(chan struct{}),
	}
	s := &session{
		log: slog.New(slog.DiscardHandler), timeout: timeout,
		faces: []face{{ln: front, server: &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			x.entered <- struct{}{}
			select {
			case <-x.release:
				_, _ = io.WriteString(w, "finished")
			case <-r.Context().Done():
			}
		})}}},
		serveDoor: func(ctx context.Context) error {
			select {
			case err := <-x.door:
				return err
			case <-ctx.Done():
				close(x.closed)
				return ctx.Err()
			}
		},
		listening: func() error { return listening },
	}
	go func() { x.done <- s.run(ctx) }()
	return x
}

type outcome struct {
	body string
	err  error
}

func (x *trial) request() chan outcome {
	c := make(chan outcome, 1)
	go func() {
		res, err := http.Get(x.url)
		if err != nil {
			c <- outcome{err: err}
			return
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		c <- outcome{string(b), err}
	}()
	return c
}

func TestStopLetsRequestsInFlightFinish(t *testing.T) {
	x := try(t, time.Minute, nil)
	answer := x.request()
	<-x.entered
	x.stop()
	// No new connection is taken, while the door stays open for the old one.
	for {
		c, err := net.Dial("tcp", strings.TrimPrefix(x.url, "http://"))
		if err != nil {
			break
		}
		c.Close()
	}
	select {
	case <-x.closed:
		t.Error("the door was closed under a request")
	case err := <-x.done:
		t.Errorf("ended under a request: %v", err)
	default:
	}
	close(x.release)
	if a := <-answer; a.err != nil || a.body != "finished" {
		t.Errorf("the answer is %q, %v", a.body, a.err)
	}
	if err := <-x.done; err != nil {
		t.Errorf("run: %v", err)
	}
	<-x.closed
}

func TestStopCutsOffWhatDoesNotFinishInTime(t *testing.T) {
	x := try(t, 100*time.Millisecond, nil)
	answer := x.request()
	<-x.entered
	x.stop()
	if err := <-x.done; err != nil {
		t.Errorf("run: %v", err)
	}
	if a := <-answer; a.err == nil {
		t.Errorf("an answer came: %q", a.body)
	}
}

func TestEndOfTheDoorEndsTheHost(t *testing.T) {
	x := try(t, time.Minute, nil)
	x.door <- errors.New("socket gone")
	if err := <-x.done; err == nil || err.Error() != "the door stopped: socket gone" {
		t.Errorf("run: %v", err)
	}
	if _, err := net.Dial("tcp", strings.TrimPrefix(x.url, "http://")); err == nil {
		t.Error("the front still listens")
	}
}

func TestHostThatCannotAnnounceItselfStops(t *testing.T) {
	want := errors.New("read-only")
	x := try(t, time.Minute, want)
	if err := <-x.done; !errors.Is(err, want) {
		t.Errorf("run: %v", err)
	}
	<-x.closed
}
