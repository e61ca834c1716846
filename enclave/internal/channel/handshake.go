package channel

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"time"

	"github.com/flynn/noise"
	"github.com/sallyport/sallyport/attestation"
	"github.com/sallyport/sallyport/enclave/internal/codec"
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

// A claim is the payload of the steps 2 and 3: who the sender is.
type claim struct {
	Manifest  []byte `cbor:"1,keyasint"` // SHA-256 of the sender's
	Document  []byte `cbor:"2,keyasint"` // attestation, kind channel
	Signature []byte `cbor:"3,keyasint"` // by the quorum key, ASN.1
}

// A handshake is one that has begun here.
type handshake struct {
	peer    mpc.NodeID
	began   time.Time
	state   *noise.HandshakeState
	initial bool   // this side began
	first   []byte // step 1 as it came, and our answer: for repetitions
	answer  []byte
}

// Roles of signers: a signature of one is none of the other.
const (
	labelInitiator = "sallyport channel initiator v1\x00"
	labelResponder = "sallyport channel responder v1\x00"
)

func (c *Channels) newState(initiator, responder mpc.NodeID) (*noise.HandshakeState, error) {
	prologue := append([]byte("sallyport channel v1\x00"), initiator[:]...)
	return noise.NewHandshakeState(noise.Config{
		CipherSuite: suite, Random: rand.Reader, Pattern: noise.HandshakeXX, Initiator: initiator == c.self,
		Prologue: append(prologue, responder[:]...), StaticKeypair: c.static,
	})
}

// Initiate begins a handshake with a peer, and returns its first message.
func (c *Channels) Initiate(_ context.Context, to mpc.NodeID) ([]byte, error) {
	if !c.Knows(to) {
		return nil, refused("the manifest names no peer %s", to)
	}
	state, err := c.newState(c.self, to)
	if err != nil {
		return nil, err
	}
	message, _, _, err := state.WriteMessage(nil, nil)
	if err != nil {
		return nil, err
	}
	var id [8]byte
	rand.Read(id[:]) // never fails
	c.mu.Lock()
	defer c.mu.Unlock()
	c.keep(id, &handshake{peer: to, began: time.Now(), state: state, initial: true})
	return codec.Encode(step{ID: id[:], Step: 1, From: c.self[:], To: to[:], Noise: message}), nil
}

// keep remembers a handshake, and forgets those that are too old, or the oldest.
func (c *Channels) keep(id [8]byte, h *handshake) {
	var oldest [8]byte
	at := time.Now()
	for k, o := range c.handshakes {
		if time.Since(o.began) > handshakeLife {
			delete(c.handshakes, k)
		} else if o.began.Before(at) {
			oldest, at = k, o.began
		}
	}
	if len(c.handshakes) >= maxHandshakes {
		delete(c.handshakes, oldest)
	}
	c.handshakes[id] = h
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
	switch s.Step {
	case 1:
		return c.respond(ctx, from, &s, in)
	case 2:
		return c.complete(ctx, from, &s)
	case 3:
		return nil, c.finish(from, &s)
	}
	return nil, errors.New("channel: not a step of a handshake")
}

// respond answers step 1.
func (c *Channels) respond(ctx context.Context, from mpc.NodeID, s *step, in []byte) ([]byte, error) {
	id := [8]byte(s.ID)
	c.mu.Lock()
	known := c.handshakes[id]
	c.mu.Unlock()
	if known != nil {
		if known.initial || !bytes.Equal(known.first, in) {
			return nil, errors.New("channel: a handshake with this id has begun")
		}
		return known.answer, nil // the answer may have been lost
	}
	state, err := c.newState(from, c.self)
	if err != nil {
		return nil, err
	}
	if _, _, _, err := state.ReadMessage(nil, s.Noise); err != nil {
		return nil, errors.New("channel: step 1 does not open")
	}
	payload, err := c.claim(ctx, state.ChannelBinding(), labelResponder, from)
	if err != nil {
		return nil, err
	}
	message, _, _, err := state.WriteMessage(nil, payload)
	if err != nil {
		return nil, err
	}
	answer := codec.Encode(step{ID: s.ID, Step: 2, From: c.self[:], To: from[:], Noise: message})
	c.mu.Lock()
	defer c.mu.Unlock()
	c.keep(id, &handshake{peer: from, began: time.Now(), state: state, first: bytes.Clone(in), answer: answer})
	return answer, nil
}

// take takes a handshake out: each message moves it on once.
func (c *Channels) take(s *step, from mpc.NodeID, initial bool) *handshake {
	c.mu.Lock()
	defer c.mu.Unlock()
	h := c.handshakes[[8]byte(s.ID)]
	if h == nil || h.peer != from || h.initial != initial || time.Since(h.began) > handshakeLife {
		return nil
	}
	delete(c.handshakes, [8]byte(s.ID))
	return h
}

// giveBack puts a handshake back whose message did not open: anybody may have
// sent that one.
func (c *Channels) giveBack(s *step, h *handshake) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.keep([8]byte(s.ID), h)
}

// complete takes step 2, and answers with step 3: the initiator has a pair.
func (c *Channels) complete(ctx context.Context, from mpc.NodeID, s *step) ([]byte, error) {
	h := c.take(s, from, true)
	if h == nil {
		return nil, errors.New("channel: an answer to no handshake")
	}
	before := bytes.Clone(h.state.ChannelBinding())
	payload, _, _, err := h.state.ReadMessage(nil, s.Noise)
	if err != nil {
		c.giveBack(s, h)
		return nil, errors.New("channel: step 2 does not open")
	}
	if err := c.accept(payload, before, labelResponder, from, h.state.PeerStatic()); err != nil {
		return nil, err
	}
	mine, err := c.claim(ctx, h.state.ChannelBinding(), labelInitiator, from)
	if err != nil {
		return nil, err
	}
	message, one, two, err := h.state.WriteMessage(nil, mine)
	if err != nil {
		return nil, err
	}
	c.establish(from, h.state, one, two)
	return codec.Encode(step{ID: s.ID, Step: 3, From: c.self[:], To: from[:], Noise: message}), nil
}

// finish takes step 3: the responder has a pair.
func (c *Channels) finish(from mpc.NodeID, s *step) error {
	h := c.take(s, from, false)
	if h == nil {
		return errors.New("channel: an answer to no handshake")
	}
	before := bytes.Clone(h.state.ChannelBinding())
	payload, one, two, err := h.state.ReadMessage(nil, s.Noise)
	if err != nil {
		c.giveBack(s, h)
		return errors.New("channel: step 3 does not open")
	}
	if err := c.accept(payload, before, labelInitiator, from, h.state.PeerStatic()); err != nil {
		return err
	}
	c.establish(from, h.state, one, two)
	return nil
}

func (c *Channels) establish(with mpc.NodeID, state *noise.HandshakeState, one, two *noise.CipherState) {
	pair := newPair(state.ChannelBinding(), one.UnsafeKey(), two.UnsafeKey())
	c.mu.Lock()
	defer c.mu.Unlock()
	c.add(with, pair)
}

// nonce binds a document to the handshake so far, which holds the other side's
// fresh key: it is as fresh as that.
func nonce(binding []byte) []byte {
	sum := sha256.Sum256(append([]byte("sallyport channel nonce v1\x00"), binding...))
	return sum[:]
}

// userData binds a document to the sender's identity.
func userData(node mpc.NodeID, manifest []byte) []byte {
	b := append([]byte("sallyport channel identity v1\x00"), node[:]...)
	sum := sha256.Sum256(append(b, manifest...))
	return sum[:]
}

// signed is what the quorum key signs.
func signed(label string, binding []byte, signer, other mpc.NodeID, static, manifest []byte) []byte {
	h := sha256.New()
	h.Write([]byte(label))
	for _, part := range [][]byte{binding, signer[:], other[:], static, manifest} {
		h.Write(part) // each has a fixed length
	}
	return h.Sum(nil)
}

// claim makes this side's payload.
func (c *Channels) claim(ctx context.Context, binding []byte, label string, to mpc.NodeID) ([]byte, error) {
	document, err := c.id.Attester.Attest(ctx, userData(c.self, c.id.ManifestHash[:]), nonce(binding), c.static.Public)
	if err != nil {
		return nil, err
	}
	digest := signed(label, binding, c.self, to, c.static.Public, c.id.ManifestHash[:])
	signature, err := ecdsa.SignASN1(rand.Reader, c.id.Quorum, digest)
	if err != nil {
		return nil, err
	}
	return codec.Encode(claim{Manifest: c.id.ManifestHash[:], Document: document, Signature: signature}), nil
}

// accept judges the other side's payload.
func (c *Channels) accept(payload, binding []byte, label string, from mpc.NodeID, static []byte) error {
	var m claim
	if codec.Decode(payload, &m) != nil || len(m.Manifest) != sha256.Size {
		return refused("the node %s sent no claim", from)
	}
	p := c.peers[from]
	if !ecdsa.VerifyASN1(p.public, signed(label, binding, from, c.self, static, m.Manifest), m.Signature) {
		return refused("what claims to be the node %s has not its quorum key", from)
	}
	_, err := attestation.VerifyLive(m.Document, p.trust, attestation.Expect{
		Kind: attestation.KindChannel, ManifestHash: userData(from, m.Manifest), PublicKey: static,
	}, nonce(binding), c.id.Now())
	if err != nil {
		return refused("the enclave of node %s is not accepted: %v", from, err)
	}
	return nil
}
