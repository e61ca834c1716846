package wire

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"net"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func nameOf(blob []byte) []byte {
	sum := sha256.Sum256(blob)
	return sum[:]
}

// serveUnix serves until the test ends and returns the address.
func serveUnix(t *testing.T, serve func(context.Context, net.Listener) error) string {
	t.Helper()
	address := "unix:" + filepath.Join(t.TempDir(), "door")
	ln, err := Listen(address)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- serve(ctx, ln) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return address
}

func TestEnclaveIsReachedThroughTheDoor(t *testing.T) {
	c := NewEnclaveClient(serveUnix(t, func(ctx context.Context, ln net.Listener) error {
		return ServeEnclave(ctx, ln, echo{}, nil)
	}))
	defer c.Close()
	status, err := c.Status(t.Context())
	if err != nil || status.Phase != PhaseReady {
		t.Errorf("Status = %v, %v", status, err)
	}
	r := whoami()
	r.Body = bytes.Repeat([]byte("body "), 150_000)
	reply, err := c.Do(t.Context(), r)
	if err != nil || !bytes.Equal(reply.Body, r.Body) {
		t.Errorf("Do of %d bytes: %v", len(r.Body), err)
	}
}

func TestHostIsReachedThroughTheDoor(t *testing.T) {
	c := NewHostClient(serveUnix(t, func(ctx context.Context, ln net.Listener) error {
		return ServeHost(ctx, ln, &memoryHost{blobs: map[string][]byte{}}, nil)
	}))
	defer c.Close()
	ctx := t.Context()
	records := [][]byte{[]byte("a"), {}, bytes.Repeat([]byte("c"), 300_000)}
	if err := c.Append(ctx, 0, records); err != nil {
		t.Fatal(err)
	}
	if err := c.Append(ctx, 1, records); !errors.Is(err, &Error{Code: Conflict, Reason: "LENGTH"}) {
		t.Errorf("second Append: %v, want Conflict", err)
	}
	got, err := c.ReadRange(ctx, 1, 1_000_000)
	if err != nil || !slices.EqualFunc(got, records[1:], bytes.Equal) {
		t.Errorf("ReadRange: %d records, %v", len(got), err)
	}
	if got, err := c.ReadRange(ctx, 9, 10); err != nil || len(got) != 0 {
		t.Errorf("ReadRange past the end: %v, %v", got, err)
	}
	if _, err := c.ReadRange(ctx, 0, 0); !errors.Is(err, &Error{Code: InvalidArgument}) {
		t.Errorf("ReadRange of nothing: %v", err)
	}
	if err := c.PutBlobs(ctx, records); err != nil {
		t.Fatal(err)
	}
	names := [][]byte{nameOf(records[2]), nameOf(records[0])}
	blobs, err := c.GetBlobs(ctx, names)
	if err != nil || !slices.EqualFunc(blobs, [][]byte{records[2], records[0]}, bytes.Equal) {
		t.Errorf("GetBlobs: %d blobs, %v", len(blobs), err)
	}
	if _, err := c.GetBlobs(ctx, [][]byte{make([]byte, 32)}); !errors.Is(err, &Error{Code: NotFound}) {
		t.Errorf("GetBlobs of a missing one: %v", err)
	}
	if _, err := c.GetBlobs(ctx, [][]byte{make([]byte, 31)}); !errors.Is(err, &Error{Code: InvalidArgument}) {
		t.Errorf("GetBlobs of a short name: %v", err)
	}
}

func TestManyCallsAtOnceGetTheirOwnAnswers(t *testing.T) {
	c := NewEnclaveClient(serveUnix(t, func(ctx context.Context, ln net.Listener) error {
		return ServeEnclave(ctx, ln, echo{}, nil)
	}))
	defer c.Close()
	var running sync.WaitGroup
	for i := range 100 {
		running.Go(func() {
			r := whoami()
			for j := range 20 {
				r.Body = bytes.Repeat([]byte{byte(i), byte(j)}, 1+i*j)
				reply, err := c.Do(t.Context(), r)
				if err != nil || !bytes.Equal(reply.Body, r.Body) {
					t.Errorf("call %d.%d: %v", i, j, err)
					return
				}
			}
		})
	}
	running.Wait()
	if n := len(c.pool.idle); n == 0 || n > maxIdle {
		t.Errorf("%d connections are idle, want 1 to %d", n, maxIdle)
	}
}

func TestConnectionIsReused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serveEnclave(t, echo{}, doorLimits())
		c := s.client(t)
		for range 5 {
			if _, err := c.Do(t.Context(), whoami()); err != nil {
				t.Fatal(err)
			}
		}
		if s.dialled != 1 {
			t.Errorf("%d connections were made, want 1", s.dialled)
		}
	})
}

func TestConnectionIsReusedAfterARefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serveEnclave(t, doing(func(context.Context, *Request) (*Reply, error) {
			return nil, Errorf(NotFound, "", "no such key")
		}), doorLimits())
		c := s.client(t)
		for range 3 {
			if _, err := c.Do(t.Context(), whoami()); !errors.Is(err, &Error{Code: NotFound}) {
				t.Fatal(err)
			}
		}
		if s.dialled != 1 {
			t.Errorf("%d connections were made, want 1", s.dialled)
		}
	})
}

func TestIdleConnectionIsGivenUpBeforeTheServerDoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := doorLimits()
		s := serveEnclave(t, echo{}, l)
		c := s.client(t)
		for range 2 {
			if _, err := c.Do(t.Context(), whoami()); err != nil {
				t.Fatal(err)
			}
			<-time.After(l.idle - time.Second)
		}
		if s.dialled != 2 {
			t.Errorf("%d connections were made, want 2", s.dialled)
		}
	})
}

// scripted is a server whose connections are played by functions in turn.
func scripted(t *testing.T, plays ...func(net.Conn)) (*pool, *int) {
	t.Helper()
	dials := new(int)
	return &pool{limits: doorLimits(), connect: func(context.Context) (net.Conn, error) {
		if *dials == len(plays) {
			return nil, errors.New("connection refused")
		}
		here, there := net.Pipe()
		go func(play func(net.Conn)) {
			defer there.Close()
			play(there)
		}(plays[*dials])
		*dials++
		return here, nil
	}}, dials
}

// answering plays n calls with the same answer, then closes.
func answering(t *testing.T, n int, answer []byte) func(net.Conn) {
	return func(conn net.Conn) {
		in := newFrameReader(conn, doorLimits())
		for range n {
			if _, err := in.next(); err != nil {
				t.Errorf("server: %v", err)
				return
			}
			in.drop()
			_, _ = conn.Write(answer)
		}
	}
}

// hangingUp reads a call and closes without an answer.
func hangingUp(conn net.Conn) { _, _ = newFrameReader(conn, doorLimits()).next() }

func TestStaleConnectionIsTriedOnceMoreOnANewOne(t *testing.T) {
	ok := frameOf(t, resultHead, &Reply{Status: 200})
	tests := []struct {
		name  string
		plays []func(net.Conn)
		want  bool // that the second call succeeds
		dials int
	}{
		{"closed while idle", []func(net.Conn){answering(t, 1, ok), answering(t, 1, ok)}, true, 2},
		{"closed after it read the call", []func(net.Conn){func(c net.Conn) { answering(t, 1, ok)(c); hangingUp(c) }, answering(t, 1, ok)}, true, 2},
		{"new one fails as well", []func(net.Conn){answering(t, 1, ok), hangingUp, answering(t, 1, ok)}, false, 2},
		{"nobody there any more", []func(net.Conn){answering(t, 1, ok)}, false, 1},
		{"answer had begun", []func(net.Conn){
			func(c net.Conn) { answering(t, 1, ok)(c); answering(t, 1, ok[:len(ok)-1])(c) },
			answering(t, 1, ok),
		}, false, 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, dials := scripted(t, test.plays...)
				c := &EnclaveClient{client{pool: p, codec: hostCodec, peer: "enclave"}}
				defer c.Close()
				if _, err := c.Do(t.Context(), whoami()); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				_, err := c.Do(t.Context(), whoami())
				if (err == nil) != test.want || *dials != test.dials {
					t.Errorf("second call: %v on %d connections, want success %v on %d", err, *dials, test.want, test.dials)
				}
				if err != nil && !errors.Is(err, &Error{Code: Unavailable, Reason: ReasonNoAnswer}) {
					t.Errorf("error is %#v", err)
				}
			})
		})
	}
}

func TestFailureOnANewConnectionIsNotRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, dials := scripted(t, hangingUp, hangingUp)
		c := &EnclaveClient{client{pool: p, codec: hostCodec, peer: "enclave"}}
		if _, err := c.Do(t.Context(), whoami()); !errors.Is(err, &Error{Code: Unavailable}) || *dials != 1 {
			t.Errorf("%v on %d connections", err, *dials)
		}
	})
}

// A9: answers belong to the call under way on their connection; what comes
// beyond one answer ends the connection and is never taken for another's.
func TestA9SurplusAnswerIsNotTakenForAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second := frameOf(t, resultHead, &Reply{Status: 1}), frameOf(t, resultHead, &Reply{Status: 2})
		p, dials := scripted(t, answering(t, 1, append(bytes.Clone(first), first...)), answering(t, 1, second))
		c := &EnclaveClient{client{pool: p, codec: hostCodec, peer: "enclave"}}
		defer c.Close()
		for i, want := range []int{1, 2} {
			reply, err := c.Do(t.Context(), whoami())
			if err != nil || reply.Status != want || *dials != i+1 {
				t.Fatalf("call %d: %v, %v on %d connections", i, reply, err, *dials)
			}
		}
	})
}

func TestBrokenAnswerIsNoAnswer(t *testing.T) {
	ok := frameOf(t, resultHead, &list{[][]byte{{1}, {2}}})
	damaged := bytes.Clone(ok)
	damaged[headerSize+1] ^= 1
	tests := []struct {
		name   string
		answer []byte
		want   string
	}{
		{"checksum", damaged, "ReadRange: no answer from the host: frame was damaged on its way"},
		{"version", []byte{7}, "ReadRange: no answer from the host: frame version 7 is not spoken; versions spoken: 1"},
		{"length", []byte{1, 0xff, 0xff, 0xff, 0xff}, "ReadRange: no answer from the host: frame body length must be 1 to 1048576"},
		{"cut short", ok[:8], "ReadRange: no answer from the host: unexpected EOF"},
		{"not an answer", bodyFrame([]byte{0xa0}), "ReadRange: no answer from the host: fields must be either 1 or 2"},
		{"more records than asked for", ok, "ReadRange: no answer from the host: 2 records for a limit of 1"},
		{"another result", frameOf(t, resultHead, &Reply{}), "ReadRange: no answer from the host: unknown field"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, _ := scripted(t, answering(t, 1, test.answer))
				c := &HostClient{client{pool: p, codec: enclaveCodec, peer: "host"}}
				defer c.Close()
				_, err := c.ReadRange(t.Context(), 0, 1)
				if err == nil || err.Error() != test.want || !errors.Is(err, &Error{Code: Unavailable, Reason: ReasonNoAnswer}) {
					t.Errorf("got %v\nwant %s", err, test.want)
				}
				if errors.Is(err, &Error{Code: InvalidArgument}) {
					t.Error("broken framing looks like the host's refusal")
				}
			})
		})
	}
}

func TestBlobsMustBeAsManyAsNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _ := scripted(t, answering(t, 1, frameOf(t, resultHead, &list{[][]byte{{1}}})))
		c := &HostClient{client{pool: p, codec: enclaveCodec, peer: "host"}}
		defer c.Close()
		if blobs, err := c.GetBlobs(t.Context(), [][]byte{nameOf(nil), nameOf(nil)}); err == nil {
			t.Errorf("got %v", blobs)
		}
	})
}

func TestCancellingACallCancelsItOnTheServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		started, stopped := make(chan struct{}), make(chan error, 1)
		s := serveEnclave(t, blockUntilCancelled(started, stopped), doorLimits())
		c := s.client(t)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { <-started; cancel() }()
		_, err := c.Do(ctx, whoami())
		if !errors.Is(err, context.Canceled) || !errors.Is(err, &Error{Code: Unavailable}) {
			t.Errorf("got %v", err)
		}
		if err := <-stopped; !errors.Is(err, context.Canceled) {
			t.Errorf("the handler's context ended with %v", err)
		}
		if len(c.pool.idle) != 0 {
			t.Error("the connection went back to the pool")
		}
	})
}

func TestDeadlineOfACallIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		started, stopped := make(chan struct{}), make(chan error, 1)
		c := serveEnclave(t, blockUntilCancelled(started, stopped), doorLimits()).client(t)
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		begin := time.Now()
		if _, err := c.Do(ctx, whoami()); !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != 3*time.Second {
			t.Errorf("got %v after %v", err, time.Since(begin))
		}
		<-stopped
	})
}

func TestEndedContextMakesNoCall(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c := NewEnclaveClient("unix:/nowhere")
	if _, err := c.Status(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestSilentAnswerIsGivenUpOnceItHasBegun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _ := scripted(t, func(conn net.Conn) {
			hangingUp(conn)
			_, _ = conn.Write([]byte{1, 0})
			_, _ = conn.Read(make([]byte, 1)) // until the client closes
		})
		c := &EnclaveClient{client{pool: p, codec: hostCodec, peer: "enclave"}}
		begin := time.Now()
		if _, err := c.Do(t.Context(), whoami()); !isTimeout(err) || time.Since(begin) != doorLimits().frame {
			t.Errorf("got %v after %v", err, time.Since(begin))
		}
	})
}

func TestPeerThatDoesNotReadIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hold := make(chan struct{})
		p, _ := scripted(t, func(net.Conn) { <-hold })
		c := &EnclaveClient{client{pool: p, codec: hostCodec, peer: "enclave"}}
		begin := time.Now()
		if _, err := c.Do(t.Context(), whoami()); !isTimeout(err) || time.Since(begin) != doorLimits().write {
			t.Errorf("got %v after %v", err, time.Since(begin))
		}
		close(hold)
	})
}

func TestFullDoorSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := doorLimits()
		l.conns = 0
		c := serveEnclave(t, echo{}, l).client(t)
		if _, err := c.Do(t.Context(), whoami()); !errors.Is(err, &Error{Code: Unavailable}) {
			t.Errorf("got %v", err)
		}
	})
}

func TestTooLargeRequestDoesNotLeave(t *testing.T) {
	r := whoami()
	r.Body = make([]byte, MaxBody)
	c := NewEnclaveClient("unix:/nowhere")
	if _, err := c.Do(t.Context(), r); !errors.Is(err, &Error{Code: InvalidArgument, Reason: ReasonLength}) {
		t.Errorf("got %v", err)
	}
}

func TestAbsentPeerIsUnavailable(t *testing.T) {
	c := NewEnclaveClient("unix:" + filepath.Join(t.TempDir(), "nobody"))
	_, err := c.Status(t.Context())
	if !errors.Is(err, &Error{Code: Unavailable, Reason: ReasonNoAnswer}) {
		t.Errorf("got %v", err)
	}
}

func TestClosedClientMakesNoCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serveEnclave(t, echo{}, doorLimits())
		c := s.client(t)
		if _, err := c.Status(t.Context()); err != nil {
			t.Fatal(err)
		}
		_ = c.Close()
		if _, err := c.Status(t.Context()); !errors.Is(err, errClosed) {
			t.Errorf("got %v", err)
		}
		synctest.Wait()
		if n := s.server.count(); n != 0 {
			t.Errorf("%d connections are open", n)
		}
	})
}
