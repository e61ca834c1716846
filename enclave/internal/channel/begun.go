package channel

import (
	"bytes"
	"errors"
	"time"

	"github.com/flynn/noise"

	"github.com/sallyport/sallyport/enclave/internal/keys"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
)

// A place is where a handshake is remembered. Handshakes that peers begin, and
// those of other peers, crowd out none of ours.
type place struct {
	peer    mpc.NodeID
	initial bool    // this side began
	id      [8]byte // the initiator's
}

// A handshake is one that has begun. It keeps what its Noise state follows from
// instead of the state itself, which does not survive a message that cannot be
// read, and anybody may send one. Its fields are under Channels.mu.
type handshake struct {
	began time.Time
	seed  *keys.Secret // 32 bytes: the scalar of this side's ephemeral key

	// At the responder: step 1 as it came and the Noise message in it, the
	// payload of step 2, and step 2, empty until it is made.
	question, first, claim, answer []byte
}

const seedSize = 32

// state returns the Noise state after step 1 at the initiator, and after step 2
// at the responder.
func (c *Channels) state(at place, h *handshake) (*noise.HandshakeState, error) {
	state, err := c.newState(at, h)
	if err != nil {
		return nil, err
	}
	if !at.initial {
		if _, _, _, err := state.ReadMessage(nil, h.first); err != nil {
			return nil, errors.New("channel: step 1 does not open")
		}
	}
	_, _, _, err = state.WriteMessage(nil, h.claim)
	return state, err
}

// newState returns the Noise state before any message.
func (c *Channels) newState(at place, h *handshake) (*noise.HandshakeState, error) {
	initiator, responder := c.self, at.peer
	if !at.initial {
		initiator, responder = responder, initiator
	}
	c.mu.Lock()
	seed := bytes.Clone(h.seed.Expose())
	c.mu.Unlock()
	prologue := append([]byte("sallyport channel v1\x00"), initiator[:]...)
	return noise.NewHandshakeState(noise.Config{
		CipherSuite: suite, Random: bytes.NewReader(seed), Pattern: noise.HandshakeXX, Initiator: at.initial,
		Prologue: append(prologue, responder[:]...), StaticKeypair: c.static,
	})
}

// keep remembers a handshake, and forgets those that are too old, or the oldest
// of this peer and side. The caller holds c.mu.
func (c *Channels) keep(at place, h *handshake) {
	c.expire()
	count := 0
	var oldest place
	for k, o := range c.begun {
		if k.peer != at.peer || k.initial != at.initial {
			continue
		}
		if count == 0 || o.began.Before(c.begun[oldest].began) {
			oldest = k
		}
		count++
	}
	if count >= maxHandshakes {
		c.forget(oldest)
	}
	c.begun[at] = h
}

// expire forgets what is too old. The caller holds c.mu.
func (c *Channels) expire() {
	for k, h := range c.begun {
		if time.Since(h.began) > handshakeLife {
			c.forget(k)
		}
	}
}

// forget ends a handshake. The caller holds c.mu.
func (c *Channels) forget(at place) {
	c.begun[at].seed.Erase()
	delete(c.begun, at)
}

// find returns a handshake that waits for a message.
func (c *Channels) find(at place) *handshake {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.expire()
	h := c.begun[at]
	if h == nil || (!at.initial && h.answer == nil) {
		return nil
	}
	return h
}

// take ends a handshake whose message was accepted. Each ends once: of several
// copies of a message, that come at the same time, one moves it on.
func (c *Channels) take(at place, h *handshake) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.begun[at] != h {
		return false
	}
	c.forget(at)
	return true
}

// admit takes step 1. It returns a handshake to answer, or the answer that was
// given before: that one may have been lost.
func (c *Channels) admit(at place, s *step, in []byte) (*handshake, []byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.expire()
	p := c.peers[at.peer]
	switch known := c.begun[at]; {
	case known != nil && !bytes.Equal(known.question, in):
		return nil, nil, errors.New("channel: a handshake with this id has begun")
	case known != nil && known.answer == nil:
		return nil, nil, errors.New("channel: this handshake is being answered")
	case known != nil:
		return nil, known.answer, nil
	case p.answering >= maxAnswering:
		return nil, nil, errors.New("channel: too many handshakes at a time")
	}
	h := &handshake{began: time.Now(), seed: newSeed(), question: bytes.Clone(in), first: bytes.Clone(s.Noise)}
	c.keep(at, h)
	p.answering++
	return h, nil, nil
}

// settle ends what admit began: there is an answer now, or there will be none.
func (c *Channels) settle(at place, h *handshake, claim, answer []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.peers[at.peer].answering--
	switch {
	case c.begun[at] != h: // it took too long
	case answer == nil:
		c.forget(at)
	default:
		h.claim, h.answer = claim, answer
	}
}
