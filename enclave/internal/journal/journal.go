// Package journal is the appliance's state: an append-only log of sealed,
// hash-chained entries that an untrusted host stores. Whatever the appliance
// knows is the replay of this log.
//
// Each entry's plaintext names its index, its time and the hash of everything
// before it; it is sealed as version index of the one journal of its appliance.
// So a host that alters, reorders, duplicates, drops or swaps entries is found
// at replay or when an entry is read back. A host that shows an old end of the
// log, or shows two enclaves different continuations, is not: for that the
// checkpoints over the leaf hashes need witnesses.
//
// Record before release: [Journal.Propose] only queues an entry. Nothing that
// depends on it may leave the enclave until [Journal.Wait] has returned nil for
// its ticket.
//
// One goroutine writes. All entries that were proposed while it was writing go
// into its next append. An append that may or may not have happened is settled
// by reading back before anything else is written, and an index never carries
// two different records: see writer.go.
package journal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/enclave/internal/seal"
)

var (
	// ErrStale means that the host holds another record at an index that this
	// enclave has written or was about to write: another enclave has gone on
	// with the journal. It is permanent; only a new replay can go on.
	ErrStale = errors.New("another record stands where this enclave's belongs")
	// ErrClosed means that [Journal.Close] was called. What was waiting may
	// have become durable or not; a replay tells.
	ErrClosed = errors.New("journal: closed")
	// ErrBusy means that so much waits to be written that nothing more is
	// accepted. The entry was not made; the caller may try again later.
	ErrBusy = errors.New("journal: too many entries wait to be written")
)

// Store keeps the records. It is the journal's part of wire.Host, whose
// contract it has; it is not believed. Append must not change the records nor
// keep them longer than the call.
type Store interface {
	Append(ctx context.Context, index uint64, records [][]byte) error
	ReadRange(ctx context.Context, index uint64, limit int) ([][]byte, error)
}

// Journal is an open journal. It is safe for concurrent use. It holds in memory
// only its head and the entries that are not durable yet.
type Journal struct {
	store  Store
	sealer *seal.Sealer
	now    func() time.Time

	durable atomic.Pointer[position]
	coming  atomic.Int64 // callers that have announced a proposal

	mu      sync.Mutex
	tip     position // after the last entry proposed
	queue   []*batch // not durable yet; the writer takes from the front
	writing bool     // queue[0] was sent and takes no more records
	waiting int      // bytes of all records in queue
	trouble error    // why the append at hand has not succeeded yet
	failure error    // permanent; set before dead is closed
	scratch bytes.Buffer

	wake   chan struct{} // holds one token when there may be work
	dead   chan struct{} // closed at failure
	cancel context.CancelFunc
	ended  chan struct{} // closed when the writer has returned
}

// Head returns the number of durable entries and the chain head after them,
// 32 zero bytes when there are none.
func (j *Journal) Head() (size uint64, head [32]byte) {
	p := j.durable.Load()
	return p.size, p.head
}

// SetEpoch makes later entries carry this epoch. Epochs never go down.
func (j *Journal) SetEpoch(epoch uint64) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if epoch < j.tip.epoch {
		return fmt.Errorf("journal: epoch %d is below the last entry's %d", epoch, j.tip.epoch)
	}
	j.tip.epoch = epoch
	return nil
}

// Done is closed when the journal has ended for good, by [Journal.Close] or
// because it is stale.
func (j *Journal) Done() <-chan struct{} { return j.dead }

// Err is nil as long as entries can be proposed, then [ErrClosed] or an error
// that wraps [ErrStale].
func (j *Journal) Err() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.failure
}

// Trouble says why the entries that wait are not durable yet, when the host has
// refused or lost them at least once; nil when all is well. It passes by itself
// once the host stores again. The text comes from the host and is for the log.
func (j *Journal) Trouble() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.trouble
}

// Close ends the journal and waits until its writer has let go of the store.
// Entries that still wait fail with [ErrClosed]; call [Journal.Barrier] before
// to have them written.
func (j *Journal) Close() error {
	j.fail(ErrClosed)
	j.cancel()
	<-j.ended
	return nil
}

// fail ends the journal; the first error stays.
func (j *Journal) fail(err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.failure != nil {
		return
	}
	j.failure = err
	j.queue, j.waiting = nil, 0
	close(j.dead)
}
