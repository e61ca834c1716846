package journal

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/enclave/internal/platform"
	"github.com/sallyport/sallyport/enclave/internal/seal"
	"github.com/sallyport/sallyport/enclave/wire"
)

var (
	errLost     = errors.New("connection reset")
	errConflict = wire.Errorf(wire.Conflict, "", "journal has another length")
)

// hostileStore is a host in memory that misbehaves as its hooks say, and that
// checks what no journal may ever do: send two different records for one
// index, write before an unknown outcome is settled, write twice at once, or
// pass the limits of one append.
type hostileStore struct {
	t testing.TB

	mu        sync.Mutex
	records   [][]byte
	sent      map[uint64][]byte // the only record that each index may carry
	sizes     []int             // records in each append
	unsettled bool              // the last append was not answered well, nor read back
	appending bool

	// appendHook decides how many records to keep, and what to answer.
	appendHook func(ctx context.Context, index uint64, records [][]byte) (keep int, err error)
	// readHook alters an honest answer.
	readHook func(ctx context.Context, index uint64, limit int, honest [][]byte) ([][]byte, error)
}

func newStore(t testing.TB) *hostileStore {
	return &hostileStore{t: t, sent: make(map[uint64][]byte)}
}

func (s *hostileStore) Append(ctx context.Context, index uint64, records [][]byte) error {
	hook := s.begin(index, records)
	keep, answer := len(records), error(nil)
	if hook != nil {
		keep, answer = hook(ctx, index, records)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.appending = false
	if index != uint64(len(s.records)) {
		keep = 0
		if answer == nil {
			answer = errConflict
		}
	}
	for _, r := range records[:keep] {
		s.records = append(s.records, bytes.Clone(r))
	}
	s.unsettled = answer != nil
	return answer
}

func (s *hostileStore) begin(index uint64, records [][]byte) func(context.Context, uint64, [][]byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.unsettled {
		s.t.Error("append before the last one was read back")
	}
	if s.appending {
		s.t.Error("two appends at once")
	}
	s.appending = true
	size := 0
	for i, r := range records {
		size += len(r)
		at := index + uint64(i)
		if before, ok := s.sent[at]; ok && !bytes.Equal(before, r) {
			s.t.Errorf("a second record was made for index %d", at)
		}
		s.sent[at] = bytes.Clone(r)
	}
	if len(records) == 0 || len(records) > maxBatchRecords || size > maxBatchBytes {
		s.t.Errorf("append of %d records with %d bytes", len(records), size)
	}
	s.sizes = append(s.sizes, len(records))
	return s.appendHook
}

func (s *hostileStore) ReadRange(ctx context.Context, index uint64, limit int) ([][]byte, error) {
	s.mu.Lock()
	var honest [][]byte
	if index < uint64(len(s.records)) {
		honest = slices.Clone(s.records[index:min(uint64(len(s.records)), index+uint64(limit))])
	}
	hook := s.readHook
	s.mu.Unlock()
	var err error
	if hook != nil {
		honest, err = hook(ctx, index, limit, honest)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		s.unsettled = false
	}
	return honest, err
}

// set changes the hooks, nil for an honest host.
func (s *hostileStore) set(
	onAppend func(context.Context, uint64, [][]byte) (int, error),
	onRead func(context.Context, uint64, int, [][]byte) ([][]byte, error),
) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.appendHook, s.readHook = onAppend, onRead
}

// fork returns an honest store with the first n records.
func (s *hostileStore) fork(n int) *hostileStore {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := newStore(s.t)
	f.records = slices.Clone(s.records[:n])
	return f
}

func (s *hostileStore) len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.records)
}

func testSealer() *seal.Sealer {
	return seal.New(make([]byte, 32), [16]byte{1}, platform.Local, make([]byte, 48), rand.Reader)
}

func testNow() time.Time { return time.UnixMilli(1_700_000_000_000) }

func mustOpen(t testing.TB, s Store) *Journal {
	t.Helper()
	j, err := Open(t.Context(), s, testSealer(), testNow, func(Entry) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	return j
}

func body(s string) func(uint64, int64) ([]byte, error) {
	return func(uint64, int64) ([]byte, error) { return []byte(s), nil }
}

func mustPropose(t testing.TB, j *Journal, s string) Ticket {
	t.Helper()
	ticket, err := j.Propose(1, body(s))
	if err != nil {
		t.Fatal(err)
	}
	return ticket
}

// mustProposeTogether proposes entries that go into one append.
func mustProposeTogether(t testing.TB, j *Journal, bodies ...string) []Ticket {
	t.Helper()
	var tickets []Ticket
	for range bodies {
		defer j.Announce()()
	}
	for _, s := range bodies {
		tickets = append(tickets, mustPropose(t, j, s))
	}
	return tickets
}

// mustAppend proposes n entries and waits until they are durable.
func mustAppend(t testing.TB, j *Journal, n int) []Ticket {
	t.Helper()
	tickets := make([]Ticket, n)
	for i := range tickets {
		tickets[i] = mustPropose(t, j, fmt.Sprintf("entry %d", i))
	}
	if err := j.Barrier(t.Context()); err != nil {
		t.Fatal(err)
	}
	return tickets
}

// replayed is what a fresh enclave finds on an honest host with these records.
func replayed(t testing.TB, s *hostileStore) (entries []Entry, size uint64, head [32]byte) {
	t.Helper()
	j, err := Open(t.Context(), s.fork(s.len()), testSealer(), testNow, func(e Entry) error {
		entries = append(entries, e)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	size, head = j.Head()
	return entries, size, head
}

// checkLog verifies that the host holds exactly the entries of these tickets
// and that the journal's head is theirs.
func checkLog(t testing.TB, j *Journal, s *hostileStore, tickets []Ticket) {
	t.Helper()
	entries, size, head := replayed(t, s)
	if gotSize, gotHead := j.Head(); gotSize != size || gotHead != head {
		t.Errorf("head is %d %x, replay gives %d %x", gotSize, gotHead, size, head)
	}
	type id struct {
		Index  uint64
		TimeMs int64
		Leaf   [32]byte
	}
	var got, want []id
	for _, e := range entries {
		got = append(got, id{e.Index, e.TimeMs, e.Leaf})
	}
	for _, ticket := range tickets {
		want = append(want, id{ticket.Index, ticket.TimeMs, ticket.Leaf})
	}
	slices.SortFunc(want, func(a, b id) int { return int(a.Index) - int(b.Index) })
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("log (-proposed +replayed):\n%s", diff)
	}
}

// memoryStore is an honest host that costs nothing. It keeps the first 4096
// records and forgets the rest.
type memoryStore struct {
	size    uint64
	records [][]byte
}

func (s *memoryStore) Append(_ context.Context, index uint64, records [][]byte) error {
	if index != s.size {
		return errConflict
	}
	s.size += uint64(len(records))
	if len(s.records) < wire.MaxRange {
		s.records = append(s.records, records...)
	}
	return nil
}

func (s *memoryStore) ReadRange(_ context.Context, index uint64, limit int) ([][]byte, error) {
	if index >= uint64(len(s.records)) {
		return nil, nil
	}
	return s.records[index:min(len(s.records), int(index)+limit)], nil
}
