// Package storetest holds the tests that every store must pass, whatever it is
// built on. They are the contract of wire.Host in words that run.
package storetest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/sallyport/sallyport/enclave/wire"
)

// Run runs the contract. open must return an empty store each time it is called,
// and must see to it that the store is closed.
func Run(t *testing.T, open func() wire.Host) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, wire.Host)
	}{
		{"EmptyStoreHasNothing", emptyStoreHasNothing},
		{"RecordsReadBackExactly", recordsReadBackExactly},
		{"AnyRangeReadsBack", anyRangeReadsBack},
		{"AppendElsewhereIsAConflict", appendElsewhereIsAConflict},
		{"OneOfManyAppendersWins", oneOfManyAppendersWins},
		{"AnswersFitTheFrame", answersFitTheFrame},
		{"RecordThatNoAnswerHoldsIsRefused", recordThatNoAnswerHoldsIsRefused},
		{"CallersKeepTheirSlices", callersKeepTheirSlices},
		{"EndedContextChangesNothing", endedContextChangesNothing},
		{"BlobsReadBackInOrder", blobsReadBackInOrder},
		{"BlobPutTwiceIsThere", blobPutTwiceIsThere},
		{"MissingBlobIsNotFound", missingBlobIsNotFound},
		{"BlobsThatNoAnswerHoldsAreRefused", blobsThatNoAnswerHoldsAreRefused},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, open()) })
	}
}

// frame is what an answer's records may have together.
const frame = 768 << 10

func record(i int) []byte { return fmt.Appendf(nil, "record %d", i) }

func mustAppend(t *testing.T, s wire.Host, index uint64, records ...[]byte) {
	t.Helper()
	if err := s.Append(t.Context(), index, records); err != nil {
		t.Fatal(err)
	}
}

// wantRecords reads the whole journal, in as many answers as it takes.
func wantRecords(t *testing.T, s wire.Host, want ...[]byte) {
	t.Helper()
	var got [][]byte
	for {
		records, err := s.ReadRange(t.Context(), uint64(len(got)), wire.MaxRange)
		if err != nil {
			t.Fatal(err)
		}
		if len(records) == 0 {
			break
		}
		got = append(got, records...)
	}
	wantEqual(t, "journal", got, want)
}

func wantEqual(t *testing.T, what string, got, want [][]byte) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: got %d, want %d", what, len(got), len(want))
	}
	for i := range want {
		if !bytes.Equal(got[i], want[i]) {
			t.Fatalf("%s: number %d is %.32q (%d bytes), want %.32q (%d bytes)", what, i, got[i], len(got[i]), want[i], len(want[i]))
		}
	}
}

func wantCode(t *testing.T, err error, code wire.Code) {
	t.Helper()
	if !errors.Is(err, &wire.Error{Code: code}) {
		t.Errorf("got %v, want code %d", err, code)
	}
}

func emptyStoreHasNothing(t *testing.T, s wire.Host) {
	wantRecords(t, s)
	for _, index := range []uint64{1, 1 << 40, 1<<63 - 1, 1 << 63, 1<<64 - 1} {
		records, err := s.ReadRange(t.Context(), index, 10)
		if len(records) != 0 || err != nil {
			t.Errorf("at %d: got %d records, %v", index, len(records), err)
		}
	}
}

func recordsReadBackExactly(t *testing.T, s wire.Host) {
	all := [][]byte{
		[]byte("first"),
		{},
		{0},
		[]byte("\x00\xff'; --"),
		bytes.Repeat([]byte{0xa5}, 512<<10),
		{1},
	}
	mustAppend(t, s, 0, all[0])
	mustAppend(t, s, 1, all[1:3]...)
	mustAppend(t, s, 3) // nothing
	mustAppend(t, s, 3, all[3:]...)
	wantRecords(t, s, all...)
}

func anyRangeReadsBack(t *testing.T, s wire.Host) {
	var all [][]byte
	for _, size := range []int{1, 3, 1, 7, 2} {
		var batch [][]byte
		for range size {
			batch = append(batch, record(len(all)+len(batch)))
		}
		mustAppend(t, s, uint64(len(all)), batch...)
		all = append(all, batch...)
	}
	for index := range len(all) + 2 {
		for limit := -1; limit < len(all)+2; limit++ {
			got, err := s.ReadRange(t.Context(), uint64(index), limit)
			if err != nil {
				t.Fatal(err)
			}
			from := min(index, len(all))
			want := all[from:min(len(all), from+max(limit, 0))]
			wantEqual(t, fmt.Sprintf("%d records from %d on", limit, index), got, want)
		}
	}
}

func appendElsewhereIsAConflict(t *testing.T, s wire.Host) {
	wantCode(t, s.Append(t.Context(), 1, [][]byte{record(1)}), wire.Conflict)
	mustAppend(t, s, 0, record(0), record(1))
	for _, index := range []uint64{0, 1, 3, 1 << 40, 1 << 63, 1<<64 - 1} {
		wantCode(t, s.Append(t.Context(), index, [][]byte{[]byte("other")}), wire.Conflict)
		wantCode(t, s.Append(t.Context(), index, nil), wire.Conflict)
	}
	// The same bytes again are no exception.
	wantCode(t, s.Append(t.Context(), 0, [][]byte{record(0), record(1)}), wire.Conflict)
	wantRecords(t, s, record(0), record(1))
}

func oneOfManyAppendersWins(t *testing.T, s wire.Host) {
	const rounds, appenders = 20, 4
	var want [][]byte
	for round := range rounds {
		var winner atomic.Int64
		var wins atomic.Int64
		var group sync.WaitGroup
		for appender := range appenders {
			group.Go(func() {
				err := s.Append(t.Context(), uint64(round), [][]byte{record(round*appenders + appender)})
				if err == nil {
					wins.Add(1)
					winner.Store(int64(appender))
					return
				}
				wantCode(t, err, wire.Conflict)
			})
		}
		group.Wait()
		if wins.Load() != 1 {
			t.Fatalf("%d appends at index %d succeeded", wins.Load(), round)
		}
		want = append(want, record(round*appenders+int(winner.Load())))
	}
	wantRecords(t, s, want...)
}

func answersFitTheFrame(t *testing.T, s wire.Host) {
	var all [][]byte
	for i := range 9 {
		all = append(all, bytes.Repeat([]byte{byte(i)}, 200<<10))
	}
	mustAppend(t, s, 0, all[:4]...)
	mustAppend(t, s, 4, all[4:5]...)
	mustAppend(t, s, 5, all[5:]...)
	largest := bytes.Repeat([]byte{9}, frame)
	all = append(all, largest)
	mustAppend(t, s, 9, largest)
	for index := range all {
		got, err := s.ReadRange(t.Context(), uint64(index), len(all))
		if err != nil {
			t.Fatal(err)
		}
		size := 0
		for _, r := range got {
			size += len(r)
		}
		if size > frame || len(got) == 0 {
			t.Errorf("at %d: %d records with %d bytes, want at least one and at most %d bytes", index, len(got), size, frame)
		}
	}
	wantRecords(t, s, all...)
}

func recordThatNoAnswerHoldsIsRefused(t *testing.T, s wire.Host) {
	wantCode(t, s.Append(t.Context(), 0, [][]byte{record(0), make([]byte, frame+1)}), wire.InvalidArgument)
	wantRecords(t, s)
}

func callersKeepTheirSlices(t *testing.T, s wire.Host) {
	mine := [][]byte{record(0), record(1)}
	mustAppend(t, s, 0, mine...)
	blob := record(7)
	name := sha256.Sum256(blob)
	if err := s.PutBlobs(t.Context(), [][]byte{blob}); err != nil {
		t.Fatal(err)
	}
	clear(mine[0])
	clear(mine[1])
	clear(blob)
	wantRecords(t, s, record(0), record(1))
	wantBlobs(t, s, [][]byte{name[:]}, record(7))
	// Nor does it matter what a caller does to an answer.
	got, err := s.ReadRange(t.Context(), 0, 2)
	if err != nil {
		t.Fatal(err)
	}
	_ = append(got[0], "overwrites the next"...)
	if !bytes.Equal(got[1], record(1)) {
		t.Errorf("appending to one record changes the next to %q", got[1])
	}
	clear(got[0])
	wantRecords(t, s, record(0), record(1))
}

func endedContextChangesNothing(t *testing.T, s wire.Host) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	name := sha256.Sum256(record(0))
	for call, err := range map[string]error{
		"Append":    s.Append(ctx, 0, [][]byte{record(0)}),
		"PutBlobs":  s.PutBlobs(ctx, [][]byte{record(0)}),
		"ReadRange": second(s.ReadRange(ctx, 0, 1)),
		"GetBlobs":  second(s.GetBlobs(ctx, [][]byte{name[:]})),
	} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: got %v, want context.Canceled", call, err)
		}
	}
	wantRecords(t, s)
	wantCode(t, second(s.GetBlobs(t.Context(), [][]byte{name[:]})), wire.NotFound)
}

func second[T any](_ T, err error) error { return err }
