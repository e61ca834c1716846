package presign

import (
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/enclave/internal/keys"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
)

func all(Key) bool { return true }

func usable[T any](T) bool { return true }

// An engine that signs as often as it is asked: only the pool keeps a nonce from
// signing twice. The nonce is the session's id.
type engine struct {
	made     atomic.Uint64
	released atomic.Int64
	digests  sync.Map // what a nonce has signed, by nonce
	t        *testing.T
}

var _ mpc.Engine = (*engine)(nil)

func (e *engine) Check(mpc.Op, keys.Curve) error { return nil }

func (e *engine) Start(_ context.Context, s *mpc.Setup) (mpc.Session, error) {
	events := make(chan mpc.Event)
	return &session{engine: e, nonce: s.Session, events: events}, nil
}

type session struct {
	engine *engine
	nonce  [32]byte
	events chan mpc.Event
	once   sync.Once
	closed atomic.Bool
}

func (s *session) Deliver(int, bool, []byte) {}

func (s *session) Events() <-chan mpc.Event { return s.events }

func (s *session) Close() {
	s.closed.Store(true)
	s.once.Do(func() { close(s.events) })
}

func (s *session) Finish(digest []byte) error {
	if s.closed.Load() {
		s.engine.t.Error("released and dropped")
	}
	s.engine.released.Add(1)
	if first, again := s.engine.digests.LoadOrStore(s.nonce, string(digest)); again {
		s.engine.t.Errorf("a nonce signed %x and %x", first, digest)
	}
	return nil
}

func alive(s mpc.Session) bool {
	select {
	case <-s.Events():
		return false
	default:
		return true
	}
}

// A node is a pool that is closed and replaced now and then, as by a restart.
type node struct {
	engine *engine
	pool   atomic.Pointer[Pool[mpc.Session]]
}

func (n *node) restart() {
	next := New(Limits{PerKey: 8, Total: 32, Age: time.Hour}, time.Now, alive, mpc.Session.Close)
	if old := n.pool.Swap(next); old != nil {
		old.Close()
	}
}

func (n *node) start(id ID) mpc.Session {
	s, err := n.engine.Start(n.engine.t.Context(), &mpc.Setup{Op: mpc.OpPresign, Session: [32]byte(append(id[:], id[:]...))})
	if err != nil {
		n.engine.t.Error(err)
	}
	return s
}

// fill puts one entry, sometimes twice and at once, and sometimes one whose
// engine dies.
func (n *node) fill(r *rand.Rand) {
	var id ID
	binary.BigEndian.PutUint64(id[:], n.engine.made.Add(1))
	p, k, s := n.pool.Load(), Key{Quorum: string(rune('a' + r.IntN(8)))}, n.start(id)
	if p.Put(k, id, s) != nil {
		return
	}
	if r.IntN(4) == 0 && p.Put(k, id, n.start(id)) == nil {
		n.engine.t.Error("an id was put twice")
	}
	if r.IntN(64) == 0 {
		var dead ID
		binary.BigEndian.PutUint64(dead[8:], n.engine.made.Add(1))
		s := n.start(dead)
		s.Close()
		if p.Put(k, dead, s) == nil && len(p.List(func(Key) bool { return true })) > 32 {
			n.engine.t.Error("more than the pool holds")
		}
	}
}

// sign releases what it picks: some requests are cancelled, some retried for
// another message, also on another goroutine.
func (n *node) sign(r *rand.Rand) {
	p := n.pool.Load()
	for _, id := range p.PickEach(all, []byte{byte(r.Uint32())}) {
		if r.IntN(5) == 0 {
			p.Release(id)
			continue
		}
		var retries sync.WaitGroup
		if r.IntN(8) == 0 {
			retries.Go(func() { n.release(p, id, 0) })
		}
		for i := range 1 + r.IntN(3) {
			n.release(p, id, byte(i+1))
		}
		p.Release(id)
		retries.Wait()
		if p.Put(Key{}, id, n.start(id)) == nil {
			n.engine.t.Error("an id was put again after it was taken")
		}
	}
}

func (n *node) release(p *Pool[mpc.Session], id ID, message byte) {
	if s, ok := p.Take(id); ok {
		if err := s.Finish([]byte{message}); err != nil {
			n.engine.t.Error(err)
		}
	}
}

func TestNoEntryIsReleasedTwice(t *testing.T) {
	const releases = 100_000
	n := &node{engine: &engine{t: t}}
	n.restart()
	var wait sync.WaitGroup
	for w := range 8 {
		wait.Go(func() {
			r := rand.New(rand.NewPCG(uint64(w), 1))
			for n.engine.released.Load() < releases {
				n.fill(r)
				n.sign(r)
				switch r.IntN(2000) {
				case 0:
					n.restart()
				case 1: // the key has changed
					n.pool.Load().DropWhere(all)
				}
			}
		})
	}
	wait.Wait()
}

func TestCloseLeavesNothingBehind(t *testing.T) {
	for range 200 {
		p := New(Limits{PerKey: 8, Total: 8, Age: time.Hour}, time.Now, usable, func(int) {})
		var wait sync.WaitGroup
		for i := range 4 {
			wait.Go(func() { _ = p.Put(Key{}, ID{byte(i)}, 0) })
		}
		wait.Go(p.Close)
		wait.Wait()
		if n := p.CountWhere(all); n != 0 {
			t.Fatalf("%d entries after Close", n)
		}
	}
}

func TestRestartForgetsEverything(t *testing.T) {
	var dropped int
	p := New(Limits{PerKey: 1, Total: 2, Age: time.Hour}, time.Now, usable, func(int) { dropped++ })
	if err := errors.Join(p.Put(Key{Path: "a"}, ID{1}, 1), p.Put(Key{Path: "b"}, ID{2}, 2)); err != nil {
		t.Fatal(err)
	}
	if err := p.Put(Key{Path: "a"}, ID{3}, 3); !errors.Is(err, ErrFull) {
		t.Errorf("over the limit: %v", err)
	}
	p.Close()
	if _, ok := p.Take(ID{1}); ok || dropped != 2 {
		t.Errorf("taken after close: %v, dropped %d", ok, dropped)
	}
	if err := p.Put(Key{}, ID{4}, 4); !errors.Is(err, ErrFull) {
		t.Errorf("put after close: %v", err)
	}
}

func TestOldEntriesAreDroppedUnlessSetAside(t *testing.T) {
	now := time.Unix(1000, 0)
	var dropped []int
	p := New(Limits{PerKey: 4, Total: 4, Age: time.Minute}, func() time.Time { return now }, usable, func(v int) { dropped = append(dropped, v) })
	_ = p.Put(Key{Path: "a"}, ID{1}, 1)
	_ = p.Put(Key{Path: "b"}, ID{2}, 2)
	picked := p.PickEach(func(k Key) bool { return k.Path == "a" }, nil)
	if picked[Key{Path: "a"}] != (ID{1}) || len(p.PickEach(func(k Key) bool { return k.Path == "a" }, nil)) != 0 {
		t.Errorf("picked %v", picked)
	}
	now = now.Add(2 * time.Minute)
	if n := p.CountWhere(all); n != 1 || len(dropped) != 1 || dropped[0] != 2 {
		t.Errorf("%d left, dropped %v", n, dropped)
	}
	p.Release(ID{1})
	if _, ok := p.Take(ID{1}); ok {
		t.Error("an entry that was too old when it was given back")
	}
	if err := p.Put(Key{}, ID{1}, 5); !errors.Is(err, ErrSeen) {
		t.Errorf("an id again: %v", err)
	}
}
