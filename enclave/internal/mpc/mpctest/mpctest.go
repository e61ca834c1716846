// Package mpctest helps tests of MPC: pre-parameters that were made once, keys,
// and a pump that carries messages between engines in one process.
package mpctest

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"testing"

	"github.com/sallyport/sallyport/enclave/internal/keys"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
)

//go:embed testdata/*.cbor
var fixtures embed.FS

// Sets is the number of committed sets of pre-parameters.
const Sets = 16

// PreParams returns one of the committed sets. They are public: no real key may
// be made with them.
func PreParams(i int) *keys.Secret {
	b, err := fs.ReadFile(fixtures, fmt.Sprintf("testdata/preparams%d.cbor", i%Sets))
	if err != nil {
		panic(err)
	}
	return keys.NewSecret(b)
}

// A Taker gives the committed sets in turn. It implements [mpc.PreParams].
type Taker struct {
	mu   sync.Mutex
	next int
}

// Take never waits. A set is given again after [Sets] others.
func (p *Taker) Take(context.Context) (*keys.Secret, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.next++
	return PreParams(p.next), nil
}

// Parties makes n party ids, in order.
func Parties(n int) (out []mpc.PartyID) {
	for i := range n {
		out = append(out, mpc.PartyID{Node: mpc.NodeID{2, byte(i + 1)}, Random: [16]byte{byte(i + 1)}})
	}
	return out
}

// X is an x coordinate for a test: small numbers, which no order rules out.
func X(i int) (x [32]byte) {
	x[30], x[31] = 1, byte(i+1)
	return x
}

// An Outcome is how a session of one party ended.
type Outcome struct {
	Result  *mpc.Result
	Failure *mpc.Failure
}

// A Tamper may change, drop or add to what one party sends another: it returns
// the bodies to be delivered.
type Tamper func(from, to int, m *mpc.Message) [][]byte

// Run carries the messages of sessions until each has ended, or ctx ends.
// Sessions that said they are presigned get the digest at once.
func Run(ctx context.Context, sessions []mpc.Session, digest []byte, tamper Tamper) []Outcome {
	return pump(ctx, sessions, digest, tamper, func() {})
}

// RunToFailure is Run, but ends all sessions when one has failed, as a room does.
func RunToFailure(ctx context.Context, sessions []mpc.Session, digest []byte, tamper Tamper) []Outcome {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	return pump(ctx, sessions, digest, tamper, cancel)
}

func pump(ctx context.Context, sessions []mpc.Session, digest []byte, tamper Tamper, failed func()) []Outcome {
	out := make([]Outcome, len(sessions))
	var wait sync.WaitGroup
	for i, s := range sessions {
		wait.Go(func() {
			stop := context.AfterFunc(ctx, s.Close)
			defer stop()
			for e := range s.Events() {
				switch {
				case e.Message != nil:
					spread(sessions, i, e.Message, tamper)
				case e.Presigned:
					if err := s.Finish(digest); err != nil {
						out[i].Failure = mpc.Failf(mpc.CauseEngine, nil, "%v", err)
					}
				case e.Failure != nil:
					out[i].Failure = e.Failure
					failed()
				case e.Result != nil:
					out[i].Result = e.Result
				}
			}
		})
	}
	wait.Wait()
	return out
}

func spread(sessions []mpc.Session, from int, m *mpc.Message, tamper Tamper) {
	for to, s := range sessions {
		if to == from || (m.To >= 0 && m.To != to) {
			continue
		}
		bodies := [][]byte{m.Body}
		if tamper != nil {
			bodies = tamper(from, to, m)
		}
		for _, b := range bodies {
			s.Deliver(from, m.Broadcast, b)
		}
	}
}

// Start starts a session of each setup.
func Start(t testing.TB, e mpc.Engine, setups []*mpc.Setup) (out []mpc.Session) {
	t.Helper()
	for _, s := range setups {
		session, err := e.Start(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(session.Close)
		out = append(out, session)
	}
	return out
}

// Shares are the shares of outcomes that must all be good.
func Shares(t testing.TB, outcomes []Outcome) (out []*mpc.Share) {
	t.Helper()
	for i, o := range outcomes {
		if err := o.Err(); err != nil {
			t.Fatalf("party %d: %v", i, err)
		}
		out = append(out, o.Result.Share)
	}
	return out
}

// Err is nil for a result.
func (o Outcome) Err() error {
	switch {
	case o.Failure != nil:
		return o.Failure
	case o.Result == nil:
		return errors.New("neither a result nor a failure")
	}
	return nil
}
