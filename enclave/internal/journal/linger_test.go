package journal

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// countingStore counts the appends of a store.
type countingStore struct {
	*hostileStore
	appends int
}

func (s *countingStore) Append(ctx context.Context, index uint64, records [][]byte) error {
	s.appends++
	return s.hostileStore.Append(ctx, index, records)
}

func TestAnnouncedEntriesShareAnAppend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &countingStore{hostileStore: newStore(t)}
		j := mustOpen(t, s)
		var done []func()
		for range 3 {
			done = append(done, j.Announce())
		}
		var last Ticket
		for i := range done {
			last = mustPropose(t, j, "x")
			synctest.Wait()
			if i == 0 && s.appends != 0 {
				t.Error("the first entry was written alone although two more were announced")
			}
		}
		for _, f := range done {
			f()
		}
		if err := j.Wait(t.Context(), last); err != nil {
			t.Fatal(err)
		}
		if s.appends != 1 {
			t.Errorf("%d appends for three announced entries", s.appends)
		}
	})
}

func TestWhatWasAnnouncedAndNeverCameDelaysLittle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := mustOpen(t, newStore(t))
		for range 100 {
			defer j.Announce()()
		}
		start := time.Now()
		if err := j.Wait(t.Context(), mustPropose(t, j, "x")); err != nil {
			t.Fatal(err)
		}
		if waited := time.Since(start); waited > maxLinger {
			t.Errorf("waited %v", waited)
		}
	})
}

func TestACallerAloneNeverWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := mustOpen(t, newStore(t))
		done := j.Announce()
		start := time.Now()
		ticket := mustPropose(t, j, "x")
		if err := j.Wait(t.Context(), ticket); err != nil {
			t.Fatal(err)
		}
		done()
		if waited := time.Since(start); waited != 0 {
			t.Errorf("waited %v", waited)
		}
	})
}
