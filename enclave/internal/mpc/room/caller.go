package room

import (
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/sallyport/sallyport/enclave/internal/codec"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
	"github.com/sallyport/sallyport/enclave/wire"
)

// Times and bounds of calls.
const (
	callAgain    = 400 * time.Millisecond // until a call is sent again, doubling
	callAgainMax = 3 * time.Second
	answerKept   = 2 * time.Minute // that a repeated call gets the answer of the first
	maxCall      = 192 << 10       // of a body, so that it fits a relay message
	maxRunning   = 64              // calls of one peer at once
)

// A Caller asks other nodes and answers them. Each node has an inbox at the
// relay: a room without end that bears its name, in which it alone listens.
// It implements [mpc.Caller].
type Caller struct {
	network wire.Network
	pairs   Pairs
	log     *slog.Logger
	ctx     context.Context
	stop    context.CancelFunc
	running sync.WaitGroup

	mu       sync.Mutex
	handlers map[string]handler
	outboxes map[mpc.NodeID]*port
	waiting  map[[16]byte]*waitingCall
	answers  map[answerKey]*answer
	lines    map[lineKey]*line
	shaken   map[mpc.NodeID]time.Time
	names    map[string]mpc.NodeID // relay name of each peer
}

type handler = func(ctx context.Context, from mpc.NodeID, body []byte) ([]byte, error)

type waitingCall struct {
	node mpc.NodeID
	got  chan *callAnswer
}

type answerKey struct {
	node mpc.NodeID
	id   [16]byte
}

// An answer is kept for repetitions of its call; nil frame while it is made.
type answer struct {
	frame *callAnswer
	until time.Time
}

type lineKey struct {
	node mpc.NodeID
	pair [8]byte
}

// A line seals and opens calls under one pair.
type line struct {
	sealer Sealer
	opener Opener
}

// A call is a question or an answer between nodes.
type call struct {
	ID     []byte      `cbor:"1,keyasint"` // 16 bytes, the asker's
	Method string      `cbor:"2,keyasint,omitempty"`
	Body   []byte      `cbor:"3,keyasint,omitempty"`
	Answer *callAnswer `cbor:"4,keyasint,omitempty"`
}

type callAnswer struct {
	Body  []byte      `cbor:"1,keyasint,omitempty"`
	Error *wire.Error `cbor:"2,keyasint,omitempty"`
}

var _ mpc.Caller = (*Caller)(nil)

// NewCaller makes a caller. Serve starts it.
func NewCaller(n wire.Network, p Pairs, log *slog.Logger) *Caller {
	c := &Caller{
		network: n, pairs: p, log: log, handlers: map[string]handler{}, outboxes: map[mpc.NodeID]*port{},
		waiting: map[[16]byte]*waitingCall{}, answers: map[answerKey]*answer{}, lines: map[lineKey]*line{},
		shaken: map[mpc.NodeID]time.Time{}, names: map[string]mpc.NodeID{},
	}
	for _, peer := range p.Peers() {
		c.names[relayName(peer.String())] = peer
	}
	c.ctx, c.stop = context.WithCancel(context.Background())
	return c
}

// Self implements [mpc.Caller].
func (c *Caller) Self() mpc.NodeID { return c.pairs.Self() }

// Peers implements [mpc.Caller].
func (c *Caller) Peers() []mpc.NodeID { return c.pairs.Peers() }

// Handle implements [mpc.Caller].
func (c *Caller) Handle(method string, f func(ctx context.Context, from mpc.NodeID, body []byte) ([]byte, error)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.handlers[method] = f
}

// Serve opens the inbox, as soon as the relay answers, and goes on until Close.
func (c *Caller) Serve() {
	c.running.Go(func() {
		for c.ctx.Err() == nil {
			inbox, err := openPort(c.ctx, c.network, inboxOf(c.Self(), c.Self()))
			if err == nil {
				c.listen(inbox)
				continue
			}
			c.log.Warn("inbox", "error", err.Error())
			select {
			case <-c.ctx.Done():
			case <-time.After(time.Second):
			}
		}
	})
}

// Close ends all calls and waits for those that are answered here.
func (c *Caller) Close() {
	c.stop()
	c.running.Wait()
}

// inboxOf is the port by which a node is in the inbox of another, or its own.
func inboxOf(owner, as mpc.NodeID) wire.RelayPort {
	sum := sha256.Sum256([]byte("sallyport inbox v1\x00" + owner.String()))
	return wire.RelayPort{Room: sum[:wire.RoomSize], Party: relayName(as.String()), Inbox: true}
}

func (c *Caller) listen(inbox *port) {
	for m := range inbox.in {
		node, ok := c.names[m.Party]
		if ok && len(m.Body) >= 2 {
			c.take(node, m.Body[0], m.Body[1:])
		}
	}
}

// send puts a frame into a peer's inbox.
func (c *Caller) send(to mpc.NodeID, frame []byte) {
	c.mu.Lock()
	out := c.outboxes[to]
	c.mu.Unlock()
	if out == nil {
		var err error
		if out, err = openPort(c.ctx, c.network, inboxOf(to, c.Self())); err != nil {
			return // callers repeat what is not answered
		}
		c.running.Go(func() {
			for range out.in { // nobody else may send to us there
			}
		})
		c.mu.Lock()
		if first := c.outboxes[to]; first != nil {
			out = first
		}
		c.outboxes[to] = out
		c.mu.Unlock()
	}
	out.send(relayName(to.String()), frame)
}

// Call implements [mpc.Caller].
func (c *Caller) Call(ctx context.Context, node mpc.NodeID, method string, body []byte) ([]byte, error) {
	if !c.pairs.Knows(node) {
		return nil, wire.Errorf(wire.NotFound, "", "the manifest names no peer %s", node)
	}
	if len(body) > maxCall {
		return nil, wire.Errorf(wire.InvalidArgument, "", "a call of %d bytes; at most %d", len(body), maxCall)
	}
	id := [16]byte(random(16))
	w := &waitingCall{node: node, got: make(chan *callAnswer, 1)}
	c.mu.Lock()
	c.waiting[id] = w
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.waiting, id)
	}()
	question := call{ID: id[:], Method: method, Body: body}
	for wait := callAgain; ; wait = min(2*wait, callAgainMax) {
		c.say(node, &question)
		select {
		case <-ctx.Done():
			return nil, wire.Errorf(wire.Unavailable, wire.ReasonNoAnswer, "no answer from node %s", node)
		case <-c.ctx.Done():
			return nil, wire.Errorf(wire.Unavailable, "", "the enclave is stopping")
		case a := <-w.got:
			if a.Error != nil {
				return nil, a.Error
			}
			return a.Body, nil
		case <-time.After(wait):
		}
	}
}

// say seals a call under the newest pair, or begins to make one.
func (c *Caller) say(to mpc.NodeID, q *call) {
	ids := c.pairs.IDs(to)
	pair := c.pairs.Common(to, ids)
	if pair == nil {
		c.meet(to, false)
		return
	}
	l, err := c.line(to, pair)
	if err != nil {
		c.log.Warn("calling", "node", to.String(), "error", err.Error())
		return
	}
	id := pair.ID()
	c.send(to, append(append([]byte{frameCall}, id[:]...), l.sealer.Seal([]byte{frameCall}, codec.Encode(q))...))
}

// line makes both directions of a pair, once.
func (c *Caller) line(node mpc.NodeID, pair Pair) (*line, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := lineKey{node, pair.ID()}
	if l := c.lines[at]; l != nil {
		return l, nil
	}
	label := []byte("sallyport call v1")
	sealer, err := pair.Sealer(label, c.Self().String(), node.String())
	if err != nil {
		return nil, err
	}
	opener, err := pair.Opener(label, node.String(), c.Self().String())
	if err != nil {
		return nil, err
	}
	c.forgetLines()
	l := &line{sealer: sealer, opener: opener}
	c.lines[at] = l
	return l, nil
}

// forgetLines drops the lines of pairs that are gone. Those of all others stay,
// used or not: the keys of a pair are taken once, so that a line that is dropped
// too early cannot be made again. The caller holds c.mu.
func (c *Caller) forgetLines() {
	for at := range c.lines {
		if c.pairs.Common(at.node, [][8]byte{at.pair}) == nil {
			delete(c.lines, at)
		}
	}
}

// meet begins a handshake, or asks the other side to: of two nodes the smaller does.
func (c *Caller) meet(to mpc.NodeID, reply bool) {
	if c.Self().String() > to.String() {
		if !reply {
			c.send(to, encodeKnock(c.Self().String(), c.pairs.IDs(to), true))
		}
		return
	}
	c.mu.Lock()
	soon := time.Since(c.shaken[to]) < time.Second
	if !soon {
		c.shaken[to] = time.Now()
	}
	c.mu.Unlock()
	if soon {
		return
	}
	if out, err := c.pairs.Initiate(c.ctx, to); err == nil {
		c.send(to, append([]byte{frameHandshake}, out...))
	}
}

// take takes a frame that claims to be of a node.
func (c *Caller) take(from mpc.NodeID, kind byte, body []byte) {
	switch kind {
	case frameKnock:
		text, ids, _, err := decodeKnock(body)
		if err == nil && text == from.String() && c.pairs.Common(from, ids) == nil {
			c.meet(from, true)
		}
	case frameHandshake:
		out, err := c.pairs.Handle(c.ctx, body)
		if err != nil {
			c.log.Warn("handshake refused", "node", from.String(), "cause", err.Error())
		} else if out != nil {
			c.send(from, append([]byte{frameHandshake}, out...))
		}
	case frameCall:
		c.takeCall(from, body)
	}
}

func (c *Caller) takeCall(from mpc.NodeID, body []byte) {
	if len(body) < pairID {
		return
	}
	pair := c.pairs.Common(from, [][8]byte{[8]byte(body[:pairID])})
	if pair == nil { // this enclave has restarted, or the other's message is old
		c.send(from, encodeKnock(c.Self().String(), c.pairs.IDs(from), true))
		c.meet(from, true)
		return
	}
	l, err := c.line(from, pair)
	if err != nil {
		return
	}
	plain, err := l.opener.Open([]byte{frameCall}, body[pairID:])
	if err != nil {
		return
	}
	var q call
	if codec.Decode(plain, &q) != nil || len(q.ID) != 16 {
		return
	}
	if q.Answer != nil {
		c.takeAnswer(from, [16]byte(q.ID), q.Answer)
		return
	}
	c.answer(from, &q)
}

func (c *Caller) takeAnswer(from mpc.NodeID, id [16]byte, a *callAnswer) {
	c.mu.Lock()
	w := c.waiting[id]
	c.mu.Unlock()
	if w != nil && w.node == from {
		select {
		case w.got <- a:
		default:
		}
	}
}

// answer carries a call out once, however often it comes.
func (c *Caller) answer(from mpc.NodeID, q *call) {
	at := answerKey{from, [16]byte(q.ID)}
	c.mu.Lock()
	known, do := c.answers[at], c.handlers[q.Method]
	running := 0
	now := time.Now()
	for k, a := range c.answers {
		switch {
		case a.frame == nil && k.node == from:
			running++
		case a.frame != nil && now.After(a.until):
			delete(c.answers, k)
		}
	}
	if known == nil && running < maxRunning {
		c.answers[at] = &answer{}
	}
	c.mu.Unlock()
	switch {
	case known != nil && known.frame != nil:
		c.say(from, &call{ID: q.ID, Answer: known.frame})
	case known != nil || running >= maxRunning:
	default:
		c.running.Go(func() { c.carryOut(from, at, q, do) })
	}
}

func (c *Caller) carryOut(from mpc.NodeID, at answerKey, q *call, do handler) {
	a := &callAnswer{Error: wire.Errorf(wire.Unimplemented, "", "this node answers no %q", q.Method)}
	if do != nil {
		body, err := do(c.ctx, from, q.Body)
		a = &callAnswer{Body: body, Error: outward(err)}
		if len(body) > maxCall {
			a = &callAnswer{Error: wire.Errorf(wire.Internal, "", "the answer is too long")}
		}
	}
	c.mu.Lock()
	c.answers[at] = &answer{frame: a, until: time.Now().Add(answerKept)}
	c.mu.Unlock()
	c.say(from, &call{ID: q.ID, Answer: a})
}

// outward is what another node may know of an error.
func outward(err error) *wire.Error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*wire.Error](err); ok {
		return e
	}
	if f, ok := errors.AsType[*mpc.Failure](err); ok {
		return &wire.Error{Code: wire.FailedPrecondition, Message: f.Error(), Cause: string(f.Cause)}
	}
	return wire.Errorf(wire.Internal, "", "internal error")
}
