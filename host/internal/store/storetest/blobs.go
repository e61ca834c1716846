package storetest

import (
	"crypto/sha256"
	"slices"
	"testing"

	"github.com/sallyport/sallyport/enclave/wire"
)

func names(blobs ...[]byte) [][]byte {
	var names [][]byte
	for _, b := range blobs {
		name := sha256.Sum256(b)
		names = append(names, name[:])
	}
	return names
}

func wantBlobs(t *testing.T, s wire.Host, names [][]byte, want ...[]byte) {
	t.Helper()
	got, err := s.GetBlobs(t.Context(), names)
	if err != nil {
		t.Error(err)
		return
	}
	wantEqual(t, "blobs", got, want)
}

func mustPut(t *testing.T, s wire.Host, blobs ...[]byte) {
	t.Helper()
	if err := s.PutBlobs(t.Context(), blobs); err != nil {
		t.Fatal(err)
	}
}

func blobsReadBackInOrder(t *testing.T, s wire.Host) {
	blobs := [][]byte{record(0), {}, {0}, make([]byte, 100_000), record(1)}
	mustPut(t, s, blobs...)
	mustPut(t, s) // nothing
	wantBlobs(t, s, nil)
	wantBlobs(t, s, names(blobs...), blobs...)
	slices.Reverse(blobs)
	blobs = append(blobs, blobs[1]) // one twice
	wantBlobs(t, s, names(blobs...), blobs...)
}

func blobPutTwiceIsThere(t *testing.T, s wire.Host) {
	mustPut(t, s, record(0), record(1), record(0))
	mustPut(t, s, record(1), record(2))
	wantBlobs(t, s, names(record(0), record(1), record(2)), record(0), record(1), record(2))
}

func missingBlobIsNotFound(t *testing.T, s wire.Host) {
	mustPut(t, s, record(0))
	there := names(record(0))[0]
	for _, ask := range [][][]byte{
		names(record(1)),
		{there, names(record(1))[0]},
		{there[:31]},
		{append(slices.Clone(there), 0)},
		{nil},
	} {
		got, err := s.GetBlobs(t.Context(), ask)
		wantCode(t, err, wire.NotFound)
		if got != nil {
			t.Errorf("got %d blobs with the error", len(got))
		}
	}
}

func blobsThatNoAnswerHoldsAreRefused(t *testing.T, s wire.Host) {
	wantCode(t, s.PutBlobs(t.Context(), [][]byte{record(0), make([]byte, frame+1)}), wire.InvalidArgument)
	wantCode(t, second(s.GetBlobs(t.Context(), names(record(0)))), wire.NotFound)
	half := make([]byte, frame/2)
	mustPut(t, s, half, record(1))
	wantBlobs(t, s, names(half, half), half, half)
	wantCode(t, second(s.GetBlobs(t.Context(), names(half, record(1), half))), wire.InvalidArgument)
}
