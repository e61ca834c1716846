package room

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/enclave/internal/keys"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
	"github.com/sallyport/sallyport/enclave/internal/mpc/engine"
	"github.com/sallyport/sallyport/enclave/internal/mpc/mpctest"
)

// A witnessed engine keeps what its half-done signatures were given, and has them
// all die when it is told to.
type witnessed struct {
	mpc.Engine
	mu       sync.Mutex
	released map[[32]byte]map[int]string // digest, by session and party
	waiting  map[*witnessedSession]struct{}
	twice    int
}

func witness(e mpc.Engine) *witnessed {
	return &witnessed{Engine: e, released: map[[32]byte]map[int]string{}, waiting: map[*witnessedSession]struct{}{}}
}

type witnessedSession struct {
	mpc.Session
	engine *witnessed
	id     [32]byte
	party  int
}

func (e *witnessed) Start(ctx context.Context, s *mpc.Setup) (mpc.Session, error) {
	session, err := e.Engine.Start(ctx, s)
	if err != nil || s.Op != mpc.OpPresign {
		return session, err
	}
	w := &witnessedSession{Session: session, engine: e, id: s.Session, party: s.Self}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.waiting[w] = struct{}{}
	return w, nil
}

func (s *witnessedSession) Finish(digest []byte) error {
	s.engine.mu.Lock()
	if s.engine.released[s.id] == nil {
		s.engine.released[s.id] = map[int]string{}
	}
	if _, ok := s.engine.released[s.id][s.party]; ok {
		s.engine.twice++
	}
	s.engine.released[s.id][s.party] = string(digest)
	delete(s.engine.waiting, s)
	s.engine.mu.Unlock()
	return s.Session.Finish(digest)
}

// die ends one party's half-done signatures.
func (e *witnessed) die(party int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for s := range e.waiting {
		if s.party == party {
			s.Close()
			delete(e.waiting, s)
		}
	}
}

// count returns how many half-done signatures were released, each by each party,
// and how many were given two digests.
func (e *witnessed) count() (released, differ int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, by := range e.released {
		released += len(by)
		digests := map[string]bool{}
		for _, d := range by {
			digests[d] = true
		}
		if len(digests) > 1 {
			differ++
		}
	}
	return released, differ
}

// crowd signs at once, tries again what failed, and now and then restarts a node
// or has its engine die, until there were enough releases. A patient one waits for
// what is being made.
func crowd(t *testing.T, w *world, e *witnessed, shares []*mpc.Share, signers, enough int, patient bool) (all [][]byte) {
	var up sync.RWMutex // a node restarts when nobody is in a room
	var lost atomic.Bool
	lost.Store(true) // nothing is being made
	var mu sync.Mutex
	var wait sync.WaitGroup
	for s := range signers {
		wait.Go(func() {
			r := rand.New(rand.NewPCG(uint64(s), 7))
			for i := 0; i < 2*enough && !t.Failed(); i++ {
				if released, _ := e.count(); released >= enough {
					return
				}
				for try := 0; ; try++ {
					up.RLock()
					for wait := 0; patient && !lost.Swap(false) && wait < 3000 && !w.ready(shares, signers); wait++ {
						time.Sleep(10 * time.Millisecond)
					}
					got, errs := w.sign(shares, fmt.Sprint("message ", s, i), []int{0, 1}, func(_ int, q *mpc.SignRequest) { q.Presign = "default" })
					up.RUnlock()
					if err := errors.Join(errs...); err == nil {
						mu.Lock()
						all = append(all, got[0])
						mu.Unlock()
						break
					} else if try == 5 {
						t.Error(err)
						break
					}
				}
				switch node := r.IntN(2); r.IntN(50) {
				case 0:
					up.Lock()
					w.rooms[node].Close()
					w.rooms[node] = w.boot(node, e)
					lost.Store(true)
					up.Unlock()
				case 1:
					up.Lock()
					e.die(node)
					lost.Store(true)
					up.Unlock()
				}
			}
		})
	}
	wait.Wait()
	return all
}

// ready tells whether both nodes have so many half-done signatures.
func (w *world) ready(shares []*mpc.Share, n int) bool {
	return w.rooms[0].Presigned(shares[0].KeyTag()) >= n && w.rooms[1].Presigned(shares[1].KeyTag()) >= n
}

func TestNonceSignsOneMessage(t *testing.T) {
	fake := newFakeEngine()
	for name, c := range map[string]struct {
		engine            mpc.Engine
		signers, releases int
		patient           bool
	}{
		"fake": {fake, 4, 1000, false},
		"real": {engine.New(), 2, 200, true},
	} {
		t.Run(name, func(t *testing.T) {
			if testing.Short() && name == "real" {
				c.releases /= 10
			}
			e := witness(c.engine)
			w := newWorldOf(t, 2, e, name == "real")
			w.engine = fake
			shares := mpctest.Key(t, keys.Secp256k1)[:2]
			start := time.Now()
			signatures := crowd(t, w, e, shares, c.signers, c.releases, c.patient)
			nonces := map[string]bool{}
			for _, sig := range signatures {
				nonces[string(sig[:32])] = true
			}
			released, differ := e.count()
			t.Logf("%d signatures with %d releases in %v", len(signatures), released, time.Since(start))
			if len(nonces) != len(signatures) || e.twice > 0 || differ > 0 {
				t.Errorf("%d nonces in %d signatures, %d finished twice, %d with two digests", len(nonces), len(signatures), e.twice, differ)
			}
			if released < c.releases {
				t.Errorf("%d releases", released)
			}
		})
	}
}
