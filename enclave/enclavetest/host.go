package enclavetest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"sync"

	"github.com/sallyport/sallyport/enclave/wire"
)

// A Host is a store in memory. A test may look at and change what it holds,
// and make its calls fail; see the Fail fields.
type Host struct {
	mu      sync.Mutex
	Records [][]byte
	Blobs   map[[32]byte][]byte

	// FailAppend, when set, is asked before every append. It returns whether
	// to keep the records all the same, and the error to answer with; a nil
	// error appends as usual.
	FailAppend func(index uint64, records [][]byte) (keep bool, err error)
	// FailBlobs, when set, is asked before every call for blobs.
	FailBlobs func() error
}

// NewHost makes an empty store.
func NewHost() *Host { return &Host{Blobs: map[[32]byte][]byte{}} }

// ErrLost is an answer that never came.
var ErrLost = errors.New("enclavetest: the answer was lost")

// Edit runs f with the store locked.
func (h *Host) Edit(f func(h *Host)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f(h)
}

// Append keeps the records when the journal's length is index.
func (h *Host) Append(_ context.Context, index uint64, records [][]byte) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.FailAppend != nil {
		keep, err := h.FailAppend(index, records)
		if err != nil {
			if keep {
				h.keep(index, records)
			}
			return err
		}
	}
	if !h.keep(index, records) {
		return wire.Errorf(wire.Conflict, "", "the journal has %d records", len(h.Records))
	}
	return nil
}

func (h *Host) keep(index uint64, records [][]byte) bool {
	if index != uint64(len(h.Records)) {
		return false
	}
	for _, r := range records {
		h.Records = append(h.Records, bytes.Clone(r))
	}
	return true
}

// ReadRange returns up to limit records.
func (h *Host) ReadRange(_ context.Context, index uint64, limit int) ([][]byte, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var out [][]byte
	for i := index; i < uint64(len(h.Records)) && len(out) < limit; i++ {
		out = append(out, bytes.Clone(h.Records[i]))
	}
	return out, nil
}

// PutBlobs keeps blobs by their SHA-256.
func (h *Host) PutBlobs(_ context.Context, blobs [][]byte) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.FailBlobs != nil {
		if err := h.FailBlobs(); err != nil {
			return err
		}
	}
	for _, b := range blobs {
		h.Blobs[sha256.Sum256(b)] = bytes.Clone(b)
	}
	return nil
}

// GetBlobs returns blobs by name.
func (h *Host) GetBlobs(_ context.Context, names [][]byte) ([][]byte, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.FailBlobs != nil {
		if err := h.FailBlobs(); err != nil {
			return nil, err
		}
	}
	var out [][]byte
	for _, name := range names {
		b, ok := h.Blobs[[32]byte(name)]
		if !ok {
			return nil, wire.Errorf(wire.NotFound, "", "no such blob")
		}
		out = append(out, bytes.Clone(b))
	}
	return out, nil
}
