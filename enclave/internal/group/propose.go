package group

import (
	"context"
	"crypto/rand"
	"errors"
	mrand "math/rand/v2"
	"slices"
	"time"

	"github.com/sallyport/sallyport/enclave/internal/mpc"
	"github.com/sallyport/sallyport/enclave/wire"
)

// submitTimeout bounds the wait for an outcome: two members that outbid each
// other agree in well under a second, and one that is away is noticed in five.
const submitTimeout = 30 * time.Second

// Submit puts an item into the group's order, and returns what came of it when it
// was applied here. Without an outcome the item may have been ordered or not:
// submitting the same again must be harmless.
//
// Errors: Unavailable when too few members answer; FailedPrecondition with
// [ReasonDiffers] or [ReasonClock]; what Admit of other members refused with.
func (g *Group) Submit(ctx context.Context, body []byte) (at Place, outcome any, err error) {
	if len(body) > MaxBody {
		return at, nil, wire.Errorf(wire.InvalidArgument, "REQUEST_INVALID", "a request to a key group has at most %d bytes", MaxBody)
	}
	p := &pending{item: Item{Node: g.Self, SeenMs: g.Now().UnixMilli(), Body: body}, done: make(chan result, 1)}
	rand.Read(p.item.ID[:]) // never fails
	g.mu.Lock()
	if g.broken != nil {
		defer g.mu.Unlock()
		return at, nil, g.broken
	}
	g.queue = append(g.queue, p)
	g.mu.Unlock()
	nudge(g.wake)
	ctx, cancel := context.WithTimeout(ctx, submitTimeout)
	defer cancel()
	select {
	case r := <-p.done:
		return r.at, r.outcome, r.err
	case <-ctx.Done():
		g.drop(p.item.ID)
		return at, nil, wire.Errorf(wire.Unavailable, "", "the members of the key group have not agreed in time; repeat the same request")
	}
}

func (g *Group) drop(id [16]byte) *pending {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, p := range g.queue {
		if p.item.ID == id {
			g.queue = slices.Delete(g.queue, i, i+1)
			return p
		}
	}
	return nil
}

func (g *Group) deliver(id [16]byte, r result) {
	if p := g.drop(id); p != nil {
		p.done <- r
	}
}

// propose proposes what was submitted here, one slot after the other.
func (g *Group) propose() {
	failures := 0
	for {
		select {
		case <-g.ctx.Done():
			return
		case <-g.wake:
		}
		for g.ctx.Err() == nil && g.waiting() {
			err := g.turn(g.ctx, nil, g.batch)
			if err == nil {
				failures = 0
				continue
			}
			if !errors.Is(err, errOutbid) {
				g.refuse(err)
			}
			failures++
			g.pause(failures)
		}
		g.most = maxItems
	}
}

func (g *Group) waiting() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.queue) > 0 && g.broken == nil
}

// refuse ends what waits with an error that will not pass soon. An item that is
// refused takes no other with it: they are tried again one by one.
func (g *Group) refuse(err error) {
	g.Log.Warn("key group: proposing", "error", err.Error())
	e, ok := errors.AsType[*wire.Error](err)
	passes := ok && (e.Code == wire.Unavailable || e.Reason == ReasonDiffers)
	if !passes && g.most > 1 {
		g.most = 1
		return
	}
	g.mu.Lock()
	n := len(g.queue)
	if !passes {
		n = min(n, 1)
	}
	queue := g.queue[:n:n]
	g.queue = g.queue[n:]
	g.mu.Unlock()
	for _, p := range queue {
		p.done <- result{err: unavailable(err)}
	}
}

// pause lets who has outbid this member go on. It grows, and is random, so that two
// do not outbid each other for long.
func (g *Group) pause(failures int) {
	most := 10 * time.Millisecond << min(failures, 6)
	select {
	case <-g.ctx.Done():
	case <-time.After(time.Duration(mrand.Int64N(int64(most)))):
	}
}

// batch is the value of what waits; nil for nothing.
func (g *Group) batch() []byte {
	g.mu.Lock()
	defer g.mu.Unlock()
	v := value{TimeMs: max(g.Now().UnixMilli(), g.timeMs)}
	size := 0
	for _, p := range g.queue {
		if size += len(p.item.Body) + 128; len(v.Items) == g.most || size > MaxBody && len(v.Items) > 0 {
			break
		}
		v.TimeMs = max(v.TimeMs, p.item.SeenMs)
		v.Items = append(v.Items, p.item)
	}
	if len(v.Items) == 0 {
		return nil
	}
	return encodeValue(&v)
}

// errOutbid: another member proposes too, or is ahead. Trying again mends it.
var errOutbid = errors.New("another member was faster")

// turn takes one turn to propose for the next slot: first whatever may have been
// chosen there, else what make gives. Without skip, one that prepared before goes
// on under the same ballot.
func (g *Group) turn(ctx context.Context, skip func() bool, make func() []byte) error {
	select {
	case <-g.proposer:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { g.proposer <- struct{}{} }()
	if skip != nil {
		if skip() {
			return nil
		}
		g.setLead(0)
	}
	g.mu.Lock()
	slot, digest := g.state()
	m := ballotMessage{Slot: slot, Digest: digest, Ballot: g.lead}
	g.mu.Unlock()
	var found []byte
	if m.Ballot == 0 {
		var err error
		if found, err = g.prepare(ctx, &m); err != nil {
			return err
		}
	}
	if m.Value = found; found == nil {
		m.Value, m.Fresh = make(), true
	}
	if m.Value == nil {
		return nil
	}
	if _, err := g.ask(ctx, methodAccept, &m); err != nil {
		g.setLead(0) // the next ballot finds what this one may have left
		if _, ok := errors.AsType[*refusal](err); ok && m.Fresh {
			g.takeBack(&m)
		}
		return err
	}
	g.setLead(m.Ballot)
	if err := g.learn(m.Slot, m.Value); err != nil {
		return err
	}
	for _, p := range g.peers {
		nudge(g.tell[p]) // that it was chosen
	}
	return nil
}

// takeBack forgets a value that this member has accepted from itself and others
// have refused, or it would be proposed again as one that may have been chosen.
// It was not: only this member could have learned that under its ballot, which
// it has given up.
func (g *Group) takeBack(m *ballotMessage) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if a := g.accepted; a == nil || a.ballot != m.Ballot || uint64(len(g.past)) != m.Slot {
		return
	}
	if g.note(EntryAccepted, acceptedEntry{m.Slot, m.Ballot, nil}) == nil {
		g.accepted = nil
	}
}

func (g *Group) setLead(ballot uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.lead = ballot; ballot != g.promised {
		g.lead = 0
	}
}

// prepare takes a new ballot, and returns the value that must be proposed under it.
func (g *Group) prepare(ctx context.Context, m *ballotMessage) ([]byte, error) {
	g.mu.Lock()
	m.Ballot = (max(g.seen, g.promised)/mpc.MaxParties+1)*mpc.MaxParties + g.number
	g.mu.Unlock()
	votes, err := g.ask(ctx, methodPrepare, m)
	if err != nil {
		return nil, err
	}
	var best vote
	for _, v := range votes {
		if v.Value != nil && (best.Value == nil || v.Ballot > best.Ballot) {
			best = *v
		}
	}
	return best.Value, nil
}
