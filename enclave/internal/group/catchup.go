package group

import (
	"context"
	"errors"
	"time"

	"github.com/sallyport/sallyport/enclave/internal/mpc"
	"github.com/sallyport/sallyport/enclave/wire"
)

// beat is how often members tell each other how far they are when nothing happens.
const beat = 5 * time.Second

// inform keeps one other member informed: soon after each slot, and from time to time.
func (g *Group) inform(p mpc.NodeID) {
	tick := time.NewTicker(beat)
	defer tick.Stop()
	for {
		idle := false
		select {
		case <-g.ctx.Done():
			return
		case <-g.tell[p]:
		case <-tick.C:
			idle = true
		}
		a, err := g.reach(g.ctx, p)
		if err != nil {
			if e, ok := errors.AsType[*wire.Error](err); ok && e.Code != wire.Unavailable {
				g.Log.Warn("key group: informing a member", "node", p.String(), "error", e.Message)
			}
			continue
		}
		if idle {
			_ = g.settle(g.ctx, g.open(a)) // it is tried again at the next beat
		}
	}
}

// reach tells a member how far this one is, and fetches what that one has more.
func (g *Group) reach(ctx context.Context, p mpc.NodeID) (*reached, error) {
	g.mu.Lock()
	m := reach{}
	m.Applied, m.Digest = g.state()
	if m.Applied > 0 {
		m.Value = &g.past[m.Applied-1].value
	}
	g.mu.Unlock()
	a, err := call[reached](ctx, g, p, methodReach, m)
	if err != nil {
		return nil, err
	}
	if n, _ := g.State(); a.Applied > n {
		if err := g.fetchFrom(ctx, p); err != nil {
			return nil, err
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if a.Applied > uint64(len(g.past)) {
		return nil, wire.Errorf(wire.Unavailable, ReasonBehind, "this member could not get the entries of node %s", p)
	}
	if own := g.digestAt(a.Applied); own != a.Digest {
		return nil, g.differ(a.Applied, own, a.Digest, p)
	}
	return a, nil
}

// open is the number of slots in which something may have been chosen.
func (g *Group) open(answers ...*reached) uint64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	slots := uint64(len(g.past))
	if g.accepted != nil {
		slots++
	}
	for _, a := range answers {
		slots = max(slots, a.Seen)
	}
	return slots
}

// A value that waits to be chosen is most often chosen by who has proposed it, a
// moment later.
const (
	grace    = 60 * time.Millisecond
	maxTries = 10
)

// settle ends the question what was chosen in so many slots: what may have been is
// chosen and applied.
func (g *Group) settle(ctx context.Context, slots uint64) error {
	for wait := grace; wait > 0 && !g.has(slots); wait -= grace / 6 {
		if err := sleep(ctx, grace/6); err != nil {
			return err
		}
	}
	for failures := 1; ; failures++ {
		err := g.turn(ctx, func() bool { return g.has(slots) }, func() []byte { return nil })
		if !errors.Is(err, errOutbid) || ctx.Err() != nil || failures >= maxTries {
			return err
		}
		g.pause(failures)
	}
}

func (g *Group) has(slots uint64) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return uint64(len(g.past)) >= slots
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// CatchUp brings this member to the newest state that any of the others knows of.
// All of them must answer, and must have the same state. With t members
// altogether nothing that was decided before the call is missed.
func (g *Group) CatchUp(ctx context.Context, others []mpc.NodeID) error {
	return g.consult(ctx, others, len(others))
}

// Refresh is CatchUp with whichever members answer first, as many as it takes. One
// is under way at a time, and all who ask meanwhile share the next: requests of
// anybody can lead to it.
func (g *Group) Refresh(ctx context.Context) error {
	g.mu.Lock()
	next := g.refresh
	if next == nil {
		next = &round{done: make(chan struct{})}
		g.refresh = next
		go g.share(next)
	}
	g.mu.Unlock()
	select {
	case <-next.done:
		return next.err
	case <-ctx.Done():
		return unavailable(ctx.Err())
	}
}

// A round is one refresh that callers share, all of whom came before it began.
type round struct {
	done chan struct{}
	err  error
}

func (g *Group) share(r *round) {
	g.refreshing.Lock()
	defer g.refreshing.Unlock()
	g.mu.Lock()
	g.refresh = nil // who comes from now on needs a later one
	g.mu.Unlock()
	r.err = g.consult(g.ctx, g.peers, len(g.Members)-g.quorum)
	close(r.done)
}

func (g *Group) consult(ctx context.Context, nodes []mpc.NodeID, need int) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type answer struct {
		reached *reached
		err     error
	}
	answers := make(chan answer, len(nodes))
	for _, p := range nodes {
		go func() {
			a, err := g.reach(ctx, p)
			answers <- answer{a, err}
		}()
	}
	var got []*reached
	var failure error
	for range nodes {
		if len(got) >= need {
			break
		}
		if a := <-answers; a.err == nil {
			got = append(got, a.reached)
		} else if e, ok := errors.AsType[*wire.Error](a.err); failure == nil || ok && e.Code != wire.Unavailable {
			failure = a.err
		}
	}
	if len(got) < need {
		return failure
	}
	if err := g.settle(ctx, g.open(got...)); err != nil {
		return unavailable(err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.broken
}

// unavailable is what a caller is told of an error that passes.
func unavailable(err error) error {
	if e, ok := errors.AsType[*wire.Error](err); ok {
		return e
	}
	return wire.Errorf(wire.Unavailable, "", "the members of the key group have not agreed in time; repeat the same request")
}
