package preparams

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/sallyport/sallyport/enclave/internal/keys"
)

// ErrClosed is what [Pool.Take] returns after [Pool.Close].
var ErrClosed = errors.New("preparams: the pool is closed")

// retryAfter is the pause after a set could not be made: no random bytes.
const retryAfter = time.Second

// A Pool makes sets ahead of time and gives each out once. Sets are in memory
// only: none survives its boot. It is safe for concurrent use.
type Pool struct {
	size     int
	log      *slog.Logger
	generate func(context.Context) (*Set, error)
	stop     context.CancelFunc
	filler   sync.WaitGroup
	wake     chan struct{} // holds one: there may be work

	// mu guards what follows. While somebody waits, ready is empty.
	mu      sync.Mutex
	ready   []*keys.Secret
	waiting []chan *keys.Secret // first come, first served; each has room for one
	closed  bool
}

// NewPool begins to make sets, until size of them are ready, and again when
// one is taken. It has one thread for this, of the lowest priority.
func NewPool(size int, log *slog.Logger) *Pool {
	return newPool(size, log, func(ctx context.Context) (*Set, error) { return Generate(ctx, rand.Reader) })
}

func newPool(size int, log *slog.Logger, generate func(context.Context) (*Set, error)) *Pool {
	ctx, stop := context.WithCancel(context.Background())
	p := &Pool{size: size, log: log, generate: generate, stop: stop, wake: make(chan struct{}, 1)}
	p.filler.Go(func() { p.fill(ctx) })
	p.poke()
	return p
}

// Take returns a set that nobody else gets: one that is ready, or the next one
// when all who came before have theirs. The caller erases it. Errors are the
// context's and [ErrClosed].
func (p *Pool) Take(ctx context.Context) (*keys.Secret, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil, ErrClosed
	}
	defer p.poke()
	if len(p.ready) > 0 {
		s := p.ready[0]
		p.ready = slices.Delete(p.ready, 0, 1)
		p.mu.Unlock()
		return s, nil
	}
	turn := make(chan *keys.Secret, 1)
	p.waiting = append(p.waiting, turn)
	p.mu.Unlock()
	select {
	case s, ok := <-turn:
		if !ok {
			return nil, ErrClosed
		}
		return s, nil
	case <-ctx.Done():
		p.leave(turn)
		return nil, ctx.Err()
	}
}

// leave gives up a place in the queue. The set that may have come meanwhile
// goes to the next.
func (p *Pool) leave(turn chan *keys.Secret) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := slices.Index(p.waiting, turn); i >= 0 {
		p.waiting = slices.Delete(p.waiting, i, i+1)
		return
	}
	if s, ok := <-turn; ok {
		p.give(s)
	}
}

// give hands a set to who waits first, or keeps it. The caller holds mu.
func (p *Pool) give(s *keys.Secret) {
	switch {
	case p.closed:
		s.Erase()
	case len(p.waiting) > 0:
		p.waiting[0] <- s
		p.waiting = slices.Delete(p.waiting, 0, 1)
	default:
		p.ready = append(p.ready, s)
	}
}

// Status returns how many sets are ready, and how many the pool keeps.
func (p *Pool) Status() (ready, wanted int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.ready), p.size
}

// Close ends the work, wipes what is ready and sends those away who wait. It
// may be called again.
func (p *Pool) Close() {
	p.mu.Lock()
	p.closed = true
	for _, s := range p.ready {
		s.Erase()
	}
	for _, turn := range p.waiting {
		close(turn)
	}
	p.ready, p.waiting = nil, nil
	p.mu.Unlock()
	p.stop()
	p.filler.Wait()
}

// poke tells the filler to look again.
func (p *Pool) poke() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// short reports whether a set should be made.
func (p *Pool) short() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.ready) < p.size+len(p.waiting)
}

// fill makes sets, one after the other, on a thread that gives way to all
// others: a keygen that waits is idle, but a signature must not be slower for
// a key that nobody has asked for.
func (p *Pool) fill(ctx context.Context) {
	if err := lowerPriority(); err != nil {
		p.log.Warn("parameters are made at normal priority", "err", err)
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.wake:
		}
		for p.short() && ctx.Err() == nil {
			p.one(ctx)
		}
	}
}

// one makes one set and gives it away.
func (p *Pool) one(ctx context.Context) {
	began := time.Now()
	set, err := p.generate(ctx)
	switch {
	case ctx.Err() != nil:
		set.Erase()
	case err != nil:
		p.log.Error("cannot make parameters", "err", err)
		select {
		case <-ctx.Done():
		case <-time.After(retryAfter):
		}
	default:
		secret := set.Encode()
		set.Erase()
		p.mu.Lock()
		p.give(secret)
		ready := len(p.ready)
		p.mu.Unlock()
		p.log.Info("parameters made", "ready", ready, "wanted", p.size, "took", time.Since(began))
	}
}
