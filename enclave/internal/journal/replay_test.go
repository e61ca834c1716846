package journal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/enclave/wire"
)

func TestReplayGivesWhatWasProposed(t *testing.T) {
	s := newStore(t)
	j := mustOpen(t, s)
	tickets := mustAppend(t, j, 300)
	entries, size, head := replayed(t, s)
	if size != 300 || len(entries) != 300 {
		t.Fatalf("got %d entries, size %d", len(entries), size)
	}
	if _, want := j.Head(); head != want {
		t.Errorf("head is %x, want %x", head, want)
	}
	for i, e := range entries {
		if e.Index != uint64(i) || string(e.Body) != fmt.Sprintf("entry %d", i) || e.Leaf != tickets[i].Leaf || e.Kind != 1 {
			t.Fatalf("entry %d is %+v", i, e)
		}
	}
	checkLog(t, j, s, tickets)
}

func TestReplayIsInPieces(t *testing.T) {
	s := newStore(t)
	mustAppend(t, mustOpen(t, s), 100)
	s.set(nil, func(_ context.Context, _ uint64, _ int, honest [][]byte) ([][]byte, error) {
		return honest[:min(7, len(honest))], nil
	})
	if size, _ := mustOpen(t, s).Head(); size != 100 {
		t.Errorf("size is %d, want 100", size)
	}
}

// openAltered opens a copy of the records after a change to them.
func openAltered(t *testing.T, records [][]byte, alter func([][]byte) [][]byte) error {
	s := newStore(t)
	s.records = alter(slices.Clone(records))
	j, err := Open(t.Context(), s, testSealer(), testNow, func(Entry) error { return nil })
	if err == nil {
		j.Close()
	}
	return err
}

func TestAlteredLogIsRefusedAtItsIndex(t *testing.T) {
	s := newStore(t)
	mustAppend(t, mustOpen(t, s), 6)
	branch := s.fork(2) // the same first two, then others
	mustAppend(t, mustOpen(t, branch), 4)
	foreign := newStore(t)
	mustAppend(t, mustOpen(t, foreign), 6)

	for _, test := range []struct {
		name  string
		index int
		alter func([][]byte) [][]byte
	}{
		{"swaps two", 2, func(r [][]byte) [][]byte { r[2], r[4] = r[4], r[2]; return r }},
		{"reverses all", 0, func(r [][]byte) [][]byte { slices.Reverse(r); return r }},
		{"repeats one", 3, func(r [][]byte) [][]byte { return slices.Insert(r, 3, r[2]) }},
		{"repeats the last", 6, func(r [][]byte) [][]byte { return append(r, r[5]) }},
		{"drops the first", 0, func(r [][]byte) [][]byte { return r[1:] }},
		{"drops one", 3, func(r [][]byte) [][]byte { return slices.Delete(r, 3, 4) }},
		{"empties one", 4, func(r [][]byte) [][]byte { r[4] = nil; return r }},
		{"cuts one", 4, func(r [][]byte) [][]byte { r[4] = r[4][:len(r[4])-1]; return r }},
		{"lengthens one", 4, func(r [][]byte) [][]byte { r[4] = append(bytes.Clone(r[4]), 0); return r }},
		{"goes over to a branch", 4, func(r [][]byte) [][]byte { return append(r[:4], branch.records[4:]...) }},
		{"takes the first of a branch, seen at the next", 3, func(r [][]byte) [][]byte { r[2] = branch.records[2]; return r }},
		{"takes one from a branch", 3, func(r [][]byte) [][]byte { r[3] = branch.records[3]; return r }},
		{"takes one from another journal", 1, func(r [][]byte) [][]byte { r[1] = foreign.records[1]; return r }},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := openAltered(t, s.records, test.alter)
			if err == nil || !strings.HasPrefix(err.Error(), fmt.Sprintf("journal entry %d: ", test.index)) {
				t.Errorf("got %v, want index %d refused", err, test.index)
			}
		})
	}
}

func TestEachBitOfTheLogCounts(t *testing.T) {
	s := newStore(t)
	mustAppend(t, mustOpen(t, s), 2)
	for i, record := range s.records {
		for at := range record {
			err := openAltered(t, s.records, func(r [][]byte) [][]byte {
				r[i] = bytes.Clone(r[i])
				r[i][at] ^= 1 << (at % 8)
				return r
			})
			if err == nil || !strings.HasPrefix(err.Error(), fmt.Sprintf("journal entry %d: ", i)) {
				t.Fatalf("byte %d of record %d flipped: %v", at, i, err)
			}
		}
	}
}

// Without witnesses an old end of the log replays. It ends when the journal
// meets what was rolled back.
func TestRolledBackReplayIsStaleOnceTheHostGoesOn(t *testing.T) {
	s := newStore(t)
	mustAppend(t, mustOpen(t, s), 5)
	whole := s.records
	old := s.fork(3)
	j := mustOpen(t, old)
	if size, _ := j.Head(); size != 3 {
		t.Fatalf("size is %d, want 3", size)
	}
	old.records = slices.Clone(whole)
	ticket := mustPropose(t, j, "on a branch")
	if err := j.Wait(t.Context(), ticket); !errors.Is(err, ErrStale) {
		t.Errorf("got %v, want ErrStale", err)
	}
}

// Entries that only a faulty release could have sealed are refused as well.
func TestSealedNonsenseIsRefused(t *testing.T) {
	first := plaintext{Index: 0, TimeMs: 5, Epoch: 5, Prev: make([]byte, 32), Kind: 1}
	for _, test := range []struct {
		name, rule string
		change     func(*plaintext)
	}{
		{"index", "says that its index is 2", func(p *plaintext) { p.Index = 2 }},
		{"time", "time is below", func(p *plaintext) { p.TimeMs = 4 }},
		{"epoch", "epoch is below", func(p *plaintext) { p.Epoch = 4 }},
		{"previous", "does not continue", func(p *plaintext) { p.Prev = make([]byte, 32) }},
		{"no previous", "does not continue", func(p *plaintext) { p.Prev = nil }},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newStore(t)
			s.records = [][]byte{sealed(t, 0, first)}
			_, _, head := replayed(t, s)
			second := first
			second.Index, second.Prev = 1, head[:]
			good := s.fork(1)
			good.records = append(good.records, sealed(t, 1, second))
			replayed(t, good)
			test.change(&second)
			s.records = append(s.records, sealed(t, 1, second))
			_, err := Open(t.Context(), s, testSealer(), testNow, func(Entry) error { return nil })
			if err == nil || !strings.Contains(err.Error(), test.rule) || !strings.HasPrefix(err.Error(), "journal entry 1: ") {
				t.Errorf("got %v, want %q", err, test.rule)
			}
		})
	}
}

func sealed(t *testing.T, index uint64, p plaintext) []byte {
	var buffer bytes.Buffer
	if err := encode(&buffer, make([]byte, saltSize), &p); err != nil {
		t.Fatal(err)
	}
	record, err := testSealer().Seal(object(index), buffer.Bytes()[len(leafLabel):])
	if err != nil {
		t.Fatal(err)
	}
	return record
}

func TestReplayEndsWithItsFirstError(t *testing.T) {
	s := newStore(t)
	mustAppend(t, mustOpen(t, s), 3)
	refused := errors.New("unknown kind")
	_, err := Open(t.Context(), s, testSealer(), testNow, func(e Entry) error {
		if e.Index == 1 {
			return refused
		}
		return nil
	})
	if !errors.Is(err, refused) || err.Error() != "journal entry 1: unknown kind" {
		t.Errorf("got %v", err)
	}
	s.set(nil, func(_ context.Context, index uint64, _ int, honest [][]byte) ([][]byte, error) {
		if index == 0 {
			return honest[:2], nil
		}
		return nil, errLost
	})
	_, err = Open(t.Context(), s, testSealer(), testNow, func(Entry) error { return nil })
	if !errors.Is(err, errLost) || !strings.HasPrefix(err.Error(), "journal entry 2: reading: ") {
		t.Errorf("got %v", err)
	}
	s.set(nil, func(context.Context, uint64, int, [][]byte) ([][]byte, error) {
		return make([][]byte, wire.MaxRange+1), nil
	})
	if _, err = Open(t.Context(), s, testSealer(), testNow, func(Entry) error { return nil }); err == nil {
		t.Error("more records than asked for are accepted")
	}
}

func TestReadComparesTheLeaf(t *testing.T) {
	s := newStore(t)
	j := mustOpen(t, s)
	tickets := mustAppend(t, j, 3)
	branch := newStore(t)
	mustAppend(t, mustOpen(t, branch), 3)

	e, err := j.Read(t.Context(), 1, tickets[1].Leaf)
	if err != nil || string(e.Body) != "entry 1" {
		t.Errorf("got %+v, %v", e, err)
	}
	for name, answer := range map[string]func([][]byte) ([][]byte, error){
		"another entry":  func([][]byte) ([][]byte, error) { return s.records[2:], nil },
		"branch":         func([][]byte) ([][]byte, error) { return branch.records[1:2], nil },
		"nothing":        func([][]byte) ([][]byte, error) { return nil, nil },
		"too many":       func([][]byte) ([][]byte, error) { return s.records[1:3], nil },
		"error":          func([][]byte) ([][]byte, error) { return nil, errLost },
		"flipped":        func(r [][]byte) ([][]byte, error) { b := bytes.Clone(r[0]); b[len(b)-1] ^= 1; return [][]byte{b}, nil },
		"not as long":    func(r [][]byte) ([][]byte, error) { return [][]byte{r[0][:20]}, nil },
		"an empty thing": func([][]byte) ([][]byte, error) { return [][]byte{{}}, nil },
	} {
		s.set(nil, func(_ context.Context, _ uint64, _ int, honest [][]byte) ([][]byte, error) { return answer(honest) })
		e, err := j.Read(t.Context(), 1, tickets[1].Leaf)
		if err == nil || !strings.HasPrefix(err.Error(), "journal entry 1: ") || e.Body != nil {
			t.Errorf("%s: got %+v, %v", name, e, err)
		}
	}
	s.set(nil, nil)
	if _, err := j.Read(t.Context(), 3, tickets[2].Leaf); err == nil {
		t.Error("an entry that is not durable is read")
	}
}
