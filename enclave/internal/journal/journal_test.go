package journal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestEntriesGoInOneAppendWhileTheHostIsBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		j := mustOpen(t, s)
		defer j.Close()
		release := make(chan struct{})
		s.set(func(_ context.Context, _ uint64, records [][]byte) (int, error) {
			<-release
			return len(records), nil
		}, nil)
		tickets := []Ticket{mustPropose(t, j, "first")}
		synctest.Wait() // the host holds the first
		for i := range maxBatchRecords + 10 {
			tickets = append(tickets, mustPropose(t, j, fmt.Sprint(i)))
		}
		close(release)
		if err := j.Barrier(t.Context()); err != nil {
			t.Fatal(err)
		}
		if want := []int{1, maxBatchRecords, 10}; !slices.Equal(s.sizes, want) {
			t.Errorf("appends had %v records, want %v", s.sizes, want)
		}
		checkLog(t, j, s, tickets)
	})
}

func TestAppendsStayBelowTheFrameLimit(t *testing.T) {
	s := newStore(t) // fails the test when an append is too large
	j := mustOpen(t, s)
	tickets := []Ticket{}
	for _, size := range []int{MaxBody, 1, MaxBody / 2, MaxBody / 2, MaxBody, 0, MaxBody} {
		ticket, err := j.Propose(1, func(uint64, int64) ([]byte, error) { return make([]byte, size), nil })
		if err != nil {
			t.Fatal(err)
		}
		tickets = append(tickets, ticket)
	}
	if _, err := j.Propose(1, func(uint64, int64) ([]byte, error) { return make([]byte, MaxBody+1), nil }); err == nil {
		t.Error("a body over the limit is accepted")
	}
	if err := j.Barrier(t.Context()); err != nil {
		t.Fatal(err)
	}
	checkLog(t, j, s, tickets)
}

func TestTooMuchWaitingIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		j := mustOpen(t, s)
		defer j.Close()
		s.set(func(context.Context, uint64, [][]byte) (int, error) { return 0, errLost }, nil)
		var tickets []Ticket
		for {
			ticket, err := j.Propose(1, func(uint64, int64) ([]byte, error) { return make([]byte, 100_000), nil })
			if errors.Is(err, ErrBusy) {
				break
			}
			if err != nil || len(tickets) > 1000 {
				t.Fatalf("%d entries wait, %v", len(tickets), err)
			}
			tickets = append(tickets, ticket)
		}
		s.set(nil, nil)
		if err := j.Barrier(t.Context()); err != nil {
			t.Fatal(err)
		}
		tickets = append(tickets, mustPropose(t, j, "welcome again"))
		if err := j.Barrier(t.Context()); err != nil {
			t.Fatal(err)
		}
		checkLog(t, j, s, tickets)
	})
}

func TestTicketsDoNotKeepRecords(t *testing.T) {
	j := mustOpen(t, newStore(t))
	for _, ticket := range mustAppend(t, j, 3) {
		if ticket.batch.records != nil {
			t.Errorf("ticket %d keeps its batch in memory", ticket.Index)
		}
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.queue) != 0 || j.waiting != 0 {
		t.Errorf("%d batches with %d bytes wait after all is durable", len(j.queue), j.waiting)
	}
}

func TestFailedBodyLeavesNoEntry(t *testing.T) {
	s := newStore(t)
	j := mustOpen(t, s)
	tickets := mustAppend(t, j, 1)
	refused := errors.New("refused")
	if _, err := j.Propose(1, func(uint64, int64) ([]byte, error) { return nil, refused }); !errors.Is(err, refused) {
		t.Errorf("got %v, want the body's own error", err)
	}
	func() {
		defer func() { _ = recover() }()
		j.Propose(1, func(uint64, int64) ([]byte, error) { panic("in the body") })
	}()
	tickets = append(tickets, mustAppend(t, j, 1)...)
	if tickets[1].Index != 1 {
		t.Errorf("next entry has index %d, want 1", tickets[1].Index)
	}
	checkLog(t, j, s, tickets)
}

func TestBodyKnowsItsIndexAndTime(t *testing.T) {
	s := newStore(t)
	j := mustOpen(t, s)
	for want := range uint64(3) {
		ticket, err := j.Propose(7, func(index uint64, timeMs int64) ([]byte, error) {
			return fmt.Append(nil, index, timeMs), nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := j.Wait(t.Context(), ticket); err != nil {
			t.Fatal(err)
		}
		e, err := j.Read(t.Context(), ticket.Index, ticket.Leaf)
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(want, testNow().UnixMilli()); string(e.Body) != got || e.Kind != 7 || e.Index != want {
			t.Errorf("entry is %+v, want body %q", e, got)
		}
	}
}

func TestTimeNeverGoesBack(t *testing.T) {
	s := newStore(t)
	at := time.UnixMilli(5000)
	open := func() *Journal {
		j, err := Open(t.Context(), s, testSealer(), func() time.Time { return at }, func(Entry) error { return nil })
		if err != nil {
			t.Fatal(err)
		}
		return j
	}
	j := open()
	for _, test := range []struct{ now, want int64 }{{5000, 5000}, {4000, 5000}, {6000, 6000}, {0, 6000}} {
		at = time.UnixMilli(test.now)
		if got := mustAppend(t, j, 1)[0].TimeMs; got != test.want {
			t.Errorf("at %d the entry's time is %d, want %d", test.now, got, test.want)
		}
	}
	j.Close()
	j = open() // also after a restart
	defer j.Close()
	if got := mustAppend(t, j, 1)[0].TimeMs; got != 6000 {
		t.Errorf("after a restart the entry's time is %d, want 6000", got)
	}
}

func TestEpochNeverGoesDown(t *testing.T) {
	s := newStore(t)
	j := mustOpen(t, s)
	if err := j.SetEpoch(4); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, j, 1)
	if err := j.SetEpoch(3); err == nil {
		t.Error("a lower epoch is accepted")
	}
	if entries, _, _ := replayed(t, s); entries[0].Epoch != 4 {
		t.Errorf("epoch is %d, want 4", entries[0].Epoch)
	}
	if err := mustOpen(t, s.fork(1)).SetEpoch(3); err == nil {
		t.Error("a lower epoch is accepted after a restart")
	}
}

func TestCancelledWaiterLeavesItsEntry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		j := mustOpen(t, s)
		defer j.Close()
		release := make(chan struct{})
		s.set(func(_ context.Context, _ uint64, records [][]byte) (int, error) {
			<-release
			return len(records), nil
		}, nil)
		ticket := mustPropose(t, j, "abandoned")
		ctx, cancel := context.WithCancel(t.Context())
		results := make(chan error, 2)
		go func() { results <- j.Wait(ctx, ticket) }()
		go func() { results <- j.Barrier(ctx) }()
		synctest.Wait()
		cancel()
		for range 2 {
			if err := <-results; !errors.Is(err, context.Canceled) {
				t.Errorf("got %v, want context.Canceled", err)
			}
		}
		close(release)
		if err := j.Wait(t.Context(), ticket); err != nil {
			t.Error(err)
		}
		if err := j.Wait(ctx, ticket); err != nil {
			t.Errorf("a durable entry is denied to an ended context: %v", err)
		}
		checkLog(t, j, s, []Ticket{ticket})
	})
}

func TestCloseFailsThoseWhoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		j := mustOpen(t, s)
		s.set(func(ctx context.Context, _ uint64, _ [][]byte) (int, error) {
			<-ctx.Done()
			return 0, ctx.Err()
		}, func(ctx context.Context, _ uint64, _ int, _ [][]byte) ([][]byte, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		})
		ticket := mustPropose(t, j, "in flight")
		waited := make(chan error)
		go func() { waited <- j.Wait(t.Context(), ticket) }()
		synctest.Wait()
		j.Close()
		if err := <-waited; !errors.Is(err, ErrClosed) {
			t.Errorf("Wait gives %v, want ErrClosed", err)
		}
		if _, err := j.Propose(1, body("late")); !errors.Is(err, ErrClosed) {
			t.Errorf("Propose gives %v, want ErrClosed", err)
		}
		if err := j.Barrier(t.Context()); !errors.Is(err, ErrClosed) {
			t.Errorf("Barrier gives %v, want ErrClosed", err)
		}
		j.Close() // again is harmless
	})
}

func TestEmptyTicketIsNeverDurable(t *testing.T) {
	if err := mustOpen(t, newStore(t)).Wait(t.Context(), Ticket{}); err == nil {
		t.Error("an empty ticket is durable")
	}
}
