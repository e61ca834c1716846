package journal

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/sallyport/sallyport/enclave/internal/seal"
)

const (
	// maxBatchRecords and maxBatchBytes bound one append, so that its frame
	// stays well below the door's 1 MiB and one slow fsync does not hold up an
	// unbounded number of callers.
	maxBatchRecords = 256
	maxBatchBytes   = 512 << 10

	// MaxBody is the longest body of an entry: the largest that fits into an
	// append of its own. What is larger goes into a blob.
	MaxBody = maxBatchBytes - 1024

	// maxWaiting bounds the memory of entries that a host keeps waiting: some
	// ten thousand signatures, seconds of work at full speed.
	maxWaiting = 8 << 20
)

// A record of the longest body must fit into a batch.
const _ = uint(maxBatchBytes - MaxBody - entryOverhead - saltSize - seal.Overhead)

// batch is a run of records that goes to the host in one append.
type batch struct {
	index   uint64 // of the first record
	records [][]byte
	bytes   int
	end     position      // after the last record
	durable chan struct{} // closed when all of it is durable
}

// Ticket stands for an entry that was proposed.
type Ticket struct {
	Index  uint64
	TimeMs int64
	Leaf   [32]byte

	batch *batch
}

// Propose makes the next entry and returns without waiting for the host. body
// is called with the entry's index and time, because what it makes may have to
// name them; the journal is locked meanwhile, so body must be quick and must
// not call the journal. When it fails, there is no entry and its error is
// returned as it is.
//
// Other errors: [ErrBusy], an error that wraps [ErrStale], [ErrClosed], or a
// body longer than [MaxBody].
func (j *Journal) Propose(kind Kind, body func(index uint64, timeMs int64) ([]byte, error)) (Ticket, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.failure != nil {
		return Ticket{}, j.failure
	}
	if j.waiting > maxWaiting {
		return Ticket{}, ErrBusy
	}
	e := Entry{Index: j.tip.size, TimeMs: max(j.now().UnixMilli(), j.tip.timeMs), Epoch: j.tip.epoch, Kind: kind}
	var err error
	if e.Body, err = body(e.Index, e.TimeMs); err != nil {
		return Ticket{}, err
	}
	if len(e.Body) > MaxBody {
		return Ticket{}, fmt.Errorf("journal: body must have at most %d bytes", MaxBody)
	}
	record, err := j.seal(&e)
	if err != nil {
		return Ticket{}, err
	}
	j.tip = j.tip.after(e)
	return Ticket{Index: e.Index, TimeMs: e.TimeMs, Leaf: e.Leaf, batch: j.enqueue(record)}, nil
}

// seal makes the record of the entry at the tip and sets its leaf.
func (j *Journal) seal(e *Entry) ([]byte, error) {
	var salt [saltSize]byte
	rand.Read(salt[:]) // never fails
	err := encode(&j.scratch, salt[:], &plaintext{
		Index:  e.Index,
		TimeMs: e.TimeMs,
		Epoch:  e.Epoch,
		Prev:   j.tip.head[:],
		Kind:   uint64(e.Kind),
		Body:   e.Body,
	})
	if err != nil {
		return nil, fmt.Errorf("journal: encoding: %v", err)
	}
	e.Leaf = sha256.Sum256(j.scratch.Bytes())
	return j.sealer.Seal(object(e.Index), j.scratch.Bytes()[len(leafLabel):])
}

// enqueue adds the record before the tip to the last batch that is still open.
// It keeps the batch's end at the tip.
func (j *Journal) enqueue(record []byte) *batch {
	var b *batch
	if n := len(j.queue); n > 1 || n == 1 && !j.writing {
		b = j.queue[n-1]
	}
	if b == nil || len(b.records) == maxBatchRecords || b.bytes+len(record) > maxBatchBytes {
		b = &batch{index: j.tip.size - 1, durable: make(chan struct{})}
		j.queue = append(j.queue, b)
	}
	b.records = append(b.records, record)
	b.bytes += len(record)
	b.end = j.tip
	j.waiting += len(record)
	j.nudge()
	return b
}

// Wait returns nil once the ticket's entry is durable, and otherwise why that
// will not happen: an error that wraps [ErrStale], or [ErrClosed]. When ctx ends
// first its error is returned, and the entry may still become durable.
func (j *Journal) Wait(ctx context.Context, t Ticket) error {
	if t.batch == nil {
		return errors.New("journal: the ticket is empty")
	}
	select {
	case <-t.batch.durable:
		return nil
	case <-ctx.Done():
	case <-j.dead:
	}
	// Durable wins: what has happened is never denied.
	select {
	case <-t.batch.durable:
		return nil
	default:
	}
	if err := j.Err(); err != nil {
		return err
	}
	return ctx.Err()
}

// Barrier waits until every entry proposed so far is durable, with the errors
// of [Journal.Wait].
func (j *Journal) Barrier(ctx context.Context) error {
	j.mu.Lock()
	var last *batch
	if n := len(j.queue); n > 0 {
		last = j.queue[n-1]
	}
	err := j.failure
	j.mu.Unlock()
	if last == nil || err != nil {
		return err
	}
	return j.Wait(ctx, Ticket{batch: last})
}
