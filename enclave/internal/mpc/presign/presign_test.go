package presign

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func all(Key) bool { return true }

// A fate counts how often an entry left its pool.
type fate struct{ released, dropped atomic.Int32 }

// A node is a pool that is closed and replaced now and then, as by a restart.
type node struct {
	pool     atomic.Pointer[Pool[*fate]]
	made     atomic.Int64
	released atomic.Int64
	ids      sync.Map // that were released, by any of the pools
	fates    sync.Map // of what was put
}

func (n *node) restart() {
	next := New(Limits{PerKey: 8, Total: 64, Age: time.Hour}, time.Now, func(f *fate) { f.dropped.Add(1) })
	if old := n.pool.Swap(next); old != nil {
		old.Close()
	}
}

// fill puts one entry, sometimes twice and at once.
func (n *node) fill(t *testing.T, r *rand.Rand) {
	var id ID
	binary.BigEndian.PutUint64(id[:], uint64(n.made.Add(1)))
	p, k, f := n.pool.Load(), Key{Quorum: string(rune('a' + r.IntN(8)))}, new(fate)
	if p.Put(k, id, f) != nil {
		return
	}
	n.fates.Store(id, f)
	if r.IntN(4) == 0 && p.Put(k, id, new(fate)) == nil {
		t.Error("an id was put twice")
	}
}

// sign releases what it picks: some requests are cancelled, some retried, also on
// another goroutine.
func (n *node) sign(t *testing.T, r *rand.Rand) {
	p := n.pool.Load()
	for _, id := range p.PickEach(all) {
		if r.IntN(5) == 0 {
			p.Release(id)
			continue
		}
		var retries sync.WaitGroup
		if r.IntN(8) == 0 {
			retries.Go(func() { n.take(t, p, id) })
		}
		for range 1 + r.IntN(3) {
			n.take(t, p, id)
		}
		p.Release(id)
		retries.Wait()
		if p.Put(Key{}, id, new(fate)) == nil {
			t.Error("an id was put again after it was taken")
		}
	}
}

func (n *node) take(t *testing.T, p *Pool[*fate], id ID) {
	f, ok := p.Take(id)
	if !ok {
		return
	}
	n.released.Add(1)
	f.released.Add(1)
	if _, twice := n.ids.LoadOrStore(id, true); twice {
		t.Error("an id was released twice")
	}
}

func TestNoEntryIsReleasedTwice(t *testing.T) {
	const releases = 100_000
	n := new(node)
	n.restart()
	var wait sync.WaitGroup
	for w := range 8 {
		wait.Go(func() {
			r := rand.New(rand.NewPCG(uint64(w), 1))
			for n.released.Load() < releases {
				n.fill(t, r)
				n.sign(t, r)
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
	n.restart()
	n.fates.Range(func(_, v any) bool {
		if f := v.(*fate); f.released.Load()+f.dropped.Load() != 1 {
			t.Errorf("an entry was released %d times and dropped %d times", f.released.Load(), f.dropped.Load())
		}
		return true
	})
}

func TestCloseLeavesNothingBehind(t *testing.T) {
	for range 200 {
		p := New(Limits{PerKey: 8, Total: 8, Age: time.Hour}, time.Now, func(*fate) {})
		var wait sync.WaitGroup
		for i := range 4 {
			wait.Go(func() { _ = p.Put(Key{}, ID{byte(i)}, new(fate)) })
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
	p := New(Limits{PerKey: 1, Total: 2, Age: time.Hour}, time.Now, func(int) { dropped++ })
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
	p := New(Limits{PerKey: 4, Total: 4, Age: time.Minute}, func() time.Time { return now }, func(v int) { dropped = append(dropped, v) })
	_ = p.Put(Key{Path: "a"}, ID{1}, 1)
	_ = p.Put(Key{Path: "b"}, ID{2}, 2)
	picked := p.PickEach(func(k Key) bool { return k.Path == "a" })
	if picked[Key{Path: "a"}] != (ID{1}) || len(p.PickEach(func(k Key) bool { return k.Path == "a" })) != 0 {
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
