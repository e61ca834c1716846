package journal

import (
	"bytes"
	"context"
	"fmt"
	"time"
)

const (
	// attemptTimeout bounds one call to the host. A disk that takes 30 s for
	// an fsync counts as away; asking it again is harmless.
	attemptTimeout = 30 * time.Second

	// A host restarts in well under a second or is away for long. Waiting is
	// doubled from the one to the other.
	minBackoff = 10 * time.Millisecond
	maxBackoff = 2 * time.Second
)

// maxLinger is how long an append waits for entries that were announced. An
// append costs the host an fsync, about as much as a signature, so under load
// a few milliseconds of company are worth more than the wait; a caller alone
// never waits.
const maxLinger = 4 * time.Millisecond

// Announce tells the journal that the caller may soon propose an entry. The
// caller must call the function that it returns after proposing, or when it
// will not propose.
func (j *Journal) Announce() (done func()) {
	j.coming.Add(1)
	return func() {
		j.coming.Add(-1)
		j.nudge()
	}
}

func (j *Journal) nudge() {
	select {
	case j.wake <- struct{}{}:
	default:
	}
}

// linger waits while more entries are announced than wait to be written, so
// that one append carries them together.
func (j *Journal) linger(ctx context.Context) {
	var timer *time.Timer
	for j.crowded() {
		if timer == nil {
			timer = time.NewTimer(maxLinger)
			defer timer.Stop()
		}
		select {
		case <-j.wake:
		case <-timer.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

func (j *Journal) crowded() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.queue) > 0 && int64(len(j.queue[0].records)) < min(j.coming.Load(), maxBatchRecords)
}

// run writes batches in order until the journal ends.
func (j *Journal) run(ctx context.Context) {
	defer close(j.ended)
	for {
		j.linger(ctx)
		b := j.take()
		if b == nil {
			select {
			case <-j.wake:
				continue
			case <-ctx.Done():
				return
			}
		}
		if err := j.write(ctx, b); err != nil {
			j.fail(err)
			return
		}
		j.commit(b)
	}
}

// take closes the front batch to further records and returns it.
func (j *Journal) take() *batch {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.queue) == 0 {
		return nil
	}
	j.writing = true
	return j.queue[0]
}

// commit makes a batch that the host has stored visible as durable.
func (j *Journal) commit(b *batch) {
	j.mu.Lock()
	defer j.mu.Unlock()
	end := b.end // alone, or it would keep the batch in memory
	j.durable.Store(&end)
	b.records = nil // a ticket may live long
	close(b.durable)
	j.writing = false
	j.trouble = nil
	if len(j.queue) > 0 { // empty after fail
		j.queue[0] = nil
		j.queue = j.queue[1:]
		j.waiting -= b.bytes
	}
}

// write returns nil when the host has stored the whole batch. After an append
// without a good answer the host is asked what it holds, and nothing is written
// until it has said so: our bytes mean stored, no bytes mean that the same bytes
// are sent again, other bytes mean that the journal is stale. What kind of error
// it was makes no difference, for it is only the host's word.
func (j *Journal) write(ctx context.Context, b *batch) error {
	index, rest := b.index, b.records
	for pause := minBackoff; ; pause = min(2*pause, maxBackoff) {
		err := j.append(ctx, index, rest)
		if err == nil {
			return nil
		}
		j.setTrouble(index, err)
		stored, err := j.settle(ctx, index, rest)
		if err != nil {
			return err
		}
		index, rest = index+uint64(stored), rest[stored:]
		if len(rest) == 0 {
			return nil
		}
		if err := sleep(ctx, pause); err != nil {
			return err
		}
	}
}

// settle asks until it knows how many of the records the host holds.
func (j *Journal) settle(ctx context.Context, index uint64, records [][]byte) (stored int, err error) {
	for pause := minBackoff; ; pause = min(2*pause, maxBackoff) {
		got, err := j.readBack(ctx, index+uint64(stored), len(records)-stored)
		for i, record := range got {
			if !bytes.Equal(record, records[stored+i]) {
				return 0, fmt.Errorf("journal entry %d: %w", index+uint64(stored+i), ErrStale)
			}
		}
		stored += len(got)
		switch {
		case err != nil:
			j.setTrouble(index+uint64(stored), err)
			if err := sleep(ctx, pause); err != nil {
				return 0, err
			}
		case len(got) == 0 || stored == len(records):
			return stored, nil
		}
	}
}

func (j *Journal) append(ctx context.Context, index uint64, records [][]byte) error {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	return j.store.Append(ctx, index, records)
}

func (j *Journal) readBack(ctx context.Context, index uint64, limit int) ([][]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	return readRange(ctx, j.store, index, limit)
}

func (j *Journal) setTrouble(index uint64, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.trouble = fmt.Errorf("journal entry %d: %w", index, err)
}

// sleep returns [ErrClosed] when the journal is closed meanwhile.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ErrClosed
	}
}
