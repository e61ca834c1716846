package room

import (
	"time"

	"github.com/sallyport/sallyport/enclave/internal/codec"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
)

type lineKey struct {
	node mpc.NodeID
	pair [8]byte
}

// A line seals and opens calls under one pair.
type line struct {
	sealer Sealer
	opener Opener
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
