package node

import (
	"context"
	"fmt"

	"github.com/sallyport/sallyport/enclave/internal/codec"
	"github.com/sallyport/sallyport/enclave/internal/journal"
	"github.com/sallyport/sallyport/enclave/wire"
)

// The kinds of journal entries that this package writes and replays: 48 to 63.
const (
	EntryIdentity     journal.Kind = 48
	EntryUser         journal.Kind = 49
	EntryAPIKey       journal.Kind = 50
	EntryUserDeleted  journal.Kind = 51
	EntryRule         journal.Kind = 52
	EntryPolicy       journal.Kind = 53
	EntryAttachment   journal.Kind = 54
	EntryCreated      journal.Kind = 55
	EntryShare        journal.Kind = 56
	EntryContribution journal.Kind = 57
	EntryExported     journal.Kind = 58
	EntryRetired      journal.Kind = 59
	EntryKeyDeleted   journal.Kind = 60
	EntryExport       journal.Kind = 61
	EntryStamp        journal.Kind = 62
)

// Mine tells whether a kind of entry belongs to this package.
func Mine(k journal.Kind) bool { return k >= EntryIdentity && k < EntryIdentity+16 }

// An applier changes the state by one entry, at commit and at replay.
type applier func(st *state, body []byte, timeMs int64) error

// apply makes an applier of a function on decoded entries.
func apply[T any](f func(st *state, e *T, timeMs int64) error) applier {
	return func(st *state, body []byte, timeMs int64) error {
		e := new(T)
		if err := codec.Decode(body, e); err != nil {
			return err
		}
		return f(st, e, timeMs)
	}
}

var appliers map[journal.Kind]applier

// Replay applies one journal entry to the state.
func (s *Service) Replay(e journal.Entry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := appliers[e.Kind]
	if f == nil {
		return wire.Errorf(wire.Internal, "", "journal entry %d: kind %d is not of this release", e.Index, e.Kind)
	}
	if err := f(s.state, e.Body, e.TimeMs); err != nil {
		return wire.Errorf(wire.Internal, "", "journal entry %d: %v", e.Index, err)
	}
	return nil
}

// record makes one entry: judge looks at the state and says what to record. It
// is applied at once, and record returns when it is durable.
func record[T any](ctx context.Context, s *Service, kind journal.Kind, judge func(st *state) (T, error)) error {
	return recordAt(ctx, s, kind, func(st *state) (func(index uint64, timeMs int64) (T, error), error) {
		e, err := judge(st)
		return func(uint64, int64) (T, error) { return e, nil }, err
	})
}

// recordAt is record for entries that name their own place in the journal.
func recordAt[T any](ctx context.Context, s *Service, kind journal.Kind, judge func(st *state) (func(uint64, int64) (T, error), error)) error {
	ticket, err := proposeAt(s, kind, judge)
	if err != nil {
		return err
	}
	if err := s.journal.Wait(ctx, ticket); err != nil {
		return s.unavailable(err)
	}
	return nil
}

// proposeAt queues an entry and applies it. The state runs ahead of the journal
// by what is in flight: nobody is told of it before it is durable.
func proposeAt[T any](s *Service, kind journal.Kind, judge func(st *state) (func(uint64, int64) (T, error), error)) (journal.Ticket, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	entry, err := judge(s.state)
	if err != nil {
		return journal.Ticket{}, err
	}
	var body []byte
	var at int64
	ticket, err := s.journal.Propose(kind, func(index uint64, timeMs int64) ([]byte, error) {
		e, err := entry(index, timeMs)
		if err != nil {
			return nil, err
		}
		body, at = codec.Encode(e), timeMs
		return body, nil
	})
	if err != nil {
		return ticket, s.unavailable(err)
	}
	if err := appliers[kind](s.state, body, at); err != nil {
		return ticket, fmt.Errorf("internal error: applying what was recorded: %w", err)
	}
	return ticket, nil
}
