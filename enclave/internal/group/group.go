// Package group keeps one log for the members of a key group: what is
// submitted at any of them is put into one order, which each member applies
// and journals by itself. So an organization of the group is one organization,
// with a copy in each enclave.
//
// The order is agreed on slot by slot, by Paxos: a value is chosen once
// max(t, n-t+1) of the n members have it durably, where t of them sign. That is
// a majority, and so many that any t members have at least one among them that
// knows: no t members can act on an older state together if they ask each other
// first, which [Group.CatchUp] does.
//
// Members are enclaves that attest the same images; their hosts and the relay
// between them are hostile. A host can stop its member, delay and drop, and a
// host that shows its restarted enclave an old journal takes back what that
// member has promised: only witnesses stop that. What members say is authentic
// but not assumed to be right: each applies values by its own judgement, a hash
// chain runs over what came of them, and members whose copies differ refuse each
// other with the digest.
package group

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/sallyport/sallyport/enclave/internal/codec"
	"github.com/sallyport/sallyport/enclave/internal/journal"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
)

// An Item is one thing that was submitted.
type Item struct {
	ID     [16]byte   `cbor:"1,keyasint"` // random
	Node   mpc.NodeID `cbor:"2,keyasint"` // where it was submitted
	SeenMs int64      `cbor:"3,keyasint"` // when: Unix milliseconds of that node's trusted time
	Body   []byte     `cbor:"4,keyasint"`
}

// A Place is where items stand in the group's order.
type Place struct {
	Slot   uint64
	TimeMs int64 // of the slot: the same on all members, and never below that before
}

// A Ref finds the journal entry of a slot.
type Ref struct {
	Index uint64
	Leaf  [32]byte
}

// A Commit journals what came of a slot: one record for each item, the same on
// all members.
type Commit func(records [][]byte) (Ref, error)

// Config is what a Group is made of.
type Config struct {
	Self      mpc.NodeID
	Members   []mpc.NodeID // all of them, Self included
	Threshold int          // members needed to sign
	Now       func() time.Time
	Log       *slog.Logger

	// Admit judges an item that was submitted elsewhere before this member helps to
	// order it. It is not asked again when items are applied.
	Admit func(i *Item) error
	// Apply changes the state by the items of a slot, and calls commit exactly once,
	// before anybody else can see the change. What it does must depend on nothing
	// but its arguments and the slots before. Outcomes go to who submitted here.
	Apply func(p Place, items []Item, commit Commit) (outcomes []any, err error)
	// Replay changes the state by a slot that was applied before.
	Replay func(p Place, items []Item, records [][]byte, ref Ref) error
}

// A Group is one member's part in the order. It is safe for concurrent use.
type Group struct {
	Config
	peers   []mpc.NodeID // sorted
	number  uint64       // of this member, for its ballots
	quorum  int          // members that must have a value for it to be chosen
	journal *journal.Journal
	caller  mpc.Caller
	ctx     context.Context
	stop    context.CancelFunc
	running sync.WaitGroup

	applying   sync.Mutex    // held while a slot is applied
	refreshing sync.Mutex    // held while a refresh is under way
	proposer   chan struct{} // holds the token of who proposes
	most       int           // items of the next value; of who proposes

	mu       sync.Mutex
	start    [32]byte // digest before the first slot
	past     []past   // one of each slot that was applied
	timeMs   int64
	promised uint64    // no ballot below it is helped any more
	accepted *accepted // at slot len(past)
	lead     uint64    // ballot under which this member may propose at once; 0: none
	seen     uint64    // highest ballot of anybody
	broken   error
	queue    []*pending
	tell     map[mpc.NodeID]chan struct{}
	refresh  *round // the next one
	wake     chan struct{}
}

type past struct {
	ref    Ref
	digest [32]byte // after the slot
	value  [32]byte // SHA-256 of the value
}

type accepted struct {
	ballot uint64
	value  []byte
}

// A pending is an item that was submitted here.
type pending struct {
	item Item
	done chan result // takes one
}

type result struct {
	at      Place
	outcome any
	err     error
}

// New makes a member's part of a group. Replay and then Serve start it.
func New(c Config) (*Group, error) {
	members := slices.Clone(c.Members)
	slices.SortFunc(members, compare)
	at := slices.Index(members, c.Self)
	switch n := len(members); {
	case n < mpc.MinThreshold || n > mpc.MaxParties:
		return nil, fmt.Errorf("members: must be %d to %d", mpc.MinThreshold, mpc.MaxParties)
	case len(slices.Compact(slices.Clone(members))) != n:
		return nil, errors.New("members: one is listed twice")
	case at < 0:
		return nil, errors.New("members: this node is not listed")
	case c.Threshold < mpc.MinThreshold || c.Threshold > n:
		return nil, fmt.Errorf("threshold: must be %d to the number of members, %d", mpc.MinThreshold, n)
	}
	g := &Group{
		Config: c, number: uint64(at), quorum: max(c.Threshold, len(members)-c.Threshold+1),
		proposer: make(chan struct{}, 1), most: maxItems, wake: make(chan struct{}, 1), tell: map[mpc.NodeID]chan struct{}{},
	}
	g.Members = members
	g.proposer <- struct{}{}
	g.start = startDigest(members, c.Threshold)
	for _, m := range members {
		if m != c.Self {
			g.peers = append(g.peers, m)
			g.tell[m] = make(chan struct{}, 1)
		}
	}
	g.ctx, g.stop = context.WithCancel(context.Background())
	return g, nil
}

func compare(a, b mpc.NodeID) int { return slices.Compare(a[:], b[:]) }

// Serve begins to take part, with the journal that was replayed. Handlers are set
// before it returns; catching up goes on in the background.
func (g *Group) Serve(j *journal.Journal, c mpc.Caller) {
	g.journal, g.caller = j, c
	handle(g, methodPrepare, g.onPrepare)
	handle(g, methodAccept, g.onAccept)
	handle(g, methodReach, g.onReach)
	handle(g, methodFetch, g.onFetch)
	handle(g, methodList, g.onList)
	for _, p := range g.peers {
		g.tell[p] <- struct{}{}
		g.running.Go(func() { g.inform(p) })
	}
	g.running.Go(g.propose)
}

// Close ends what goes on in the background. What was submitted and has no
// outcome yet ends as unavailable.
func (g *Group) Close() {
	g.stop()
	g.running.Wait()
	g.fail(errClosing)
}

// Quorum is how many members must have something durably before it counts.
func (g *Group) Quorum() int { return g.quorum }

// State is how many slots this member has applied, and the digest after them.
func (g *Group) State() (slots uint64, digest [32]byte) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.state()
}

func (g *Group) state() (uint64, [32]byte) {
	n := uint64(len(g.past))
	return n, g.digestAt(n)
}

// digestAt is the digest after so many slots; the caller holds the lock and knows
// that they were applied.
func (g *Group) digestAt(slots uint64) [32]byte {
	if slots == 0 {
		return g.start
	}
	return g.past[slots-1].digest
}

func startDigest(members []mpc.NodeID, threshold int) [32]byte {
	v := struct {
		Label     string       `cbor:"1,keyasint"`
		Members   []mpc.NodeID `cbor:"2,keyasint"`
		Threshold int          `cbor:"3,keyasint"`
	}{"sallyport key group v1", members, threshold}
	return sha256.Sum256(codec.Encode(v))
}

// next is the digest after a slot.
func next(before [32]byte, slot uint64, value []byte, records [][]byte) [32]byte {
	v := struct {
		Label   string   `cbor:"1,keyasint"`
		Before  [32]byte `cbor:"2,keyasint"`
		Slot    uint64   `cbor:"3,keyasint"`
		Value   [32]byte `cbor:"4,keyasint"`
		Records [][]byte `cbor:"5,keyasint"`
	}{"sallyport key group state v1", before, slot, sha256.Sum256(value), records}
	return sha256.Sum256(codec.Encode(v))
}
