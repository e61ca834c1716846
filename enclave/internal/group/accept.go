package group

import (
	"context"
	"time"

	"github.com/sallyport/sallyport/enclave/internal/codec"
	"github.com/sallyport/sallyport/enclave/internal/journal"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
	"github.com/sallyport/sallyport/enclave/wire"
)

// At brings this member to a state that another one has told of, or further. A copy
// that differs is refused with both digests.
func (g *Group) At(ctx context.Context, from mpc.NodeID, slots uint64, digest [32]byte) error {
	return g.level(ctx, from, slots, digest)
}

// level brings this member to a slot, and compares the digest before it. It may
// be further already.
func (g *Group) level(ctx context.Context, from mpc.NodeID, slot uint64, digest [32]byte) error {
	g.mu.Lock()
	behind := uint64(len(g.past)) < slot
	g.mu.Unlock()
	if behind && from != g.Self {
		if err := g.fetchFrom(ctx, from); err != nil {
			return err
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.broken != nil:
		return g.broken
	case uint64(len(g.past)) < slot:
		return wire.Errorf(wire.Unavailable, ReasonBehind, "this member has %d entries and could not get %d", len(g.past), slot)
	case g.digestAt(slot) != digest:
		return g.differ(slot, g.digestAt(slot), digest, from)
	}
	return nil
}

// onPrepare promises to help no lower ballot, in this slot and all after it, and
// tells what was accepted here before.
func (g *Group) onPrepare(ctx context.Context, from mpc.NodeID, m *ballotMessage) (*vote, error) {
	if err := g.level(ctx, from, m.Slot, m.Digest); err != nil {
		return nil, err
	}
	g.mu.Lock()
	v := g.answer(m)
	if v.OK && m.Ballot > g.promised {
		if err := g.note(EntryPromise, promiseEntry{m.Ballot}); err != nil {
			g.mu.Unlock()
			return nil, err
		}
		g.promise(m.Ballot)
	}
	if a := g.accepted; v.OK && a != nil {
		v.Ballot, v.Value = a.ballot, a.value
	}
	g.mu.Unlock()
	return v, g.journal.Barrier(ctx)
}

// onAccept has a value durably, unless a higher ballot was promised.
func (g *Group) onAccept(ctx context.Context, from mpc.NodeID, m *ballotMessage) (*vote, error) {
	if err := g.level(ctx, from, m.Slot, m.Digest); err != nil {
		return nil, err
	}
	v, err := decodeValue(m.Value)
	if err != nil {
		return nil, err
	}
	if m.Fresh && from != g.Self {
		if err := g.admit(from, v); err != nil {
			return nil, err
		}
	}
	g.mu.Lock()
	a := g.answer(m)
	if a.OK {
		if err := g.note(EntryAccepted, acceptedEntry{m.Slot, m.Ballot, m.Value}); err != nil {
			g.mu.Unlock()
			return nil, err
		}
		g.promise(m.Ballot)
		g.accepted = &accepted{m.Ballot, m.Value}
	}
	g.mu.Unlock()
	return a, g.journal.Barrier(ctx)
}

// answer judges slot and ballot; the caller holds the lock.
func (g *Group) answer(m *ballotMessage) *vote {
	n := uint64(len(g.past))
	return &vote{OK: n == m.Slot && m.Ballot >= g.promised && m.Ballot != 0, Applied: n, Promised: g.promised}
}

// promise raises the promise; the caller holds the lock.
func (g *Group) promise(ballot uint64) {
	g.promised, g.seen = max(g.promised, ballot), max(g.seen, ballot)
	if g.promised != g.lead {
		g.lead = 0
	}
}

// admit judges what is new to all: at first sight, by this member's own clock.
func (g *Group) admit(from mpc.NodeID, v *value) error {
	now := g.Now().UnixMilli()
	if v.TimeMs > now+maxAhead.Milliseconds() {
		return wire.Errorf(wire.FailedPrecondition, ReasonClock, "the clock of node %s is more than %v ahead of this member's", from, maxAhead)
	}
	for i := range v.Items {
		item := &v.Items[i]
		switch {
		case item.Node != from:
			return wire.Errorf(wire.InvalidArgument, "", "value: items[%d].node: is not the member that proposes it", i)
		case item.SeenMs > v.TimeMs, item.SeenMs < now-(maxAhead+maxWait).Milliseconds():
			return wire.Errorf(wire.FailedPrecondition, ReasonClock, "value: items[%d]: node %s says that it came at a time that is not now", i, from)
		case len(item.Body) > MaxBody:
			return wire.Errorf(wire.InvalidArgument, "", "value: items[%d]: must have at most %d bytes", i, MaxBody)
		}
		if g.Admit != nil {
			if err := g.Admit(item); err != nil {
				return err
			}
		}
	}
	return nil
}

// busyPause is the wait for a journal that has too much to write.
const busyPause = 20 * time.Millisecond

// note queues a journal entry. What depends on it waits for the journal.
func (g *Group) note(kind journal.Kind, entry any) error {
	_, err := g.journal.Propose(kind, func(uint64, int64) ([]byte, error) { return codec.Encode(entry), nil })
	if err != nil {
		g.Log.Warn("key group: journal", "error", err.Error())
		return wire.Errorf(wire.Unavailable, "", "the journal of node %s is not available", g.Self)
	}
	return nil
}
