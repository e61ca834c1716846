package room

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"sync"
	"time"

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
