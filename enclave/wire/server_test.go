package wire

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestCallsAreAnsweredInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := serveEnclave(t, echo{}, doorLimits()).raw(t)
		for i := range 3 {
			r := whoami()
			r.Body = fmt.Appendf(nil, `{"i":%d}`, i)
			send(t, conn, frameOf(t, requestHead(methodDo), r))
			var reply Reply
			if refusal := receive(t, conn, &reply); refusal != nil || !bytes.Equal(reply.Body, r.Body) {
				t.Fatalf("got %q, %v", reply.Body, refusal)
			}
		}
	})
}

// A1, A2, A3, A11: what cannot be framed is answered once and closed.
func TestUnreadableFrameIsAnsweredAndClosed(t *testing.T) {
	damaged := doFrame(t)
	damaged[headerSize+3] ^= 1
	tests := []struct {
		name   string
		bytes  []byte
		code   Code
		reason string
	}{
		{"A1 length 0", []byte{1, 0, 0, 0, 0}, InvalidArgument, ReasonLength},
		{"A2 length negative", []byte{1, 0xff, 0xff, 0xff, 0xff}, InvalidArgument, ReasonLength},
		{"A3 length cap+1", []byte{1, 0, 0x10, 0, 1}, InvalidArgument, ReasonLength},
		{"A11 version 0", []byte{0}, Unimplemented, ReasonVersion},
		{"A11 version 2", []byte{2}, Unimplemented, ReasonVersion},
		{"damaged", damaged, Unavailable, ReasonChecksum},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				conn := serveEnclave(t, echo{}, doorLimits()).raw(t)
				send(t, conn, test.bytes)
				wantReason(t, receive(t, conn, &Reply{}), test.code, test.reason)
				wantClosed(t, conn)
			})
		})
	}
}

func TestOtherVersionIsToldTheVersionsSpoken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := serveEnclave(t, echo{}, doorLimits()).raw(t)
		send(t, conn, []byte{9})
		const want = "frame version 9 is not spoken; versions spoken: 1"
		if refusal := receive(t, conn, &Reply{}); refusal.Message != want {
			t.Errorf("got %q, want %q", refusal.Message, want)
		}
	})
}

// A11, and every broken body: the frame was whole, so the connection stays.
func TestRefusedCallLeavesTheConnectionUsable(t *testing.T) {
	unknownField := unhex(t, "a2 01 01 02 a1 01 00")
	tests := []struct {
		name   string
		frame  []byte
		code   Code
		reason string
	}{
		{"A11 unknown method", frameOf(t, requestHead(9), &nothing{}), Unimplemented, ReasonMethod},
		{"A11 method of the other side", frameOf(t, requestHead(methodAppend), &appendParams{}), Unimplemented, ReasonMethod},
		{"unknown field", bodyFrame(unknownField), InvalidArgument, ReasonEncoding},
		{"parameters of another method", frameOf(t, requestHead(methodDo), &list{}), InvalidArgument, ReasonEncoding},
		{"broken rule of the request", frameOf(t, requestHead(methodDo), &Request{API: 9, Path: "/"}), InvalidArgument, ""},
	}
	for _, b := range brokenBodies {
		if body := unhex(t, b.body); len(body) > 0 {
			tests = append(tests, tests[2])
			last := &tests[len(tests)-1]
			last.name, last.frame = b.name, bodyFrame(body)
		}
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				conn := serveEnclave(t, echo{}, doorLimits()).raw(t)
				go func() { _, _ = conn.Write(test.frame) }()
				wantReason(t, receive(t, conn, &Reply{}), test.code, test.reason)
				send(t, conn, doFrame(t))
				if refusal := receive(t, conn, &Reply{}); refusal != nil {
					t.Error(refusal)
				}
			})
		})
	}
}

// A4: a peer that announces much and falls silent is given up.
func TestA4SilenceInsideAFrameEndsTheConnection(t *testing.T) {
	for _, sent := range []int{1, 4, 5, 1000} {
		t.Run(fmt.Sprintf("after %d bytes", sent), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				conn := serveEnclave(t, echo{}, doorLimits()).raw(t)
				send(t, conn, bodyFrame(make([]byte, MaxBody))[:sent])
				start := time.Now()
				wantClosed(t, conn)
				if took := time.Since(start); took != doorLimits().frame {
					t.Errorf("closed after %v, want %v", took, doorLimits().frame)
				}
			})
		})
	}
}

func TestConnectionThatSaysNothingIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := serveEnclave(t, echo{}, doorLimits()).raw(t)
		start := time.Now()
		wantClosed(t, conn)
		if took := time.Since(start); took != doorLimits().first {
			t.Errorf("closed after %v, want %v", took, doorLimits().first)
		}
	})
}

func TestIdleTimeCountsFromTheLastAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := doing(func(context.Context, *Request) (*Reply, error) {
			<-time.After(7 * time.Minute) // longer than a connection may be idle
			return &Reply{Status: 200}, nil
		})
		l := doorLimits()
		conn := serveEnclave(t, slow, l).raw(t)
		for range 2 {
			send(t, conn, doFrame(t))
			if refusal := receive(t, conn, &Reply{}); refusal != nil {
				t.Fatal(refusal)
			}
			<-time.After(l.idle - time.Second)
		}
		start := time.Now()
		wantClosed(t, conn)
		if took := time.Since(start); took != time.Second {
			t.Errorf("closed %v after the idle time's last second began, want 1s", took)
		}
	})
}

// A5: slow connections fill the door and are turned away beyond its cap; those
// that work go on.
func TestA5SlowConnectionsDoNotStopHealthyOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := doorLimits()
		l.conns = 20
		s := serveEnclave(t, echo{}, l)
		healthy := s.raw(t)
		call := func() {
			t.Helper()
			send(t, healthy, doFrame(t))
			if refusal := receive(t, healthy, &Reply{}); refusal != nil {
				t.Fatal(refusal)
			}
		}
		call()
		frame := doFrame(t)
		for range l.conns - 1 {
			slow := s.raw(t)
			go func() { // a byte per second
				for i := range frame {
					if _, err := slow.Write(frame[i : i+1]); err != nil {
						return
					}
					<-time.After(time.Second)
				}
			}()
		}
		synctest.Wait()
		refused := s.raw(t)
		wantReason(t, receive(t, refused, &Reply{}), Unavailable, ReasonBusy)
		wantClosed(t, refused)
		call()
		<-time.After(l.frame + time.Second) // the slow ones are given up
		newcomer := s.raw(t)
		send(t, newcomer, doFrame(t))
		if refusal := receive(t, newcomer, &Reply{}); refusal != nil {
			t.Error(refusal)
		}
		call()
	})
}

// A6: a frame that is cut short is not carried out.
func TestA6TruncatedCallIsNotCarriedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serveEnclave(t, doing(func(context.Context, *Request) (*Reply, error) {
			t.Error("called")
			return &Reply{}, nil
		}), doorLimits())
		frame := doFrame(t)
		for n := range frame {
			conn := s.raw(t)
			if n > 0 {
				send(t, conn, frame[:n])
			}
			_ = conn.Close()
		}
	})
}

// A7: two frames in one write and a frame in single bytes are both answered.
func TestA7FramesAreAnsweredHoweverTheyArrive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := serveEnclave(t, echo{}, doorLimits()).raw(t)
		in := newFrameReader(conn, doorLimits())
		frame := doFrame(t)
		go func() {
			_, _ = conn.Write(append(bytes.Clone(frame), frame...))
			for i := range frame {
				_, _ = conn.Write(frame[i : i+1])
			}
		}()
		for range 3 {
			if refusal := receiveFrom(t, in, &Reply{}); refusal != nil {
				t.Fatal(refusal)
			}
		}
	})
}

// A8: a peer that does not read its answer is given up.
func TestA8AnswerThatIsNeverReadEndsTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serveEnclave(t, echo{}, doorLimits())
		conn := s.raw(t)
		send(t, conn, doFrame(t))
		<-time.After(doorLimits().write + time.Second)
		if n := s.server.count(); n != 0 {
			t.Errorf("%d connections are open, want none", n)
		}
	})
}

func (s *server) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.open)
}

func TestHangingUpCancelsTheCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		started, stopped := make(chan struct{}), make(chan error, 1)
		conn := serveEnclave(t, blockUntilCancelled(started, stopped), doorLimits()).raw(t)
		send(t, conn, doFrame(t))
		<-started
		begin := time.Now()
		_ = conn.Close()
		if err := <-stopped; !errors.Is(err, context.Canceled) {
			t.Errorf("context ended with %v", err)
		}
		if took := time.Since(begin); took > doorLimits().watch {
			t.Errorf("cancelled after %v, want at most %v", took, doorLimits().watch)
		}
	})
}

func TestContextEndsWithTheCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var kept context.Context
		conn := serveEnclave(t, doing(func(ctx context.Context, _ *Request) (*Reply, error) {
			kept = ctx
			return &Reply{Status: 200}, nil
		}), doorLimits()).raw(t)
		send(t, conn, doFrame(t))
		receive(t, conn, &Reply{})
		if kept.Err() == nil {
			t.Error("the call's context lives on")
		}
	})
}

func TestLongCallLeavesTheConnectionUsable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := doorLimits()
		conn := serveEnclave(t, doing(func(context.Context, *Request) (*Reply, error) {
			<-time.After(10 * l.watch)
			return &Reply{Status: 200}, nil
		}), l).raw(t)
		in := newFrameReader(conn, l)
		for range 2 {
			send(t, conn, doFrame(t))
			if refusal := receiveFrom(t, in, &Reply{}); refusal != nil {
				t.Fatal(refusal)
			}
		}
		send(t, conn, doFrame(t))
		<-time.After(2 * l.watch)
		send(t, conn, doFrame(t)) // ahead of the answer, read by the watch
		for range 2 {
			if refusal := receiveFrom(t, in, &Reply{}); refusal != nil {
				t.Fatal(refusal)
			}
		}
	})
}

func TestOtherErrorsBecomeIncidents(t *testing.T) {
	secret := []byte("0123456789")
	tests := []struct {
		name   string
		do     func(context.Context, *Request) (*Reply, error)
		logged string
	}{
		{"error", func(context.Context, *Request) (*Reply, error) { return nil, errors.New("disk on fire") }, "disk on fire"},
		{"panic", func(context.Context, *Request) (*Reply, error) { panic("internal error: lost") }, "panic: internal error: lost at "},
		{"index out of range", func(_ context.Context, r *Request) (*Reply, error) { return nil, errors.New(string(r.Body[2:][5])) }, "index out of range"},
		{"panic with data", func(context.Context, *Request) (*Reply, error) { panic(secret) }, "panic: a []uint8"},
		{"nothing", func(context.Context, *Request) (*Reply, error) { return nil, nil }, "neither a result nor an error"},
		{"nil *Error", func(context.Context, *Request) (*Reply, error) { var e *Error; return nil, e }, "incident"},
		{"answer too long", func(context.Context, *Request) (*Reply, error) { return &Reply{Body: make([]byte, maxAnswer)}, nil }, "passes the answer limit"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := serveEnclave(t, doing(test.do), doorLimits())
				conn := s.raw(t)
				send(t, conn, doFrame(t))
				refusal := receive(t, conn, &Reply{})
				wantReason(t, refusal, Internal, "")
				number, ok := strings.CutPrefix(refusal.Message, "incident ")
				if !ok || len(number) != 16 {
					t.Errorf("message is %q", refusal.Message)
				}
				send(t, conn, frameOf(t, requestHead(9), &nothing{})) // the connection stands
				wantReason(t, receive(t, conn, &Reply{}), Unimplemented, ReasonMethod)
				_ = s.stop()
				log := s.log.String()
				if !strings.Contains(log, test.logged) || !strings.Contains(log, number) || !strings.Contains(log, "method=Do") {
					t.Errorf("log is %q, want %q and the incident %s", log, test.logged, number)
				}
				if strings.Contains(log, "48 49 50") || strings.Contains(log, string(secret)) {
					t.Errorf("log holds the panic's data: %q", log)
				}
			})
		})
	}
}

func TestErrorsCrossAsTheyAre(t *testing.T) {
	tests := []struct {
		name string
		err  error
		want *Error
	}{
		{"plain", Errorf(NotFound, "GONE", "no such key"), &Error{Code: NotFound, Reason: "GONE", Message: "no such key"}},
		{"wrapped", fmt.Errorf("reading: %w", Errorf(Conflict, "", "taken")), &Error{Code: Conflict, Reason: "", Message: "taken"}},
		{"unknown code", &Error{Code: 99, Message: "m"}, &Error{Code: Internal, Reason: "", Message: "m"}},
		{"broken UTF-8", Errorf(NotFound, "", "a\xffb"), &Error{Code: NotFound, Reason: "", Message: "ab"}},
		{
			"blaming", &Error{Code: InvalidArgument, Message: "m", Cause: "timeout", Culprits: []string{"a", "b\xff"}},
			&Error{Code: InvalidArgument, Message: "m", Cause: "timeout", Culprits: []string{"a", "b"}},
		},
		{"long", Errorf(NotFound, "", "%s", strings.Repeat("é", maxMessage)), &Error{Code: NotFound, Reason: "", Message: strings.Repeat("é", maxMessage/2)}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				conn := serveEnclave(t, doing(func(context.Context, *Request) (*Reply, error) { return nil, test.err }), doorLimits()).raw(t)
				send(t, conn, doFrame(t))
				if got := receive(t, conn, &Reply{}); !reflect.DeepEqual(got, test.want) {
					t.Errorf("got %v, want %v", got, test.want)
				}
			})
		})
	}
}

func TestStopLetsCallsFinish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serveEnclave(t, doing(func(ctx context.Context, _ *Request) (*Reply, error) {
			<-time.After(2 * time.Second)
			return &Reply{Status: 200}, ctx.Err()
		}), doorLimits())
		idle, working := s.raw(t), s.raw(t)
		send(t, working, doFrame(t))
		synctest.Wait()
		stopped := make(chan error, 1)
		go func() { stopped <- s.stop() }()
		wantClosed(t, idle)
		if refusal := receive(t, working, &Reply{}); refusal != nil {
			t.Error(refusal)
		}
		wantClosed(t, working)
		if err := <-stopped; err != nil {
			t.Error(err)
		}
		if _, err := s.dial(t.Context()); err == nil {
			t.Error("a connection was taken after the stop")
		}
	})
}

func TestStopCancelsCallsAfterTheGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		started, ended := make(chan struct{}), make(chan error, 1)
		s := serveEnclave(t, blockUntilCancelled(started, ended), doorLimits())
		send(t, s.raw(t), doFrame(t))
		<-started
		begin := time.Now()
		if err := s.stop(); err != nil {
			t.Error(err)
		}
		if took := time.Since(begin); took != doorLimits().grace {
			t.Errorf("stopped after %v, want %v", took, doorLimits().grace)
		}
		<-ended
	})
}

func TestStopNamesCallsThatDoNotEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		s := serveEnclave(t, doing(func(context.Context, *Request) (*Reply, error) {
			<-release
			return &Reply{}, nil
		}), doorLimits())
		send(t, s.raw(t), doFrame(t))
		synctest.Wait()
		if err := s.stop(); err == nil || err.Error() != "1 calls did not stop when they were cancelled" {
			t.Errorf("got %v", err)
		}
		close(release)
	})
}

// failing is a listener that fails with each error in turn.
type failing struct {
	*pipes
	errs []error
}

func (f *failing) Accept() (net.Conn, error) {
	if len(f.errs) == 0 {
		return f.pipes.Accept()
	}
	err := f.errs[0]
	f.errs = f.errs[1:]
	return nil, &net.OpError{Op: "accept", Err: err}
}

func TestRunningOutOfFilesIsWaitedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ln := &failing{newPipes(), []error{syscall.EMFILE, syscall.ENOBUFS, syscall.ECONNABORTED}}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- ServeEnclave(ctx, ln, echo{}, nil) }()
		conn, err := ln.dial(ctx)
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.Close()
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestBrokenListenerEndsTheServer(t *testing.T) {
	ln := &failing{newPipes(), []error{io.ErrUnexpectedEOF}}
	if err := ServeEnclave(t.Context(), ln, echo{}, nil); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %v", err)
	}
}

func TestPanicWhileDecodingIsContained(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serveHandlers(t, enclaveCodec, map[method]handler{
			methodDo: func([]byte) (func(context.Context) (any, error), *Error) { panic("internal error: decoder") },
		}, doorLimits())
		conn := s.raw(t)
		for range 2 {
			send(t, conn, doFrame(t))
			wantReason(t, receive(t, conn, &Reply{}), Internal, "")
		}
		_ = s.stop()
		if log := s.log.String(); !strings.Contains(log, "panic: internal error: decoder at ") {
			t.Errorf("log is %q", log)
		}
	})
}

// The same over a real socket, whose end is seen in other ways than a pipe's.
func TestHangingUpCancelsTheCallOverASocket(t *testing.T) {
	started, stopped := make(chan struct{}), make(chan error, 1)
	address := serveUnix(t, func(ctx context.Context, ln net.Listener) error {
		return ServeEnclave(ctx, ln, blockUntilCancelled(started, stopped), nil)
	})
	c := NewEnclaveClient(address)
	defer c.Close()
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-started; cancel() }()
	if _, err := c.Do(ctx, whoami()); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if err := <-stopped; !errors.Is(err, context.Canceled) {
		t.Errorf("the handler's context ended with %v", err)
	}
}

func TestRefusalArrivesOverASocketThatCloses(t *testing.T) {
	address := serveUnix(t, func(ctx context.Context, ln net.Listener) error {
		return ServeEnclave(ctx, ln, echo{}, nil)
	})
	conn, err := Dial(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	send(t, conn, []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"))
	wantReason(t, receive(t, conn, &Reply{}), Unimplemented, ReasonVersion)
	wantClosed(t, conn)
}

func TestRestartedServerIsReachedByTheSameClient(t *testing.T) {
	address := "unix:" + t.TempDir() + "/door"
	c := NewEnclaveClient(address)
	defer c.Close()
	for range 3 {
		ln, err := Listen(address)
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- ServeEnclave(ctx, ln, echo{}, nil) }()
		for range 2 {
			if _, err := c.Do(ctx, whoami()); err != nil {
				t.Error(err)
			}
		}
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}
