package group

import (
	"context"
	"crypto/sha256"
	"errors"
	"slices"
	"time"

	"github.com/sallyport/sallyport/enclave/internal/codec"
	"github.com/sallyport/sallyport/enclave/internal/journal"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
	"github.com/sallyport/sallyport/enclave/wire"
)

// learn applies the value that was chosen for a slot, if that is the next one.
func (g *Group) learn(slot uint64, raw []byte) error {
	g.applying.Lock()
	defer g.applying.Unlock()
	g.mu.Lock()
	n, before := g.state()
	timeMs, broken := g.timeMs, g.broken
	g.mu.Unlock()
	if broken != nil || n != slot {
		return broken
	}
	v, err := decodeValue(raw)
	if err != nil {
		return err
	}
	at := Place{slot, max(timeMs, v.TimeMs)}
	outcomes, err := g.Apply(at, v.Items, func(records [][]byte) (Ref, error) {
		return g.commit(at, before, raw, records)
	})
	if err == nil && len(outcomes) != len(v.Items) {
		err = errors.New("internal error: not one outcome of each item")
	}
	if err != nil {
		// The state may be half changed, and the journal does not hold it.
		g.Log.Error("key group: applying", "slot", slot, "error", err.Error())
		g.fail(wire.Errorf(wire.Unavailable, "", "this member could not record an entry of its key group and must be restarted"))
		return g.broken
	}
	for i := range v.Items {
		g.deliver(v.Items[i].ID, result{at, outcomes[i], nil})
	}
	return nil
}

// commit journals a slot and goes on to the next one. A journal that is only busy
// is waited for: there is no way back from here.
func (g *Group) commit(at Place, before [32]byte, raw []byte, records [][]byte) (Ref, error) {
	digest := next(before, at.Slot, raw, records)
	body := codec.Encode(appliedEntry{at.Slot, at.TimeMs, raw, records, digest})
	for {
		ref, err := g.step(at, body, past{digest: digest, value: sha256.Sum256(raw)})
		if !errors.Is(err, journal.ErrBusy) {
			return ref, err
		}
		time.Sleep(busyPause)
	}
}

// step journals a slot and takes the step to the next one under one lock, so that
// what is accepted in a slot is journaled before its end.
func (g *Group) step(at Place, body []byte, p past) (Ref, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	t, err := g.journal.Propose(EntryApplied, func(uint64, int64) ([]byte, error) { return body, nil })
	if err != nil {
		return Ref{}, err
	}
	p.ref = Ref{t.Index, t.Leaf}
	g.push(p, at.TimeMs)
	return p.ref, nil
}

// fail ends this member's part for good.
func (g *Group) fail(err error) {
	g.mu.Lock()
	if g.broken == nil {
		g.broken = err
	}
	queue := g.queue
	g.queue = nil
	g.mu.Unlock()
	for _, p := range queue {
		p.done <- result{err: err}
	}
}

// onReach hears how far another member is, goes as far, and tells how far it is.
func (g *Group) onReach(ctx context.Context, from mpc.NodeID, m *reach) (*reached, error) {
	g.mu.Lock()
	var own []byte
	n := uint64(len(g.past))
	if a := g.accepted; a != nil && m.Applied == n+1 && m.Value != nil && sha256.Sum256(a.value) == *m.Value {
		own = a.value
	}
	g.mu.Unlock()
	if own != nil {
		if err := g.learn(n, own); err != nil { // it was chosen, and is here already
			return nil, err
		}
	}
	if err := g.level(ctx, from, m.Applied, m.Digest); err != nil {
		return nil, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	a := &reached{}
	a.Applied, a.Digest = g.state()
	a.Seen = a.Applied
	if g.accepted != nil {
		a.Seen++
	}
	return a, nil
}

// onFetch gives the values from a slot on, as many as fit into an answer.
func (g *Group) onFetch(ctx context.Context, from mpc.NodeID, m *fetch) (*fetched, error) {
	g.mu.Lock()
	n := uint64(len(g.past))
	if m.From > n {
		g.mu.Unlock()
		return &fetched{Values: [][]byte{}, Digests: [][32]byte{}}, nil
	}
	if own := g.digestAt(m.From); own != m.Digest {
		g.mu.Unlock()
		return nil, g.differ(m.From, own, m.Digest, from)
	}
	slots := slices.Clone(g.past[m.From:min(n, m.From+maxSlots)])
	g.mu.Unlock()
	if err := g.journal.Barrier(ctx); err != nil { // what is not durable cannot be read back
		return nil, wire.Errorf(wire.Unavailable, "", "the journal of node %s is not available", g.Self)
	}
	out := &fetched{}
	for size, i := 0, 0; i < len(slots); i++ {
		e, err := g.journal.Read(ctx, slots[i].ref.Index, slots[i].ref.Leaf)
		if err != nil {
			return nil, wire.Errorf(wire.Unavailable, "", "the journal of node %s is not available", g.Self)
		}
		a, _, err := decodeApplied(e)
		if err != nil {
			return nil, err
		}
		if size += len(a.Value); size > maxFetch && i > 0 {
			break
		}
		out.Values, out.Digests = append(out.Values, a.Value), append(out.Digests, a.Digest)
	}
	return out, nil
}

// fetchFrom applies all that another member has and this one has not. Digests are
// compared after each slot: a copy that has come to differ goes no further.
func (g *Group) fetchFrom(ctx context.Context, node mpc.NodeID) error {
	for {
		slot, digest := g.State()
		a, err := call[fetched](ctx, g, node, methodFetch, fetch{slot, digest})
		if err != nil {
			return err
		}
		if len(a.Values) == 0 {
			return nil
		}
		if len(a.Digests) != len(a.Values) {
			return wire.Errorf(wire.Internal, "", "%s: node %s gave an answer that is not well formed", methodFetch, node)
		}
		for i, raw := range a.Values {
			at := slot + uint64(i)
			if err := g.learn(at, raw); err != nil {
				return err
			}
			g.mu.Lock()
			own := g.digestAt(at + 1)
			g.mu.Unlock()
			if own != a.Digests[i] {
				err := g.differ(at+1, own, a.Digests[i], node)
				g.Log.Error("key group: copies differ", "node", node.String(), "error", err.Message)
				return err
			}
		}
	}
}

// onList tells digests, so that the first slot after which two copies differ can be found.
func (g *Group) onList(_ context.Context, _ mpc.NodeID, m *list) (*listed, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	out := &listed{Digests: [][32]byte{}}
	for i := range uint64(min(max(m.Count, 0), maxListed)) {
		if m.From+i > uint64(len(g.past)) || m.From+i < m.From {
			break
		}
		out.Digests = append(out.Digests, g.digestAt(m.From+i))
	}
	return out, nil
}

func nudge(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
