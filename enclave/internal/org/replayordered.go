package org

import (
	"github.com/sallyport/sallyport/enclave/internal/codec"
	"github.com/sallyport/sallyport/enclave/internal/group"
	"github.com/sallyport/sallyport/enclave/internal/journal"
	"github.com/sallyport/sallyport/enclave/wire"
)

// replaySlot applies what came of a slot; see [group.Config].
func (s *Service) replaySlot(p group.Place, items []group.Item, records [][]byte, ref group.Ref) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clockMs = p.TimeMs
	for i := range items {
		in, entry, err := decodeOrder(&items[i], records[i])
		switch {
		case err != nil:
			return err
		case entry.Founded:
			err = s.applyFounding(in.Found.Body, p.TimeMs, s.Group)
		case entry.Event != nil:
			err = s.applyEvent(entry.Event, nil, p.TimeMs, entryRef{ref.Index, ref.Leaf, uint16(i)})
			if err == nil {
				o := s.orgs[entry.Event.Organization]
				s.decidedAt(o.recorded(fingerprintOf(entry.Event.Body), entry.Event.User), entry.Event, items[i].Node)
			}
		case entry.Ended != nil:
			err = s.applyEnded(in.Finish, entry.Ended, p.TimeMs, entryRef{ref.Index, ref.Leaf, uint16(i)})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// decodeOrder reads an order and what came of it, as it was before.
func decodeOrder(item *group.Item, record []byte) (*order, *ledger, error) {
	var entry ledger
	var in order
	if err := codec.Decode(record, &entry); err != nil {
		return nil, nil, err
	}
	if entry.Refused != nil {
		return &in, &entry, nil // what was refused may be anything
	}
	if err := codec.Decode(item.Body, &in); err != nil {
		return nil, nil, err
	}
	if (entry.Event != nil && in.Submit == nil) || (entry.Ended != nil && in.Finish == nil) || (entry.Founded && in.Found == nil) {
		return nil, nil, wire.Errorf(wire.Internal, "", "what came of an order does not belong to it")
	}
	if ev := entry.Event; ev != nil {
		ev.Body, ev.Stamp = in.Submit.Body, in.Submit.Stamp
	}
	return &in, &entry, nil
}

// foldOrdered adds what an entry of a key group has of an activity.
func (c *content) foldOrdered(e journal.Entry, ref entryRef) error {
	p, items, records, err := group.Applied(e)
	if err != nil {
		return err
	}
	if int(ref.item) >= len(items) {
		return wire.Errorf(wire.Internal, "", "journal entry %d: has no item %d", e.Index, ref.item)
	}
	in, entry, err := decodeOrder(&items[ref.item], records[ref.item])
	switch {
	case err != nil:
		return err
	case entry.Event != nil:
		c.fold(entry.Event, p.TimeMs)
	case entry.Ended != nil:
		c.end(in.Finish, entry.Ended)
	}
	return nil
}
