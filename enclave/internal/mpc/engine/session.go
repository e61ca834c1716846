package engine

import (
	"context"
	"errors"
	"math/big"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/bnb-chain/tss-lib/v2/common"
	"github.com/bnb-chain/tss-lib/v2/tss"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
)

// maxBody bounds a message: the largest honest one, of a reshare, has 175 KB.
const maxBody = 240 << 10

// maxWaiting bounds messages that wait for another of their sender: there are
// fewer types of messages times receivers.
const maxWaiting = 1024

// frame is the body of a message: which role speaks to which, and the
// library's own bytes.
type frame struct {
	From int    `cbor:"1,keyasint"`
	To   int    `cbor:"2,keyasint"` // -1: all that the type is for
	Wire []byte `cbor:"3,keyasint"`
}

// A session is one run of a protocol. One goroutine computes; the roles of this
// party are served in turn.
type session struct {
	setup  *mpc.Setup
	roles  []*tss.PartyID // by index of Setup.Roles
	local  []*role        // those of this party
	gate   *gate
	events chan mpc.Event
	in     *inbox
	done   chan struct{} // closed by Close
	once   sync.Once

	digest  []byte   // what is signed
	message *big.Int // the same, where the library reads it: at the beginning of round 5
	held    []*letter
	presign bool        // the message is not known yet
	told    atomic.Bool // and nothing but the message is missing
	asked   atomic.Bool // it is known
	waiting []*letter   // for the first message of their sender
	round   int         // the latest of any message
	said    int         // the latest of this party's
	share   *mpc.Share
	given   bool // the share is the receiver's
}

// A role is one member that this party speaks for.
type role struct {
	index int // in Setup.Roles
	party tss.Party
	out   chan tss.Message
	// result returns a new share or a signature, or that there is neither yet.
	result func() (share *saved, signature *common.SignatureData, ended bool)
	ended  bool
}

// A letter is a message that was read.
type letter struct {
	from, to int // roles; to is -1 for all
	msg      tss.ParsedMessage
	kind     *kind
}

func newSession(s *mpc.Setup) (*session, error) {
	e := &session{
		setup: s, events: make(chan mpc.Event, 16), in: newInbox(), done: make(chan struct{}),
		presign: s.Op == mpc.OpPresign, message: new(big.Int),
	}
	e.roles = partyIDs(s)
	e.gate = newGate(e)
	return e, e.join()
}

// Events implements [mpc.Session].
func (e *session) Events() <-chan mpc.Event { return e.events }

// Close implements [mpc.Session].
func (e *session) Close() { e.once.Do(func() { close(e.done) }) }

// Deliver implements [mpc.Session].
func (e *session) Deliver(from int, broadcast bool, body []byte) {
	e.in.put(input{from: from, broadcast: broadcast, body: slices.Clone(body)})
}

// Finish implements [mpc.Session].
func (e *session) Finish(digest []byte) error {
	switch {
	case e.setup.Op != mpc.OpPresign:
		return errors.New("engine: this session has its message")
	case len(digest) != digestSize:
		return errors.New("engine: a digest has 32 bytes")
	case !e.told.Load():
		return errors.New("engine: the half-done signature is not ready")
	case !e.asked.CompareAndSwap(false, true):
		return errors.New("engine: the half-done signature was used before")
	case !e.in.put(input{digest: slices.Clone(digest)}):
		return errors.New("engine: the session has ended")
	}
	return nil
}

// run computes until there is a result, a failure, or nobody wants either.
func (e *session) run(ctx context.Context) {
	defer close(e.events)
	defer e.in.close()
	defer e.wipe()
	defer func() {
		if r := recover(); r != nil {
			e.fail(mpc.Failf(mpc.CauseProtocol, nil, "the library gave up: %v", brief(r)))
		}
	}()
	if e.begin() {
		return
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-e.done:
			return
		case <-e.in.kick:
			if e.takeAll() {
				return
			}
		}
	}
}

func (e *session) takeAll() bool {
	queue, flooder := e.in.take()
	for _, in := range queue {
		select {
		case <-e.done:
			return true
		default:
		}
		if e.take(in) {
			return true
		}
	}
	switch {
	case flooder < 0:
		return false
	case flooder < len(e.setup.Parties):
		e.fail(e.gate.refuseParty(flooder, "more messages than the protocol has"))
	default:
		e.fail(mpc.Failf(mpc.CauseMessage, nil, "too many messages of nobody in the room"))
	}
	return true
}

// begin starts all roles.
func (e *session) begin() (over bool) {
	for _, r := range e.local {
		if err := r.party.Start(); err != nil {
			e.fail(e.blame(err))
			return true
		}
	}
	return e.progress()
}

// take handles one input. It reports whether the session is over.
func (e *session) take(in input) bool {
	if in.digest != nil {
		e.presign = false
		e.setDigest(in.digest)
		held := e.held
		e.held = nil
		return e.deliver(held)
	}
	l, f := e.gate.open(in)
	switch {
	case f != nil:
		e.fail(f)
		return true
	case l == nil:
		return false // a repetition
	}
	return e.admit(l)
}

// admit passes a letter through the gate, or keeps it until its sender's
// parameters are known, by which it is judged.
func (e *session) admit(l *letter) bool {
	if !e.gate.ready(l) {
		if e.waiting = append(e.waiting, l); len(e.waiting) > maxWaiting {
			e.fail(e.gate.refuse(l.from, "more messages than the protocol has"))
			return true
		}
		return false
	}
	if f := e.gate.judge(l); f != nil {
		e.fail(f)
		return true
	}
	if e.presign && l.kind.round == presignRound {
		e.held = append(e.held, l)
		return e.progress()
	}
	if e.deliver([]*letter{l}) {
		return true
	}
	again := e.waiting
	e.waiting = nil
	for _, w := range again {
		if e.admit(w) {
			return true
		}
	}
	return false
}

func (e *session) emit(v mpc.Event) bool {
	select {
	case e.events <- v:
		return true
	case <-e.done:
		return false
	}
}

func (e *session) fail(f *mpc.Failure) {
	if f.Round == 0 {
		f.Round = e.round
	}
	e.emit(mpc.Event{Failure: f})
}

// wipe drops what the library held. It computes with integers whose words
// cannot be wiped for sure; the process that runs the engine is the boundary.
func (e *session) wipe() {
	if !e.given {
		e.share.Erase()
	}
	e.local, e.held, e.waiting = nil, nil, nil
	e.message.SetInt64(0)
}
