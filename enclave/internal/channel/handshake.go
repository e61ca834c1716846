package channel

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"time"

	"github.com/flynn/noise"

	"github.com/sallyport/sallyport/enclave/internal/codec"
	"github.com/sallyport/sallyport/enclave/internal/keys"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
)

// maxHandshake bounds a message: a document has about 5 KiB, and 16 at most.
const maxHandshake = 32 << 10

// A step is one message of a handshake.
type step struct {
	ID    []byte `cbor:"1,keyasint"` // 8 bytes, the initiator's
	Step  int    `cbor:"2,keyasint"` // 1 to 3
	From  []byte `cbor:"3,keyasint"` // node ids, 33 bytes
	To    []byte `cbor:"4,keyasint"`
	Noise []byte `cbor:"5,keyasint"`
}

// message encodes one of our steps.
func (c *Channels) message(at place, number int, noise []byte) []byte {
	return codec.Encode(step{ID: at.id[:], Step: number, From: c.self[:], To: at.peer[:], Noise: noise})
}

func newSeed() *keys.Secret {
	b := make([]byte, seedSize)
	defer clear(b)
	rand.Read(b) // never fails
	return keys.NewSecret(b)
}

// Initiate begins a handshake with a peer, and returns its first message.
func (c *Channels) Initiate(_ context.Context, to mpc.NodeID) ([]byte, error) {
	if !c.Knows(to) {
		return nil, refused("the manifest names no peer %s", to)
	}
	at := place{peer: to, initial: true}
	rand.Read(at.id[:]) // never fails
	h := &handshake{began: time.Now(), seed: newSeed()}
	state, err := c.newState(at, h)
	if err != nil {
		return nil, err
	}
	first, _, _, err := state.WriteMessage(nil, nil)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.keep(at, h)
	return c.message(at, 1, first), nil
}

// Handle takes a message that may be of anybody. It returns the answer to send
// back, if there is one. An error says why the message led to nothing: a
// [*mpc.Failure] when the peer's enclave was not accepted.
func (c *Channels) Handle(ctx context.Context, in []byte) ([]byte, error) {
	var s step
	if len(in) > maxHandshake || codec.Decode(in, &s) != nil || len(s.ID) != 8 || len(s.From) != 33 || len(s.To) != 33 {
		return nil, errors.New("channel: not a handshake")
	}
	from := mpc.NodeID(s.From)
	if mpc.NodeID(s.To) != c.self || !c.Knows(from) {
		return nil, errors.New("channel: a handshake of strangers")
	}
	at := place{peer: from, id: [8]byte(s.ID)}
	switch s.Step {
	case 1:
		return c.respond(ctx, at, &s, in)
	case 2:
		at.initial = true
		return c.complete(ctx, at, &s)
	case 3:
		return nil, c.finish(at, &s)
	}
	return nil, errors.New("channel: not a step of a handshake")
}

// respond answers step 1.
func (c *Channels) respond(ctx context.Context, at place, s *step, in []byte) ([]byte, error) {
	h, answer, err := c.admit(at, s, in)
	if h == nil {
		return answer, err
	}
	claim, answer, err := c.answer(ctx, at, h)
	c.settle(at, h, claim, answer)
	return answer, err
}

// answer makes step 2.
func (c *Channels) answer(ctx context.Context, at place, h *handshake) (claim, answer []byte, err error) {
	state, err := c.newState(at, h)
	if err != nil {
		return nil, nil, err
	}
	if _, _, _, err := state.ReadMessage(nil, h.first); err != nil {
		return nil, nil, errors.New("channel: step 1 does not open")
	}
	if claim, err = c.claim(ctx, state.ChannelBinding(), labelResponder, at.peer); err != nil {
		return nil, nil, err
	}
	second, _, _, err := state.WriteMessage(nil, claim)
	if err != nil {
		return nil, nil, err
	}
	return claim, c.message(at, 2, second), nil
}

// complete takes step 2, and answers with step 3: the initiator has a pair.
func (c *Channels) complete(ctx context.Context, at place, s *step) ([]byte, error) {
	h, state, err := c.read(at)
	if err != nil {
		return nil, err
	}
	before := bytes.Clone(state.ChannelBinding())
	payload, _, _, err := state.ReadMessage(nil, s.Noise)
	if err != nil {
		return nil, errors.New("channel: step 2 does not open")
	}
	if err := c.accept(payload, before, labelResponder, at.peer, state.PeerStatic()); err != nil {
		return nil, err // anybody who saw step 1 can send this: the handshake goes on
	}
	if !c.take(at, h) {
		return nil, errNoHandshake
	}
	mine, err := c.claim(ctx, state.ChannelBinding(), labelInitiator, at.peer)
	if err != nil {
		return nil, err
	}
	third, one, two, err := state.WriteMessage(nil, mine)
	if err != nil {
		return nil, err
	}
	c.establish(at.peer, newPair(state.ChannelBinding(), one, two))
	return c.message(at, 3, third), nil
}

// finish takes step 3: the responder has a pair.
func (c *Channels) finish(at place, s *step) error {
	h, state, err := c.read(at)
	if err != nil {
		return err
	}
	before := bytes.Clone(state.ChannelBinding())
	payload, one, two, err := state.ReadMessage(nil, s.Noise)
	if err != nil {
		return errors.New("channel: step 3 does not open")
	}
	if err := c.accept(payload, before, labelInitiator, at.peer, state.PeerStatic()); err != nil {
		return err
	}
	if !c.take(at, h) {
		return errNoHandshake
	}
	c.establish(at.peer, newPair(state.ChannelBinding(), one, two))
	return nil
}

var errNoHandshake = errors.New("channel: an answer to no handshake")

// read finds the handshake that a message belongs to, ready to read it.
func (c *Channels) read(at place) (*handshake, *noise.HandshakeState, error) {
	h := c.find(at)
	if h == nil {
		return nil, nil, errNoHandshake
	}
	state, err := c.state(at, h)
	return h, state, err
}
