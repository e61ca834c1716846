package presign

import (
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func all(Key) bool { return true }

func TestNoEntryIsReleasedTwice(t *testing.T) {
	const releases = 100_000
	p := New(Limits{PerKey: 8, Total: 64, Age: time.Hour}, time.Now, func(*atomic.Int32) {})
	var made, released atomic.Int64
	var wait sync.WaitGroup
	for w := range 8 {
		wait.Go(func() {
			r := rand.New(rand.NewPCG(uint64(w), 1))
			for released.Load() < releases {
				n := made.Add(1)
				id := ID{byte(n), byte(n >> 8), byte(n >> 16), byte(n >> 24)}
				k := Key{Quorum: string(rune('a' + r.IntN(8)))}
				uses := new(atomic.Int32)
				if p.Put(k, id, uses) == nil && r.IntN(4) == 0 {
					if p.Put(k, id, new(atomic.Int32)) == nil {
						t.Error("an id was taken twice")
					}
				}
				for _, got := range p.PickEach(all) {
					if r.IntN(5) == 0 { // the request is cancelled
						p.Release(got)
						continue
					}
					for range 1 + r.IntN(3) { // and retried
						if v, ok := p.Take(got); ok {
							released.Add(1)
							if v.Add(1) != 1 {
								t.Error("an entry was released twice")
							}
						}
					}
				}
				if r.IntN(1000) == 0 { // the key has changed
					p.DropWhere(all)
				}
			}
		})
	}
	wait.Wait()
	if released.Load() < releases {
		t.Errorf("only %d releases", released.Load())
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
