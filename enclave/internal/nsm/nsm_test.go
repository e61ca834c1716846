package nsm_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"strings"
	"sync"
	"testing"

	"github.com/fxamacker/cbor/v2"

	"github.com/sallyport/sallyport/attestation"
	"github.com/sallyport/sallyport/enclave/internal/nsm"
	"github.com/sallyport/sallyport/enclave/internal/simulator"
)

// fake is a device that answers with a function.
type fake struct {
	answer   func(request, reply []byte) (int, error)
	requests [][]byte
	replies  [][]byte // the buffers that were handed in
	closed   int
}

func (f *fake) Exchange(request, reply []byte) (int, error) {
	f.requests = append(f.requests, bytes.Clone(request))
	f.replies = append(f.replies, reply)
	return f.answer(request, reply)
}

func (f *fake) Close() error {
	f.closed++
	return nil
}

// fixed answers every request with the same bytes.
func fixed(b []byte) *fake {
	return &fake{answer: func(_, reply []byte) (int, error) { return copy(reply, b), nil }}
}

// simulated answers as the simulated module does.
func simulated(tb testing.TB) (*fake, *simulator.Simulator) {
	tb.Helper()
	s, err := simulator.New()
	if err != nil {
		tb.Fatal(err)
	}
	return &fake{answer: func(request, reply []byte) (int, error) { return copy(reply, s.Handle(request)), nil }}, s
}

func encode(tb testing.TB, v any) []byte {
	tb.Helper()
	b, err := cbor.Marshal(v)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

type object = map[string]any

func TestEveryRequestReachesTheModule(t *testing.T) {
	d, s := simulated(t)
	n := nsm.Over(d)
	about, err := n.Describe()
	if err != nil || about.MaxPCRs != 32 || about.Digest != "SHA384" || len(about.LockedPCRs) != 16 || about.ModuleID == "" {
		t.Errorf("describe: %+v, %v", about, err)
	}
	if err := n.ExtendPCR(17, []byte("data")); err != nil {
		t.Error(err)
	}
	if got, err := n.PCR(17); err != nil || !bytes.Equal(got, attestation.ExtendPCR(nil, []byte("data"))) {
		t.Errorf("register 17: %x, %v", got, err)
	}
	if err := n.LockPCR(17); err != nil {
		t.Error(err)
	}
	if err := n.LockPCRs(32); err != nil {
		t.Error(err)
	}
	if _, locked, err := n.DescribePCR(31); err != nil || !locked {
		t.Errorf("register 31: locked is %v, %v", locked, err)
	}
	random := make([]byte, 1000)
	if got, err := n.Read(random); got != 1000 || err != nil || bytes.Contains(random, make([]byte, 16)) {
		t.Errorf("random: %d, %v", got, err)
	}
	doc, err := n.Attest(t.Context(), []byte("user data"), []byte("a nonce"), []byte("a key"))
	if err != nil {
		t.Fatal(err)
	}
	trust, err := attestation.TrustLocal(s.Root())
	if err != nil {
		t.Fatal(err)
	}
	got, err := attestation.VerifyArchived(doc, trust, attestation.Expect{})
	if err != nil {
		t.Fatal(err)
	}
	if string(got.UserData) != "user data" || string(got.Nonce) != "a nonce" || string(got.PublicKey) != "a key" {
		t.Errorf("got %q, %q, %q", got.UserData, got.Nonce, got.PublicKey)
	}
}

// The bytes that the driver gets, by meaning.
func TestRequestsHaveTheFormOfTheProtocol(t *testing.T) {
	for _, c := range []struct {
		name string
		call func(*nsm.NSM) error
		want any
	}{
		{"describe", func(n *nsm.NSM) error { _, err := n.Describe(); return err }, "DescribeNSM"},
		{"random", func(n *nsm.NSM) error { _, err := n.Read(make([]byte, 1)); return err }, "GetRandom"},
		{"register", func(n *nsm.NSM) error { _, err := n.PCR(4); return err }, object{"DescribePCR": object{"index": uint64(4)}}},
		{"extend", func(n *nsm.NSM) error { return n.ExtendPCR(16, []byte{1}) }, object{"ExtendPCR": object{"index": uint64(16), "data": []byte{1}}}},
		{"lock", func(n *nsm.NSM) error { return n.LockPCR(16) }, object{"LockPCR": object{"index": uint64(16)}}},
		{"lock range", func(n *nsm.NSM) error { return n.LockPCRs(32) }, object{"LockPCRs": object{"range": uint64(32)}}},
		{
			"attest", func(n *nsm.NSM) error {
				_, err := n.Attest(context.Background(), []byte{1}, nil, []byte{2})
				return err
			},
			object{"Attestation": object{"user_data": []byte{1}, "nonce": nil, "public_key": []byte{2}}},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, _ := simulated(t)
			if err := c.call(nsm.Over(d)); err != nil {
				t.Fatal(err)
			}
			var got, want any
			if err := cbor.Unmarshal(d.requests[0], &got); err != nil {
				t.Fatal(err)
			}
			if err := cbor.Unmarshal(encode(t, c.want), &want); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(canonical(t, got), canonical(t, want)) {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
}

func canonical(tb testing.TB, v any) []byte {
	tb.Helper()
	mode, err := cbor.CoreDetEncOptions().EncMode()
	if err != nil {
		tb.Fatal(err)
	}
	b, err := mode.Marshal(v)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func TestReplyBufferIsCleared(t *testing.T) {
	d, _ := simulated(t)
	if _, err := nsm.Over(d).Read(make([]byte, 256)); err != nil {
		t.Fatal(err)
	}
	if len(d.replies[0]) != nsm.MaxReply || !bytes.Equal(d.replies[0], make([]byte, nsm.MaxReply)) {
		t.Error("random bytes stayed in the buffer")
	}
}

func TestInputsBeyondTheLimitsDoNotReachTheModule(t *testing.T) {
	d, _ := simulated(t)
	n := nsm.Over(d)
	attest := func(u, nonce, p int) error {
		_, err := n.Attest(t.Context(), make([]byte, u), make([]byte, nonce), make([]byte, p))
		return err
	}
	_, low := n.PCR(-1)
	_, high := n.PCR(32)
	for name, err := range map[string]error{
		"user data": attest(513, 0, 0), "nonce": attest(0, 513, 0), "public key": attest(0, 0, 1025),
		"register -1": low, "register 32": high, "extend 32": n.ExtendPCR(32, nil), "lock 32": n.LockPCR(32),
		"lock 33 registers": n.LockPCRs(33), "lock -1 registers": n.LockPCRs(-1), "extend by 4096 bytes": n.ExtendPCR(16, make([]byte, 4096)),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if len(d.requests) != 0 {
		t.Errorf("%d requests reached the module", len(d.requests))
	}
}

func TestClosedModuleAnswersNothing(t *testing.T) {
	d, _ := simulated(t)
	n := nsm.Over(d)
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := n.PCR(0); !errors.Is(err, nsm.ErrClosed) {
		t.Errorf("got %v", err)
	}
	if _, err := n.Read(make([]byte, 1)); !errors.Is(err, nsm.ErrClosed) {
		t.Errorf("got %v", err)
	}
	if err := n.Close(); !errors.Is(err, nsm.ErrClosed) || d.closed != 1 {
		t.Errorf("closed %d times, %v", d.closed, err)
	}
}

func TestRequestsAreMadeOneByOne(t *testing.T) {
	d, _ := simulated(t)
	inner, busy := d.answer, false
	d.answer = func(request, reply []byte) (int, error) {
		if busy { // the race detector sees it too
			t.Error("two requests at once")
		}
		busy = true
		defer func() { busy = false }()
		return inner(request, reply)
	}
	n := nsm.Over(d)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				if _, err := n.PCR(0); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

func TestWaitingForTheModuleEndsWithTheContext(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	d, _ := simulated(t)
	inner := d.answer
	d.answer = func(request, reply []byte) (int, error) {
		close(entered)
		<-leave
		return inner(request, reply)
	}
	n := nsm.Over(d)
	done := make(chan error)
	go func() {
		_, err := n.PCR(0)
		done <- err
	}()
	<-entered
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := n.Attest(ctx, nil, nil, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	close(leave)
	if err := <-done; err != nil {
		t.Error(err)
	}
	if len(d.requests) != 1 {
		t.Errorf("%d requests reached the module", len(d.requests))
	}
}

func TestFailedExchangeIsAnError(t *testing.T) {
	broken := errors.New("broken")
	d := &fake{answer: func(_, reply []byte) (int, error) { return 0, broken }}
	if _, err := nsm.Over(d).PCR(0); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

func TestOpenFailsWithoutADevice(t *testing.T) {
	if _, err := nsm.Open(t.TempDir() + "/nsm"); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "is this a Nitro enclave?") {
		t.Errorf("missing: got %v", err)
	}
	if _, err := nsm.Open("/dev/null"); err == nil {
		t.Error("/dev/null was opened as a module")
	}
}
