package room

import (
	"context"
	"time"

	"github.com/sallyport/sallyport/enclave/internal/mpc"
	"github.com/sallyport/sallyport/enclave/wire"
)

type waitingCall struct {
	node mpc.NodeID
	got  chan *callAnswer
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
