package group

import (
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/sallyport/sallyport/enclave/internal/codec"
	"github.com/sallyport/sallyport/enclave/internal/journal"
)

// The kinds of journal entries of this package. 34 is not used.
const (
	EntryPromise  journal.Kind = 32
	EntryAccepted journal.Kind = 33
	EntryApplied  journal.Kind = 35
)

// Mine tells the kinds that [Group.ReplayEntry] reads.
func Mine(k journal.Kind) bool { return k >= EntryPromise && k <= EntryApplied }

type promiseEntry struct {
	Ballot uint64 `cbor:"1,keyasint"`
}

type acceptedEntry struct {
	Slot   uint64 `cbor:"1,keyasint"`
	Ballot uint64 `cbor:"2,keyasint"`
	Value  []byte `cbor:"3,keyasint"` // empty: the last one was taken back
}

// An appliedEntry is a slot with what came of it.
type appliedEntry struct {
	Slot    uint64   `cbor:"1,keyasint"`
	TimeMs  int64    `cbor:"2,keyasint"`
	Value   []byte   `cbor:"3,keyasint"`
	Records [][]byte `cbor:"4,keyasint"` // one of each item
	Digest  [32]byte `cbor:"5,keyasint"` // after it
}

// ReplayEntry takes one entry back.
func (g *Group) ReplayEntry(e journal.Entry) error {
	if err := g.replay(e); err != nil {
		return fmt.Errorf("key group: %w", err)
	}
	return nil
}

func (g *Group) replay(e journal.Entry) error {
	switch e.Kind {
	case EntryPromise:
		var p promiseEntry
		if err := codec.Decode(e.Body, &p); err != nil {
			return err
		}
		g.promise(p.Ballot)
		return nil
	case EntryAccepted:
		var a acceptedEntry
		if err := codec.Decode(e.Body, &a); err != nil {
			return err
		}
		if a.Slot != uint64(len(g.past)) {
			return fmt.Errorf("a value was accepted at slot %d of %d", a.Slot, len(g.past))
		}
		g.promise(a.Ballot)
		g.accepted = nil
		if len(a.Value) > 0 {
			g.accepted = &accepted{a.Ballot, a.Value}
		}
		return nil
	case EntryApplied:
		return g.replayApplied(e)
	}
	return fmt.Errorf("kind %d is not of this release", e.Kind)
}

func (g *Group) replayApplied(e journal.Entry) error {
	a, v, err := decodeApplied(e)
	if err != nil {
		return err
	}
	n, before := g.state()
	switch {
	case a.Slot != n:
		return fmt.Errorf("slot %d was applied after %d", a.Slot, n)
	case a.Digest != next(before, a.Slot, a.Value, a.Records):
		return errors.New("the state was that of a group with other members or another threshold")
	}
	ref := Ref{e.Index, e.Leaf}
	if err := g.Replay(Place{a.Slot, a.TimeMs}, v.Items, a.Records, ref); err != nil {
		return err
	}
	g.push(past{ref: ref, digest: a.Digest, value: sha256.Sum256(a.Value)}, a.TimeMs)
	return nil
}

// push is the step to the next slot; the caller holds the lock, or nobody has it yet.
func (g *Group) push(p past, timeMs int64) {
	g.past = append(g.past, p)
	g.timeMs, g.accepted = timeMs, nil
}

func decodeApplied(e journal.Entry) (*appliedEntry, *value, error) {
	var a appliedEntry
	if err := codec.Decode(e.Body, &a); err != nil {
		return nil, nil, err
	}
	v, err := decodeValue(a.Value)
	if err == nil && len(v.Items) != len(a.Records) {
		err = errors.New("not one record of each item")
	}
	return &a, v, err
}

// Applied reads the entry of a slot back: its items, and the record of each.
func Applied(e journal.Entry) (p Place, items []Item, records [][]byte, err error) {
	if e.Kind != EntryApplied {
		return p, nil, nil, fmt.Errorf("journal entry %d: is no slot of a key group", e.Index)
	}
	a, v, err := decodeApplied(e)
	if err != nil {
		return p, nil, nil, fmt.Errorf("journal entry %d: %w", e.Index, err)
	}
	return Place{a.Slot, a.TimeMs}, v.Items, a.Records, nil
}
