package journal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// times makes a hook that misbehaves n times and is honest from then on.
func times(n int, keep int, answer error) func(context.Context, uint64, [][]byte) (int, error) {
	return func(_ context.Context, _ uint64, records [][]byte) (int, error) {
		if n--; n < 0 {
			return len(records), nil
		}
		return min(keep, len(records)), answer
	}
}

func TestAppendFaultsLoseAndRepeatNothing(t *testing.T) {
	const all = maxBatchRecords
	for _, test := range []struct {
		name   string
		keep   int
		answer error
		times  int
	}{
		{"fails", 0, errLost, 1},
		{"fails again and again", 0, errLost, 9},
		{"fails but persists", all, errLost, 1},
		{"persists the first record", 1, errLost, 1},
		{"persists a part each time", 3, errLost, 7},
		{"conflict although persisted", all, errConflict, 1},
		{"conflict although nothing is there", 0, errConflict, 3},
		{"conflict although a part persisted", 2, errConflict, 1},
		{"times out", 0, context.DeadlineExceeded, 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStore(t)
				j := mustOpen(t, s)
				defer j.Close()
				tickets := mustAppend(t, j, 3)
				checkLog(t, j, s, tickets)

				s.set(times(test.times, test.keep, test.answer), nil)
				for range 10 {
					tickets = append(tickets, mustPropose(t, j, "under fire"))
				}
				for _, ticket := range tickets {
					if err := j.Wait(t.Context(), ticket); err != nil {
						t.Error(err)
					}
				}
				checkLog(t, j, s, tickets)
				if err := j.Trouble(); err != nil {
					t.Errorf("trouble after all is well: %v", err)
				}
			})
		})
	}
}

// Any mixture of faults, from many callers at once.
func TestRandomFaultsLoseAndRepeatNothing(t *testing.T) {
	for seed := range uint64(60) {
		synctest.Test(t, func(t *testing.T) {
			s := newStore(t)
			j := mustOpen(t, s)
			defer j.Close()
			random := rand.New(rand.NewPCG(seed, 1)) // used by the writer only
			s.set(func(_ context.Context, _ uint64, records [][]byte) (int, error) {
				switch random.IntN(4) {
				case 0:
					return random.IntN(len(records) + 1), errLost
				case 1:
					return random.IntN(len(records) + 1), errConflict
				}
				return len(records), nil
			}, func(_ context.Context, _ uint64, _ int, honest [][]byte) ([][]byte, error) {
				switch n := len(honest); {
				case random.IntN(3) == 0:
					return nil, errLost
				case n > 1 && random.IntN(2) == 0: // the answer would pass the frame limit
					return honest[:1+random.IntN(n-1)], nil
				}
				return honest, nil
			})

			var (
				mu      sync.Mutex
				tickets []Ticket
				group   sync.WaitGroup
			)
			for caller := range 8 {
				group.Go(func() {
					for n := range 10 {
						ticket, err := j.Propose(1, body(fmt.Sprint(caller, n)))
						if err == nil {
							err = j.Wait(t.Context(), ticket)
						}
						if err != nil {
							t.Error(err)
						}
						if size, _ := j.Head(); size <= ticket.Index {
							t.Errorf("entry %d is released at size %d", ticket.Index, size)
						}
						mu.Lock()
						tickets = append(tickets, ticket)
						mu.Unlock()
					}
				})
			}
			group.Wait()
			s.set(nil, nil)
			checkLog(t, j, s, tickets)
		})
	}
}

// The answer of an append is lost and the host is then away for hours. What was
// sent may or may not be there when it comes back; either way it is there once.
func TestHostThatIsAwayIsWaitedFor(t *testing.T) {
	for _, keep := range []int{0, 1, 5} {
		synctest.Test(t, func(t *testing.T) {
			s := newStore(t)
			j := mustOpen(t, s)
			defer j.Close()
			calls := 0
			s.set(func(_ context.Context, _ uint64, records [][]byte) (int, error) {
				calls++
				return min(keep, len(records)), errLost
			}, func(context.Context, uint64, int, [][]byte) ([][]byte, error) {
				calls++
				return nil, errLost
			})
			var tickets []Ticket
			for range 5 {
				tickets = append(tickets, mustPropose(t, j, "before"))
			}
			<-time.After(3 * time.Hour)
			if size, _ := j.Head(); size != 0 {
				t.Errorf("size is %d while the host is away", size)
			}
			if err := j.Trouble(); err == nil || !strings.Contains(err.Error(), "journal entry 0: connection reset") {
				t.Errorf("trouble is %v", err)
			}
			if calls < 1000 || calls > 12000 {
				t.Errorf("the host was called %d times in 3 hours", calls)
			}
			tickets = append(tickets, mustPropose(t, j, "meanwhile"))

			s.set(nil, nil)
			start := time.Now()
			if err := j.Barrier(t.Context()); err != nil {
				t.Fatal(err)
			}
			if waited := time.Since(start); waited > 2*maxBackoff {
				t.Errorf("it took %v to see that the host is back", waited)
			}
			checkLog(t, j, s, tickets)
		})
	}
}

func TestHostThatHangsIsGivenUpOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		j := mustOpen(t, s)
		defer j.Close()
		s.set(func(ctx context.Context, _ uint64, records [][]byte) (int, error) {
			<-ctx.Done()
			return len(records), ctx.Err()
		}, nil)
		ticket := mustPropose(t, j, "slow")
		start := time.Now()
		if err := j.Wait(t.Context(), ticket); err != nil {
			t.Error(err)
		}
		if waited := time.Since(start); waited != attemptTimeout {
			t.Errorf("waited %v, want %v", waited, attemptTimeout)
		}
		checkLog(t, j, s, []Ticket{ticket})
	})
}

// Another enclave went on with the same journal on a host that lets both.
func TestForkIsStaleForGood(t *testing.T) {
	for _, answer := range []error{errConflict, errLost} {
		synctest.Test(t, func(t *testing.T) {
			s := newStore(t)
			j := mustOpen(t, s)
			defer j.Close()
			tickets := mustAppend(t, j, 2)

			other := mustOpen(t, s.fork(2))
			defer other.Close()
			mustAppend(t, other, 3)
			theirs := other.store.(*hostileStore).records
			s.set(func(_ context.Context, _ uint64, records [][]byte) (int, error) {
				return 0, answer
			}, func(_ context.Context, index uint64, limit int, _ [][]byte) ([][]byte, error) {
				return theirs[index:min(len(theirs), int(index)+limit)], nil
			})
			for _, ticket := range mustProposeTogether(t, j, "ours", "ours", "ours") {
				if err := j.Wait(t.Context(), ticket); !errors.Is(err, ErrStale) {
					t.Errorf("Wait gives %v, want ErrStale", err)
				}
			}
			<-j.Done()
			s.set(nil, nil) // an honest host does not heal it
			if _, err := j.Propose(1, body("more")); !errors.Is(err, ErrStale) {
				t.Errorf("Propose gives %v, want ErrStale", err)
			}
			if err := j.Barrier(t.Context()); !errors.Is(err, ErrStale) {
				t.Errorf("Barrier gives %v, want ErrStale", err)
			}
			if err := j.Err(); err == nil || !strings.HasPrefix(err.Error(), "journal entry 2: ") {
				t.Errorf("Err gives %v, want index 2 named", err)
			}
			if err := j.Wait(t.Context(), tickets[0]); err != nil {
				t.Errorf("what was durable before is denied: %v", err)
			}
			checkLog(t, j, s, tickets)
		})
	}
}

// A host that has lost the end of the journal refuses what would follow it.
// Nothing is released, nothing is written elsewhere, and all goes on once the
// right journal is back.
func TestRolledBackTailHoldsEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		j := mustOpen(t, s)
		defer j.Close()
		tickets := mustAppend(t, j, 5)
		whole := s.records
		s.records = whole[:3]
		tickets = append(tickets, mustPropose(t, j, "after the rollback"))
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if err := j.Wait(ctx, tickets[5]); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want no answer within the hour", err)
		}
		if s.len() != 3 {
			t.Errorf("host has %d records, want 3", s.len())
		}
		s.mu.Lock()
		s.records = whole
		s.mu.Unlock()
		if err := j.Wait(t.Context(), tickets[5]); err != nil {
			t.Error(err)
		}
		checkLog(t, j, s, tickets)
	})
}

// A host that says yes and stores nothing is found out by the next entry, which
// is never released.
func TestHostThatOnlySaysYesIsFoundOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		j := mustOpen(t, s)
		defer j.Close()
		s.set(times(1, 0, nil), nil)
		mustAppend(t, j, 1)
		ticket := mustPropose(t, j, "after the lie")
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if err := j.Wait(ctx, ticket); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want no answer within the hour", err)
		}
		if err := j.Trouble(); !errors.Is(err, errConflict) {
			t.Errorf("trouble is %v, want the host's conflict", err)
		}
	})
}

// What the host answers to a read-back is either our bytes or it is not.
func TestAlteredReadBackIsStale(t *testing.T) {
	alterations := map[string]func(records [][]byte) [][]byte{
		"flips a bit":   func(r [][]byte) [][]byte { r[1] = bytes.Clone(r[1]); r[1][9] ^= 1; return r },
		"cuts a record": func(r [][]byte) [][]byte { r[0] = r[0][:len(r[0])-1]; return r },
		"empties one":   func(r [][]byte) [][]byte { r[1] = nil; return r },
		"swaps two":     func(r [][]byte) [][]byte { r[0], r[1] = r[1], r[0]; return r },
		"repeats one":   func(r [][]byte) [][]byte { r[1] = r[0]; return r },
		"skips one":     func(r [][]byte) [][]byte { return r[1:] },
	}
	for name, alter := range alterations {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStore(t)
				j := mustOpen(t, s)
				defer j.Close()
				s.set(times(1, maxBatchRecords, errLost), func(_ context.Context, _ uint64, _ int, honest [][]byte) ([][]byte, error) {
					if len(honest) < 2 {
						return honest, nil
					}
					return alter(honest), nil
				})
				mustProposeTogether(t, j, "a", "b")
				if err := j.Barrier(t.Context()); !errors.Is(err, ErrStale) {
					t.Errorf("got %v, want ErrStale", err)
				}
			})
		})
	}
}

func TestReadBackOfTooManyRecordsIsNotTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		j := mustOpen(t, s)
		defer j.Close()
		bad := 3
		s.set(times(1, maxBatchRecords, errLost), func(_ context.Context, _ uint64, _ int, honest [][]byte) ([][]byte, error) {
			if bad--; bad >= 0 {
				return append(honest, []byte("more")), nil
			}
			return honest, nil
		})
		checkLog(t, j, s, mustAppend(t, j, 1))
	})
}
