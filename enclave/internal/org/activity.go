package org

import (
	"context"

	"github.com/sallyport/sallyport/enclave/internal/codec"
	"github.com/sallyport/sallyport/enclave/internal/group"
	"github.com/sallyport/sallyport/enclave/internal/journal"
	"github.com/sallyport/sallyport/enclave/wire"
)

// A status is where an activity is. Numbers stand in the journal.
type status uint8

const (
	statusPending   status = 1 // needs more votes
	statusCompleted status = 2
	statusFailed    status = 3 // execution went wrong
	statusDenied    status = 4 // no quorum or policy allows it
	statusRejected  status = 5 // a voter rejected it
	// statusAllowed is an activity of a key group that is being carried out.
	statusAllowed status = 6
)

// text is the status as clients know it. A denied activity shows as rejected,
// with the denial as its failure.
func (s status) text() string {
	switch s {
	case statusPending:
		return "ACTIVITY_STATUS_CONSENSUS_NEEDED"
	case statusCompleted:
		return "ACTIVITY_STATUS_COMPLETED"
	case statusFailed:
		return "ACTIVITY_STATUS_FAILED"
	case statusAllowed:
		return "ACTIVITY_STATUS_PENDING"
	default:
		return "ACTIVITY_STATUS_REJECTED"
	}
}

// An event is the body of one activity entry in the journal: one stamped
// request and what it led to. An activity is the fold of its events.
type event struct {
	Organization id           `cbor:"1,keyasint"`
	Body         []byte       `cbor:"2,keyasint"`           // exact request body
	Stamp        []byte       `cbor:"3,keyasint"`           // exact X-Stamp header
	User         id           `cbor:"4,keyasint"`           // whose stamp it is
	Target       *fingerprint `cbor:"5,keyasint,omitempty"` // the activity voted on; nil makes a new one
	Reject       bool         `cbor:"6,keyasint,omitempty"` // the vote is a rejection
	Status       status       `cbor:"7,keyasint"`           // of the activity after this event
	Result       []byte       `cbor:"8,keyasint,omitempty"` // CBOR of the kind's result, when completed
	Failure      *failure     `cbor:"9,keyasint,omitempty"` // when failed or denied
}

type failure struct {
	Code    wire.Code `cbor:"1,keyasint"`
	Reason  string    `cbor:"2,keyasint,omitempty"`
	Message string    `cbor:"3,keyasint"`
}

func failureOf(err *wire.Error) *failure {
	return &failure{Code: err.Code, Reason: err.Reason, Message: err.Message}
}

func (f *failure) err() *wire.Error {
	return &wire.Error{Code: f.Code, Reason: f.Reason, Message: f.Message}
}

// A vote is one user's stamped word on an activity.
type vote struct {
	user    id
	reject  bool
	body    []byte
	stamp   []byte
	created int64
	made    fingerprint // of body
}

// content is the part of an activity that can be read back from the journal.
type content struct {
	asked   *parsed // what body says
	body    []byte
	votes   []vote
	result  []byte
	failure *failure
}

// fold adds an event. It copies nothing: events are not changed once made.
func (c *content) fold(ev *event, timeMs int64) {
	if ev.Target == nil {
		c.body = ev.Body
	}
	c.votes = append(c.votes, vote{
		user: ev.User, reject: ev.Reject, body: ev.Body, stamp: ev.Stamp,
		created: timeMs, made: fingerprintOf(ev.Body),
	})
	c.result, c.failure = ev.Result, ev.Failure
}

// An entryRef finds an event in the journal, and tells it from any other that
// the host may show in its place.
type entryRef struct {
	index uint64
	leaf  [32]byte
	item  uint16 // in an entry of a key group
}

// An activity is what stays in memory of one; content may be nil when it is
// finished, and is then read back from its entries.
type activity struct {
	id          id
	fingerprint fingerprint
	kind        *kind
	typ         string
	status      status
	created     int64
	updated     int64
	entries     []entryRef
	content     *content
}

// recall reads an activity's content back from the journal.
func (s *Service) recall(ctx context.Context, entries []entryRef) (*content, error) {
	c := &content{}
	for _, ref := range entries {
		entry, err := s.journal.Read(ctx, ref.index, ref.leaf)
		if err != nil {
			return nil, err
		}
		if entry.Kind == group.EntryApplied {
			if err := c.foldOrdered(entry, ref); err != nil {
				return nil, err
			}
			continue
		}
		ev, err := decodeEvent(entry)
		if err != nil {
			return nil, err
		}
		c.fold(ev, entry.TimeMs)
	}
	var err error
	c.asked, err = parseBody(c.body)
	return c, err
}

func decodeEvent(e journal.Entry) (*event, error) {
	var ev event
	if err := codec.Decode(e.Body, &ev); err != nil {
		return nil, wire.Errorf(wire.Internal, "", "journal entry %d: not an activity event: %v", e.Index, err)
	}
	return &ev, nil
}

// A recent list keeps the content of the newest finished activities in
// memory; older ones are read back when somebody asks.
type recent struct {
	ring []*activity
	next int
}

// recentActivities bounds the memory of finished activities: about 2 KiB each.
const recentActivities = 4096

func (r *recent) add(a *activity) {
	if len(r.ring) < recentActivities {
		r.ring = append(r.ring, a)
		return
	}
	r.ring[r.next].content = nil
	r.ring[r.next] = a
	r.next = (r.next + 1) % len(r.ring)
}
