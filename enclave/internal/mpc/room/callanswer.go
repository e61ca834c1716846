package room

import (
	"errors"
	"time"

	"github.com/sallyport/sallyport/enclave/internal/mpc"
	"github.com/sallyport/sallyport/enclave/wire"
)

type answerKey struct {
	node mpc.NodeID
	id   [16]byte
}

// An answer is kept for repetitions of its call; nil frame while it is made.
type answer struct {
	frame *callAnswer
	until time.Time
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
