package journal

import (
	"bytes"
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"time"

	"github.com/sallyport/sallyport/enclave/internal/seal"
	"github.com/sallyport/sallyport/enclave/wire"
)

// Open replays the whole journal, giving each entry in order to apply, and then
// accepts new ones. The context is for the replay only. An error names the index
// that it is about; an error of apply ends the replay.
//
// now is trusted time. It is called with the journal locked.
func Open(ctx context.Context, store Store, sealer *seal.Sealer, now func() time.Time, apply func(Entry) error) (*Journal, error) {
	j := &Journal{
		store:  store,
		sealer: sealer,
		now:    now,
		wake:   make(chan struct{}, 1),
		dead:   make(chan struct{}),
		ended:  make(chan struct{}),
	}
	if err := j.replay(ctx, apply); err != nil {
		return nil, err
	}
	durable := j.tip
	j.durable.Store(&durable)
	ctx, j.cancel = context.WithCancel(context.WithoutCancel(ctx))
	go j.run(ctx)
	return j, nil
}

func (j *Journal) replay(ctx context.Context, apply func(Entry) error) error {
	for {
		records, err := readRange(ctx, j.store, j.tip.size, wire.MaxRange)
		if err != nil {
			return fmt.Errorf("journal entry %d: reading: %w", j.tip.size, err)
		}
		if len(records) == 0 {
			return nil
		}
		for _, record := range records {
			if err := j.replayOne(record, apply); err != nil {
				return fmt.Errorf("journal entry %d: %w", j.tip.size, err)
			}
		}
	}
}

func (j *Journal) replayOne(record []byte, apply func(Entry) error) error {
	e, prev, err := j.open(j.tip.size, record)
	switch {
	case err != nil:
		return err
	case !bytes.Equal(prev, j.tip.head[:]):
		return errors.New("does not continue the entries before it")
	case e.TimeMs < j.tip.timeMs:
		return errors.New("time is below the entry before it")
	case e.Epoch < j.tip.epoch:
		return errors.New("epoch is below the entry before it")
	}
	if err := apply(e); err != nil {
		return err
	}
	j.tip = j.tip.after(e)
	return nil
}

// Read reads a durable entry back from the host. Its leaf must be the one that
// replay or the ticket gave; the entry of another branch is an error that wraps
// [ErrStale].
func (j *Journal) Read(ctx context.Context, index uint64, wantLeaf [32]byte) (Entry, error) {
	if size, _ := j.Head(); index >= size {
		return Entry{}, fmt.Errorf("journal entry %d: is not durable", index)
	}
	records, err := readRange(ctx, j.store, index, 1)
	if err != nil {
		return Entry{}, fmt.Errorf("journal entry %d: reading: %w", index, err)
	}
	if len(records) == 0 {
		return Entry{}, fmt.Errorf("journal entry %d: the host does not have it any more", index)
	}
	e, _, err := j.open(index, records[0])
	if err != nil {
		return Entry{}, fmt.Errorf("journal entry %d: %w", index, err)
	}
	if subtle.ConstantTimeCompare(e.Leaf[:], wantLeaf[:]) != 1 {
		return Entry{}, fmt.Errorf("journal entry %d: %w", index, ErrStale)
	}
	return e, nil
}

// readRange asks the host and does not take more than it asked for.
func readRange(ctx context.Context, store Store, index uint64, limit int) ([][]byte, error) {
	records, err := store.ReadRange(ctx, index, limit)
	if err != nil {
		return nil, err
	}
	if len(records) > limit {
		return nil, fmt.Errorf("the host gave %d records for %d", len(records), limit)
	}
	return records, nil
}
