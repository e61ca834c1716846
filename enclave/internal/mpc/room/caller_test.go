package room

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/enclave/internal/mpc"
	"github.com/sallyport/sallyport/enclave/internal/mpc/mpctest"
	"github.com/sallyport/sallyport/enclave/wire"
)

func newCallers(t *testing.T, net *mpctest.Relay, n int) (out []*Caller) {
	var nodes []mpc.NodeID
	for i := range n {
		nodes = append(nodes, mpc.NodeID{2, byte(i)})
	}
	for _, node := range nodes {
		c := NewCaller(net, newFakePairs(node, nodes), slog.New(slog.DiscardHandler))
		t.Cleanup(c.Close)
		out = append(out, c)
	}
	return out
}

func TestCallIsCarriedOutOnceOverABadRelay(t *testing.T) {
	net := mpctest.NewRelay()
	net.Loss = 0.3
	c := newCallers(t, net, 2)
	var calls atomic.Int32
	c[1].Handle("double", func(_ context.Context, from mpc.NodeID, body []byte) ([]byte, error) {
		calls.Add(1)
		if from != c[0].Self() {
			t.Error("from another node")
		}
		return append(body, body...), nil
	})
	c[1].Handle("refuse", func(context.Context, mpc.NodeID, []byte) ([]byte, error) {
		return nil, &wire.Error{Code: wire.PermissionDenied, Reason: "NO", Message: "no", Cause: "refused"}
	})
	c[0].Serve()
	c[1].Serve()
	for range 5 {
		got, err := c[0].Call(t.Context(), c[1].Self(), "double", []byte("ab"))
		if err != nil || string(got) != "abab" {
			t.Fatalf("got %q, %v", got, err)
		}
	}
	if n := calls.Load(); n != 5 {
		t.Errorf("carried out %d times", n)
	}
	_, err := c[0].Call(t.Context(), c[1].Self(), "refuse", nil)
	if e, ok := errors.AsType[*wire.Error](err); !ok || e.Reason != "NO" || e.Cause != "refused" {
		t.Errorf("got %v", err)
	}
	if _, err = c[0].Call(t.Context(), c[1].Self(), "nothing", nil); !errors.Is(err, &wire.Error{Code: wire.Unimplemented}) {
		t.Errorf("got %v", err)
	}
	if _, err = c[0].Call(t.Context(), mpc.NodeID{9}, "double", nil); !errors.Is(err, &wire.Error{Code: wire.NotFound}) {
		t.Errorf("got %v", err)
	}
}

func TestCallToANodeThatIsAwayEndsWithItsContext(t *testing.T) {
	c := newCallers(t, mpctest.NewRelay(), 2)
	c[0].Serve()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := c[0].Call(ctx, c[1].Self(), "x", nil); !errors.Is(err, &wire.Error{Code: wire.Unavailable}) {
		t.Errorf("got %v", err)
	}
}

// A node that restarts has no pairs any more, and the other side does not know.
func TestCallReachesANodeThatHasRestarted(t *testing.T) {
	net := mpctest.NewRelay()
	c := newCallers(t, net, 2)
	echo := func(_ context.Context, _ mpc.NodeID, body []byte) ([]byte, error) { return body, nil }
	for _, x := range c {
		x.Handle("echo", echo)
		x.Serve()
	}
	for _, restarted := range []int{1, 0} {
		if _, err := c[0].Call(t.Context(), c[1].Self(), "echo", nil); err != nil {
			t.Fatal(err)
		}
		c[restarted].Close()
		again := NewCaller(net, newFakePairs(c[restarted].Self(), []mpc.NodeID{c[0].Self(), c[1].Self()}), slog.New(slog.DiscardHandler))
		t.Cleanup(again.Close)
		again.Handle("echo", echo)
		again.Serve()
		c[restarted] = again
		for i := range c {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			if _, err := c[i].Call(ctx, c[1-i].Self(), "echo", nil); err != nil {
				t.Errorf("node %d after the restart of %d: %v", i, restarted, err)
			}
			cancel()
		}
	}
}

func TestLinesOfPairsThatAreGoneAreForgotten(t *testing.T) {
	self, peer := mpc.NodeID{2, 0}, mpc.NodeID{2, 1}
	pairs := newFakePairs(self, []mpc.NodeID{self, peer})
	c := NewCaller(mpctest.NewRelay(), pairs, slog.New(slog.DiscardHandler))
	defer c.Close()
	const kept = 4
	for i := range 5 * kept {
		have := append([][8]byte{{byte(i)}}, pairs.IDs(peer)...)
		pairs.have[peer] = have[:min(len(have), kept)]
		if _, err := c.line(peer, pairs.Common(peer, have[:1])); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(c.lines); n != kept {
		t.Errorf("%d lines of %d pairs", n, kept)
	}
	for _, id := range pairs.IDs(peer) { // messages under it may still be on their way
		if _, err := c.line(peer, pairs.Common(peer, [][8]byte{id})); err != nil {
			t.Errorf("pair %x: %v", id, err)
		}
	}
}
