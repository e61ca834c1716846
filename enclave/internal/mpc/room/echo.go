package room

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"

	"github.com/sallyport/sallyport/enclave/internal/mpc"
)

// Casts are messages to all in keygen and reshare, where a party that says
// different things to different others could break the key. Each is signed by
// its sender for this session, and handed to the engine when all others have
// echoed that they got the same. Two signatures over different casts of one
// number prove who lied.
type casts struct {
	s     *talk
	sent  uint64
	taken map[castKey]*cast
}

type castKey struct {
	sender int
	number uint64
}

type cast struct {
	body    []byte // nil until it came from its sender
	sum     []byte // SHA-256 of the body, from whoever told first
	echoed  map[int]bool
	settled bool
}

// maxCasts bounds the number of one party's casts in one operation.
const maxCasts = 16

func newCasts(s *talk) *casts { return &casts{s: s, taken: map[castKey]*cast{}} }

func (c *casts) signed(sender int, number uint64, sum []byte) []byte {
	b := append([]byte("sallyport room cast v1\x00"), c.s.id[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(sender))
	b = binary.BigEndian.AppendUint64(b, number)
	return append(b, sum...)
}

// send says something to all.
func (c *casts) send(body []byte) { c.s.sendAll(c.sign(body)) }

// sign makes the next cast.
func (c *casts) sign(body []byte) *message {
	sum := sha256.Sum256(body)
	m := &message{Kind: msgCast, Number: c.sent, Body: body}
	m.Signature = ed25519.Sign(c.s.key, c.signed(c.s.self, c.sent, sum[:]))
	c.sent++
	return m
}

// take takes a cast or an echo. It returns a cast's sender and body once all
// others are known to have got it.
func (c *casts) take(from int, m *message) (sender int, body []byte, err error) {
	sender = from
	sum := m.Body
	if m.Kind == msgCast {
		h := sha256.Sum256(m.Body)
		sum = h[:]
	} else {
		sender = m.Sender
	}
	blame := []mpc.PartyID{c.s.parties[from]}
	if sender < 0 || sender >= len(c.s.parties) || sender == c.s.self || (m.Kind == msgEcho && sender == from) || m.Number >= maxCasts || len(sum) != sha256.Size {
		return 0, nil, mpc.Failf(mpc.CauseMessage, blame, "a broadcast or echo that nobody makes")
	}
	if !ed25519.Verify(c.s.peers[sender].key, c.signed(sender, m.Number, sum), m.Signature) {
		return 0, nil, mpc.Failf(mpc.CauseMessage, blame, "a broadcast or echo without the signature of its sender")
	}
	at := castKey{sender, m.Number}
	k := c.taken[at]
	if k == nil {
		k = &cast{sum: sum, echoed: map[int]bool{}}
		c.taken[at] = k
	}
	if !bytes.Equal(k.sum, sum) {
		return 0, nil, mpc.Failf(mpc.CauseEquivocated, []mpc.PartyID{c.s.parties[sender]}, "it has signed two different broadcasts")
	}
	switch {
	case m.Kind == msgEcho:
		k.echoed[from] = true
	case k.body != nil:
		return 0, nil, mpc.Failf(mpc.CauseMessage, blame, "a broadcast that came before, again")
	default:
		k.body = m.Body
		c.echo(at, sum, m.Signature)
	}
	return sender, c.settle(k), nil
}

func (c *casts) echo(at castKey, sum, signature []byte) {
	for i, p := range c.s.peers {
		if p != nil && i != at.sender {
			c.s.send(i, &message{Kind: msgEcho, Sender: at.sender, Number: at.number, Body: sum, Signature: signature})
		}
	}
}

// settle returns the body when the sender and all others have shown the same.
func (c *casts) settle(k *cast) []byte {
	if k.settled || k.body == nil || len(k.echoed) < len(c.s.parties)-2 {
		return nil
	}
	k.settled = true
	return k.body
}
