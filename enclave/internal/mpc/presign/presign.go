// Package presign keeps half-done signatures: sessions that have done all that
// does not need the message. One that signed two messages would give the key
// away, so the one promise of a pool is that an entry leaves it once. Entries
// are in memory only; none survives its boot.
package presign

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"sync"
	"time"
)

// A Key says what a half-done signature may be used for.
type Key struct {
	Tag    [32]byte // of the key version
	Quorum string   // the parties, in order
	Path   string   // of derivation
	Policy string   // under which it was made
}

// Limits of a pool.
type Limits struct {
	PerKey int           // entries of one Key
	Total  int           // of all
	Age    time.Duration // after which an entry is dropped
}

// Refusals of [Pool.Put].
var (
	ErrSeen = errors.New("presign: an entry with this id was here before")
	ErrFull = errors.New("presign: the pool is full")
)

// An ID names an entry, the same at all parties.
type ID = [16]byte

// A Pool is safe for concurrent use.
type Pool[T any] struct {
	limits Limits
	now    func() time.Time
	usable func(T) bool
	drop   func(T)

	mu      sync.Mutex
	entries map[ID]*entry[T]
	order   []ID // oldest first; may name entries that are gone
	seen    map[ID]struct{}
	closed  bool
}

type entry[T any] struct {
	key   Key
	value T
	made  time.Time
	aside bool // picked
}

// New makes a pool. An entry that is not usable any more is dropped; drop is
// called for each that leaves otherwise than by Take. Both are called under the
// pool's lock: they must not call the pool.
func New[T any](l Limits, now func() time.Time, usable func(T) bool, drop func(T)) *Pool[T] {
	return &Pool[T]{limits: l, now: now, usable: usable, drop: drop, entries: map[ID]*entry[T]{}, seen: map[ID]struct{}{}}
}

// Put adds an entry; when the pool is full of others, the oldest of them makes
// room. An id that was ever here is refused, also after its entry has left.
func (p *Pool[T]) Put(k Key, id ID, v T) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, ok := p.seen[id]; ok {
		return ErrSeen
	}
	p.expire()
	same := 0
	for _, e := range p.entries {
		if e.key == k {
			same++
		}
	}
	if p.closed || same >= p.limits.PerKey || (len(p.entries) >= p.limits.Total && !p.evict()) {
		return ErrFull
	}
	p.seen[id] = struct{}{}
	p.entries[id] = &entry[T]{key: k, value: v, made: p.now()}
	p.order = append(p.order, id)
	return nil
}

// evict drops the oldest entry that is not set aside.
func (p *Pool[T]) evict() bool {
	for _, id := range p.order {
		if e := p.entries[id]; e != nil && !e.aside {
			delete(p.entries, id)
			p.drop(e.value)
			return true
		}
	}
	return false
}

// List names the entries whose key matches, also those that are set aside.
func (p *Pool[T]) List(match func(Key) bool) map[ID]Key {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.expire()
	out := map[ID]Key{}
	for id, e := range p.entries {
		if match(e.key) {
			out[id] = e.key
		}
	}
	return out
}

// DropAmong drops those of some entries that nobody has set aside.
func (p *Pool[T]) DropAmong(ids []ID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, id := range ids {
		if e := p.entries[id]; e != nil && !e.aside {
			delete(p.entries, id)
			p.drop(e.value)
		}
	}
}

// PickEach sets aside one entry of each key that matches: the one that the seed
// leads to, so that parties with the same entries and seed pick the same, whatever
// else they pick at that time. Nobody else gets it until it is released;
// [Pool.Take] takes it out.
func (p *Pool[T]) PickEach(match func(Key) bool, seed []byte) map[Key]ID {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.expire()
	out := map[Key]ID{}
	least := map[Key][32]byte{}
	for id, e := range p.entries {
		if e.aside || !match(e.key) {
			continue
		}
		far := sha256.Sum256(append(id[:], seed...))
		if best, ok := least[e.key]; !ok || bytes.Compare(far[:], best[:]) < 0 {
			out[e.key], least[e.key] = id, far
		}
	}
	for _, id := range out {
		p.entries[id].aside = true
	}
	return out
}

// Release gives back an entry that was set aside, if it is still here.
func (p *Pool[T]) Release(id ID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if e := p.entries[id]; e != nil {
		e.aside = false
	}
}

// Take takes an entry out. It succeeds at most once for an id.
func (p *Pool[T]) Take(id ID) (v T, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.expire()
	e := p.entries[id]
	if e == nil {
		return v, false
	}
	delete(p.entries, id)
	return e.value, true
}

// DropWhere drops the entries whose key matches, and returns how many.
func (p *Pool[T]) DropWhere(match func(Key) bool) (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.dropWhere(match)
}

func (p *Pool[T]) dropWhere(match func(Key) bool) (n int) {
	for id, e := range p.entries {
		if match(e.key) {
			delete(p.entries, id)
			p.drop(e.value)
			n++
		}
	}
	return n
}

// CountWhere counts the entries whose key matches.
func (p *Pool[T]) CountWhere(match func(Key) bool) (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.expire()
	for _, e := range p.entries {
		if match(e.key) {
			n++
		}
	}
	return n
}

// Close drops everything; nothing can be put afterwards.
func (p *Pool[T]) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	p.dropWhere(func(Key) bool { return true })
}

// expire drops what is too old and forgets the order of what is gone.
func (p *Pool[T]) expire() {
	oldest := p.now().Add(-p.limits.Age)
	kept := p.order[:0]
	for _, id := range p.order {
		e := p.entries[id]
		switch {
		case e == nil:
		case !e.aside && (e.made.Before(oldest) || !p.usable(e.value)):
			delete(p.entries, id)
			p.drop(e.value)
		default:
			kept = append(kept, id)
		}
	}
	p.order = kept
}
