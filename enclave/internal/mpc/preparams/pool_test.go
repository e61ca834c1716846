package preparams

import (
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport/sallyport/enclave/internal/codec"
	"github.com/sallyport/sallyport/enclave/internal/keys"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
)

var (
	_     mpc.PreParams = (*Pool)(nil)
	quiet               = slog.New(slog.DiscardHandler)
)

// counter makes sets that are their number, after a pause.
type counter struct {
	made  atomic.Uint64
	pause time.Duration
}

func (c *counter) generate(ctx context.Context) (*Set, error) {
	if c.pause > 0 {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(c.pause):
		}
	}
	return &Set{Alpha: binary.BigEndian.AppendUint64(nil, c.made.Add(1))}, nil
}

func numberOf(s *keys.Secret) uint64 {
	var set Set
	_ = codec.Decode(s.Expose(), &set)
	return binary.BigEndian.Uint64(set.Alpha)
}

func TestPoolGivesEachSetOnce(t *testing.T) {
	const takes = 20_000
	c := &counter{}
	p := newPool(3, quiet, c.generate)
	defer p.Close()
	var seen sync.Map
	var taken, given atomic.Int64
	var wait sync.WaitGroup
	for w := range 8 {
		wait.Go(func() {
			r := rand.New(rand.NewPCG(uint64(w), 5))
			for taken.Add(1) <= takes {
				ctx, cancel := context.WithCancel(t.Context())
				switch r.IntN(4) {
				case 0:
					cancel() // before
				case 1:
					go cancel() // while it waits, or after
				}
				s, err := p.Take(ctx)
				cancel()
				if err != nil {
					if !errors.Is(err, context.Canceled) || s != nil {
						t.Errorf("%v", err)
					}
					continue
				}
				given.Add(1)
				if _, twice := seen.LoadOrStore(numberOf(s), true); twice {
					t.Error("a set was given twice")
				}
				s.Erase()
			}
		})
	}
	wait.Wait()
	// None is lost either: what was made is given, ready, or in the making.
	ready, _ := p.Status()
	if lost := int64(c.made.Load()) - given.Load() - int64(ready); lost < 0 || lost > 3 {
		t.Errorf("%d made, %d given, %d ready", c.made.Load(), given.Load(), ready)
	}
}

func TestPoolFillsAndStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &counter{pause: time.Second}
		p := newPool(2, quiet, c.generate)
		defer p.Close()
		if ready, wanted := p.Status(); ready != 0 || wanted != 2 {
			t.Errorf("at first %d of %d", ready, wanted)
		}
		time.Sleep(time.Minute)
		if ready, _ := p.Status(); ready != 2 || c.made.Load() != 2 {
			t.Errorf("%d ready, %d made", ready, c.made.Load())
		}
		s, err := p.Take(t.Context())
		if err != nil || numberOf(s) != 1 {
			t.Errorf("not the oldest: %v", err)
		}
		time.Sleep(time.Minute)
		if ready, _ := p.Status(); ready != 2 || c.made.Load() != 3 {
			t.Errorf("%d ready, %d made", ready, c.made.Load())
		}
	})
}

func TestPoolServesInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &counter{pause: time.Second}
		p := newPool(0, quiet, c.generate) // makes sets on demand
		defer p.Close()
		var mu sync.Mutex
		var order []int
		for i := range 4 {
			go func() {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if i == 1 { // leaves the queue, and its place with it
					time.AfterFunc(time.Second/2, cancel)
				}
				s, err := p.Take(ctx)
				if i == 1 {
					if !errors.Is(err, context.Canceled) {
						t.Errorf("cancelled: %v", err)
					}
					return
				}
				mu.Lock()
				defer mu.Unlock()
				order = append(order, i, int(numberOf(s)))
			}()
			synctest.Wait()
		}
		time.Sleep(time.Minute)
		mu.Lock()
		defer mu.Unlock()
		if want := [6]int{0, 1, 2, 2, 3, 3}; len(order) != 6 || [6]int(order) != want {
			t.Errorf("%v, want %v", order, want)
		}
		if ready, wanted := p.Status(); ready != 0 || wanted != 0 {
			t.Errorf("%d of %d", ready, wanted)
		}
	})
}

func TestPoolCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &counter{pause: time.Second}
		p := newPool(2, quiet, c.generate)
		time.Sleep(time.Minute)
		p.mu.Lock()
		kept := p.ready[0]
		p.mu.Unlock()
		for range 2 {
			if _, err := p.Take(t.Context()); err != nil {
				t.Error(err)
			}
		}
		refused := make(chan error)
		go func() {
			_, err := p.Take(t.Context())
			refused <- err
		}()
		time.Sleep(time.Second / 2)
		p.Close()
		p.Close()
		if err := <-refused; !errors.Is(err, ErrClosed) {
			t.Errorf("who waited: %v", err)
		}
		if _, err := p.Take(t.Context()); !errors.Is(err, ErrClosed) {
			t.Errorf("afterwards: %v", err)
		}
		if kept.Expose() == nil {
			t.Error("a set that was given away is wiped")
		}
	})
}

func TestPoolWipesWhatIsReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(1, quiet, (&counter{}).generate)
		synctest.Wait()
		secret := p.ready[0]
		p.Close()
		if secret.Expose() != nil {
			t.Error("a set outlives the pool")
		}
	})
}

func TestPoolGoesOnAfterAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &counter{}
		failures := 2
		p := newPool(1, quiet, func(ctx context.Context) (*Set, error) {
			if failures--; failures >= 0 {
				return nil, errors.New("no random bytes")
			}
			return c.generate(ctx)
		})
		defer p.Close()
		if _, err := p.Take(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
