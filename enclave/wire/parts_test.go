package wire

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// written keeps what is written to it.
type written struct {
	net.Conn
	all []byte
}

func (w *written) Write(p []byte) (int, error) {
	w.all = append(w.all, p...)
	return len(p), nil
}
func (w *written) SetWriteDeadline(time.Time) error { return nil }

// parted returns the frames of a body in parts of a size.
func parted(t testing.TB, body []byte, size int) []byte {
	t.Helper()
	l := doorLimits()
	l.part = size
	var w written
	if err := writeParts(&w, body, l); err != nil {
		t.Fatal(err)
	}
	return w.all
}

// ordinary returns the body of an answer of Do.
func ordinary(t testing.TB, r *Reply) []byte {
	t.Helper()
	var frame bytes.Buffer
	if err := encodeBody(&frame, resultHead, r, weight(r)); err != nil {
		t.Fatal(err)
	}
	return frame.Bytes()[headerSize:]
}

// part is a frame of a long answer: head is partHead or lastHead.
func part(t testing.TB, head, bytes []byte) []byte { return frameOf(t, head, bytes) }

// receiving is a client's connection on which an answer comes.
func receiving(stream []byte) *clientConn { return &clientConn{in: reader(bytes.NewReader(stream))} }

// staying plays a peer that does not close before the client does: no deadline
// can be set on a pipe whose other end is closed, other than on a socket.
func staying(play func(net.Conn)) func(net.Conn) {
	return func(conn net.Conn) {
		play(conn)
		_, _ = conn.Read(make([]byte, 1))
	}
}

func TestPartedAnswerIsTheGolden(t *testing.T) {
	want := &Reply{Status: 200, Body: []byte(`{"a":1}`)}
	frames := golden(t, "do_answer_parted")
	if diff := cmp.Diff(frames, parted(t, ordinary(t, want), 8)); diff != "" {
		t.Errorf("frames (-want +got):\n%s", diff)
	}
	body, err := receiving(frames).answer(true)
	if err != nil {
		t.Fatal(err)
	}
	var got Reply
	if refusal, err := hostCodec.answer(body, &got); err != nil || refusal != nil {
		t.Fatal(refusal, err)
	}
	if diff := cmp.Diff(want, &got); diff != "" {
		t.Errorf("reply (-want +got):\n%s", diff)
	}
}

// frames reads all frames of a stream.
func frames(t *testing.T, in *frameReader, n int) (bodies [][]byte) {
	t.Helper()
	for range n {
		b, err := in.next()
		if err != nil {
			t.Fatal(err)
		}
		bodies = append(bodies, bytes.Clone(b))
		in.drop()
	}
	return bodies
}

func TestAnswerIsPartedOnceItPassesAFrame(t *testing.T) {
	overhead := len(ordinary(t, &Reply{Status: 200, Body: make([]byte, MaxBody)})) - MaxBody
	tests := []struct {
		name string
		size int // of the answer's body
		want []int
	}{
		{"a frame", MaxBody, nil},
		{"a byte more", MaxBody + 1, []int{maxPart, maxPart, 1}},
		{"whole parts", 3 * maxPart, []int{maxPart, maxPart, maxPart}},
		{"the longest", maxAnswer - 128, append(slices.Repeat([]int{maxPart}, maxAnswer/maxPart-1), maxPart-128)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				reply := &Reply{Status: 200, Body: bytes.Repeat([]byte("b"), test.size-overhead)}
				s := serveEnclave(t, doing(func(context.Context, *Request) (*Reply, error) { return reply, nil }), doorLimits())
				conn := s.raw(t)
				send(t, conn, doFrame(t))
				in := newFrameReader(conn, doorLimits())
				var sizes []int
				var whole []byte
				for i, body := range frames(t, in, max(1, len(test.want))) {
					if test.want == nil {
						whole = body
						break
					}
					p, last, err := openPart(body)
					if err != nil || last != (i == len(test.want)-1) {
						t.Fatalf("frame %d: last %v, %v", i, last, err)
					}
					sizes, whole = append(sizes, len(p)), append(whole, p...)
				}
				if diff := cmp.Diff(test.want, sizes); diff != "" {
					t.Errorf("parts (-want +got):\n%s", diff)
				}
				if !bytes.Equal(whole, ordinary(t, reply)) {
					t.Error("the parts are not the answer")
				}
				send(t, conn, frameOf(t, requestHead(9), &nothing{})) // nothing came behind it
				if refusal := receiveFrom(t, in, &Reply{}); refusal == nil || refusal.Reason != ReasonMethod {
					t.Errorf("the connection is not usable: %v", refusal)
				}
				_ = s.stop()
				if left := s.server.share.left.Load(); left != doorLimits().memory {
					t.Errorf("%d bytes of the budget are left, want %d", left, doorLimits().memory)
				}
			})
		})
	}
}

func TestOnlyAnswersOfDoAreParted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := enclaveFuncs{status: func(context.Context) (*Status, error) { return &Status{Manifest: make([]byte, MaxBody)}, nil }}
		s := serveEnclave(t, e, doorLimits())
		if _, err := s.client(t).Status(t.Context()); !errors.Is(err, &Error{Code: Internal}) {
			t.Errorf("Status: %v", err)
		}
		h := &memoryHost{records: [][]byte{make([]byte, MaxBody)}}
		s = serveHandlers(t, hostCodec, hostHandlers(h), doorLimits())
		c := &HostClient{client{pool: &pool{limits: doorLimits(), connect: s.dial}, codec: enclaveCodec, peer: "host"}}
		defer c.Close()
		if _, err := c.ReadRange(t.Context(), 0, 1); !errors.Is(err, &Error{Code: Internal}) {
			t.Errorf("ReadRange: %v", err)
		}
	})
}

func TestBrokenPartsAreNoAnswer(t *testing.T) {
	body := ordinary(t, &Reply{Status: 200, Body: []byte("0123456789abcdef")})
	first, second, last := part(t, partHead, body[:8]), part(t, partHead, body[8:16]), part(t, lastHead, body[16:])
	refusal := frameOf(t, errorHead, Errorf(NotFound, "", "no such key"))
	whole := bodyFrame(body)
	damaged := bytes.Clone(second)
	damaged[headerSize+4] ^= 1
	raw := func(body string) []byte { return bodyFrame(unhex(t, body)) }
	tests := []struct {
		name   string
		frames [][]byte
		want   string
	}{
		{"part in the middle missing", [][]byte{first, last}, "ends inside an item"},
		{"first part missing", [][]byte{second, last}, "must be a result"},
		{"last part missing", [][]byte{first, second}, "unexpected EOF"},
		{"cut short inside a part", [][]byte{first, second[:9]}, "unexpected EOF"},
		{"part twice", [][]byte{first, second, second, last}, "bytes after the body's map"},
		{"only a last part", [][]byte{part(t, lastHead, body)}, "begins with its last part"},
		{"empty part", [][]byte{part(t, partHead, []byte{}), first, second, last}, "must be 1 to 524288 bytes"},
		{"empty part inside", [][]byte{first, part(t, partHead, []byte{}), second, last}, "must be 1 to 524288 bytes"},
		{"empty last part", [][]byte{first, second, part(t, partHead, body[16:]), part(t, lastHead, []byte{})}, "must be 1 to 524288 bytes"},
		{"part too large", [][]byte{part(t, partHead, make([]byte, maxPart+1)), last}, "must be 1 to 524288 bytes"},
		{"part is text", [][]byte{raw("a1 03 61 61"), last}, "must be 1 to 524288 bytes"},
		{"part is a number", [][]byte{raw("a1 03 01"), last}, "must be 1 to 524288 bytes"},
		{"part and last part", [][]byte{raw("a2 03 41 61 04 41 61")}, "must have one field"},
		{"result and part", [][]byte{raw("a2 01 a0 03 41 61")}, "fields must be either 1 or 2"},
		{"error after a part", [][]byte{first, refusal}, "must have one field"},
		{"error after a part, then the rest", [][]byte{first, refusal, second, last}, "must have one field"},
		{"whole answer after a part", [][]byte{first, whole}, "must have one field"},
		{"damaged part", [][]byte{first, damaged, last}, "damaged on its way"},
		{"another version after a part", [][]byte{first, {2}}, "frame version 2 is not spoken"},
		{"error in parts", [][]byte{parted(t, refusal[headerSize:len(refusal)-trailerSize], 4)}, "must be a result"},
		{"parts in parts", [][]byte{parted(t, first[headerSize:len(first)-trailerSize], 4)}, "must be a result"},
		{"no CBOR in parts", [][]byte{parted(t, []byte("\x00\x01\x00"), 1)}, "not a map"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			stream := bytes.Join(test.frames, nil)
			body, err := receiving(stream).answer(true)
			if err == nil {
				_, err = hostCodec.answer(body, &Reply{})
			}
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v\nwant %s", err, test.want)
			}
			synctest.Test(t, func(t *testing.T) {
				p, _ := scripted(t, staying(answering(t, 1, stream)))
				c := &EnclaveClient{client{pool: p, codec: hostCodec, peer: "enclave"}}
				defer c.Close()
				if _, err := c.Do(t.Context(), whoami()); !errors.Is(err, &Error{Code: Unavailable, Reason: ReasonNoAnswer}) {
					t.Errorf("Do: %v", err)
				}
				if len(p.idle) != 0 {
					t.Error("the connection went back to the pool")
				}
			})
		})
	}
}

func TestPartsBeyondTheLimitAreRefused(t *testing.T) {
	body := ordinary(t, &Reply{Status: 200, Body: make([]byte, maxAnswer)})
	for _, size := range []int{maxAnswer, maxAnswer + 1} {
		c := receiving(parted(t, body[:size], maxPart))
		got, err := c.answer(true)
		if size == maxAnswer && (err != nil || !bytes.Equal(got, body[:size])) {
			t.Errorf("%d bytes: %v", size, err)
		}
		if size > maxAnswer && !errors.Is(err, errTooLong) {
			t.Errorf("%d bytes: %v, want %v", size, err, errTooLong)
		}
		if cap(c.long) > maxAnswer {
			t.Errorf("%d bytes: buffer is %d", size, cap(c.long))
		}
	}
}

// Parts that never end are refused when they pass the limit, not when memory ends.
func TestEndlessPartsAreRefused(t *testing.T) {
	one := part(t, partHead, bytes.Repeat([]byte{0xa1}, maxPart))
	c := &clientConn{in: reader(&repeating{frame: one})}
	if _, err := c.answer(true); !errors.Is(err, errTooLong) || len(c.long) > maxAnswer {
		t.Errorf("%v after %d bytes", err, len(c.long))
	}
}

// repeating is a stream of one frame for ever.
type repeating struct {
	frame []byte
	at    int
}

func (r *repeating) Read(p []byte) (int, error) {
	n := copy(p, r.frame[r.at:])
	r.at = (r.at + n) % len(r.frame)
	return n, nil
}

func TestBufferOfPartsGrowsWithTheBytesThatCame(t *testing.T) {
	stream := parted(t, make([]byte, 8*maxPart), maxPart)
	for n := 1; n < 8; n++ {
		c := receiving(stream[:n*len(stream)/8])
		if _, err := c.answer(true); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("error is %v", err)
		}
		if cap(c.long) > 2*len(c.long) {
			t.Errorf("%d bytes came: buffer is %d", len(c.long), cap(c.long))
		}
	}
}

// Answers that may not be long are not put together.
func TestPartsAreRefusedForAllOtherCalls(t *testing.T) {
	const want = "fields must be either 1 or 2"
	first := part(t, partHead, []byte{0xa1})
	last := part(t, lastHead, []byte{0xa1})
	for _, answer := range [][]byte{first, last} {
		synctest.Test(t, func(t *testing.T) {
			play := func() *pool { p, _ := scripted(t, answering(t, 1, answer)); return p }
			host := &HostClient{client{pool: play(), codec: enclaveCodec, peer: "host"}}
			enclave := &EnclaveClient{client{pool: play(), codec: hostCodec, peer: "enclave"}}
			_, ranged := host.ReadRange(t.Context(), 0, 1)
			_, status := enclave.Status(t.Context())
			for call, err := range map[string]error{"ReadRange": ranged, "Status": status} {
				if err == nil || !strings.Contains(err.Error(), want) || !errors.Is(err, &Error{Code: Unavailable, Reason: ReasonNoAnswer}) {
					t.Errorf("%s: %v, want %s", call, err, want)
				}
			}
		})
	}
}

func TestRequestsHaveNoParts(t *testing.T) {
	for _, text := range []string{"a1 03 41 61", "a1 04 41 61", "a3 01 02 02 a0 03 41 61", "a3 01 02 02 a0 04 41 61"} {
		for _, c := range []codec{enclaveCodec, hostCodec} {
			if _, _, refused := c.request(unhex(t, text)); refused == nil || refused.Reason != ReasonEncoding {
				t.Errorf("strict=%v: %s: %v", c.strict, text, refused)
			}
		}
	}
}

// A9: a part behind the last one is of no answer.
func TestA9PartAfterTheLastIsOfNoAnswer(t *testing.T) {
	body := ordinary(t, &Reply{Status: 200, Body: []byte(`{"a":1}`)})
	for _, surplus := range [][]byte{part(t, partHead, body), part(t, lastHead, body), bodyFrame(body)} {
		synctest.Test(t, func(t *testing.T) {
			other := frameOf(t, resultHead, &Reply{Status: 201})
			p, dials := scripted(t, staying(answering(t, 1, append(parted(t, body, 8), surplus...))), answering(t, 1, other))
			c := &EnclaveClient{client{pool: p, codec: hostCodec, peer: "enclave"}}
			defer c.Close()
			for i, want := range []int{200, 201} {
				reply, err := c.Do(t.Context(), whoami())
				if err != nil || reply.Status != want || *dials != i+1 {
					t.Fatalf("call %d: %v, %v on %d connections", i, reply, err, *dials)
				}
			}
		})
	}
}

// The answer had begun, so the call is not sent again, though the failure
// comes between two frames of a reused connection.
func TestFailureBetweenPartsIsNotRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ok := frameOf(t, resultHead, &Reply{Status: 200})
		p, dials := scripted(t, func(conn net.Conn) {
			answering(t, 1, ok)(conn)
			answering(t, 1, part(t, partHead, []byte{0xa1}))(conn)
		}, answering(t, 1, ok))
		c := &EnclaveClient{client{pool: p, codec: hostCodec, peer: "enclave"}}
		defer c.Close()
		if _, err := c.Do(t.Context(), whoami()); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Do(t.Context(), whoami()); !errors.Is(err, &Error{Code: Unavailable, Reason: ReasonNoAnswer}) || *dials != 1 {
			t.Errorf("%v on %d connections", err, *dials)
		}
	})
}

func TestSilenceBetweenPartsIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const parts = 3
		p, _ := scripted(t, func(conn net.Conn) {
			hangingUp(conn)
			for range parts { // each has the time of a frame
				<-time.After(doorLimits().frame - time.Second)
				_, _ = conn.Write(part(t, partHead, []byte{0xa1}))
			}
			_, _ = conn.Read(make([]byte, 1)) // until the client closes
		})
		c := &EnclaveClient{client{pool: p, codec: hostCodec, peer: "enclave"}}
		begin := time.Now()
		_, err := c.Do(t.Context(), whoami())
		if want := (parts+1)*doorLimits().frame - parts*time.Second; !isTimeout(err) || time.Since(begin) != want {
			t.Errorf("got %v after %v, want a timeout after %v", err, time.Since(begin), want)
		}
	})
}

func TestCancellingBetweenPartsClosesTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		closed := make(chan error, 1)
		p, _ := scripted(t, func(conn net.Conn) {
			hangingUp(conn)
			_, _ = conn.Write(part(t, partHead, []byte{0xa1}))
			cancel()
			_, err := conn.Read(make([]byte, 1))
			closed <- err
		})
		c := &EnclaveClient{client{pool: p, codec: hostCodec, peer: "enclave"}}
		if _, err := c.Do(ctx, whoami()); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		if err := <-closed; !errors.Is(err, io.EOF) || len(p.idle) != 0 {
			t.Errorf("the server saw %v, %d connections are idle", err, len(p.idle))
		}
	})
}

// A8: whoever stops to read inside a long answer is given up, and what waited
// for it is free again.
func TestA8LongAnswerThatIsNotReadEndsTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := doorLimits()
		s := serveEnclave(t, longAnswers(3*MaxBody), l)
		conn := s.raw(t)
		send(t, conn, doFrame(t))
		in := newFrameReader(conn, l)
		frames(t, in, 2)
		if left := s.server.share.left.Load(); left > l.memory-3*MaxBody {
			t.Errorf("%d bytes of the budget are left while an answer waits", left)
		}
		<-time.After(l.write + time.Second)
		if n := s.server.count(); n != 0 {
			t.Errorf("%d connections are open, want none", n)
		}
		if left := s.server.share.left.Load(); left != l.memory {
			t.Errorf("%d bytes of the budget are left, want %d", left, l.memory)
		}
	})
}

func TestTooManyLongAnswersAtOnceAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := doorLimits()
		l.memory = 5 * MaxBody
		s := serveEnclave(t, longAnswers(3*MaxBody), l)
		slow := s.raw(t)
		send(t, slow, doFrame(t))
		synctest.Wait() // its first part waits to be read
		c := s.client(t)
		if _, err := c.Do(t.Context(), whoami()); !errors.Is(err, &Error{Code: ResourceExhausted, Reason: ReasonBusy}) {
			t.Errorf("got %v", err)
		}
		frames(t, newFrameReader(slow, l), 7)
		synctest.Wait()
		if reply, err := c.Do(t.Context(), whoami()); err != nil || len(reply.Body) != 3*MaxBody {
			t.Errorf("once the first was read: %v", err)
		}
	})
}

// longAnswers answers with bodies of a size, which differ from part to part.
func longAnswers(size int) Enclave {
	body := make([]byte, size)
	for i := range body {
		body[i] = byte(i>>19) + byte(i>>8) ^ byte(i)
	}
	return doing(func(_ context.Context, r *Request) (*Reply, error) {
		if string(r.Body) == "short" {
			return &Reply{Status: 200, Body: r.Body}, nil
		}
		return &Reply{Status: 200, Body: body, Proof: "proof"}, nil
	})
}

func TestLongAnswersCrossTheDoor(t *testing.T) {
	for _, size := range []int{3_000_000, 20_000_000} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			e := longAnswers(size)
			want, _ := e.Do(t.Context(), whoami())
			c := NewEnclaveClient(serveUnix(t, func(ctx context.Context, ln net.Listener) error { return ServeEnclave(ctx, ln, e, nil) }))
			defer c.Close()
			dials, dial := 0, c.pool.connect
			c.pool.connect = func(ctx context.Context) (net.Conn, error) { dials++; return dial(ctx) }
			short := whoami()
			short.Body = []byte("short")
			for range 2 {
				if got, err := c.Do(t.Context(), whoami()); err != nil || got.Proof != want.Proof || !bytes.Equal(got.Body, want.Body) {
					t.Fatalf("the answer differs: %v", err)
				}
				if got, err := c.Do(t.Context(), short); err != nil || string(got.Body) != "short" {
					t.Fatalf("the next answer: %v", err)
				}
			}
			if dials != 1 {
				t.Errorf("%d connections were made, want 1", dials)
			}
		})
	}
}

func TestManyLongAnswersAtOnceAreNotMixed(t *testing.T) {
	c := NewEnclaveClient(serveUnix(t, func(ctx context.Context, ln net.Listener) error {
		return ServeEnclave(ctx, ln, doing(func(_ context.Context, r *Request) (*Reply, error) {
			return &Reply{Status: 200, Body: bytes.Repeat(r.Body, 3*MaxBody/2)}, nil
		}), nil)
	}))
	defer c.Close()
	var running sync.WaitGroup
	for i := range 8 {
		running.Go(func() {
			r := whoami()
			r.Body = []byte{byte(i)}
			reply, err := c.Do(t.Context(), r)
			if err != nil || !bytes.Equal(reply.Body, bytes.Repeat(r.Body, 3*MaxBody/2)) {
				t.Errorf("call %d: %v", i, err)
			}
		})
	}
	running.Wait()
}

func TestBuffersOfPartsAreWiped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		secret := bytes.Repeat([]byte("secret"), 100)
		p, _ := scripted(t, staying(answering(t, 1, parted(t, ordinary(t, &Reply{Status: 200, Body: secret}), 50))))
		defer p.close()
		var kept []byte
		err := p.exchange(t.Context(), doFrame(t), true, func(body []byte) error {
			kept = body[:cap(body)]
			return nil
		})
		if err != nil || len(kept) < len(secret) {
			t.Fatalf("%d bytes, %v", len(kept), err)
		}
		if !bytes.Equal(kept, make([]byte, len(kept))) {
			t.Error("bytes of an answer stay in the client's buffer")
		}
	})
}
