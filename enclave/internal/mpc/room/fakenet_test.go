package room

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/sallyport/sallyport/enclave/internal/mpc"
	"github.com/sallyport/sallyport/enclave/wire"
)

// A fakeNet is a relay in memory. The test sets how bad it is.
type fakeNet struct {
	mu    sync.Mutex
	ports map[uint64]*fakePort
	names map[string]uint64
	last  uint64
	rand  *rand.Rand
	loss  float64 // chance that a message is lost; the same that it is repeated
	// touch, when set, may change or drop what is sent.
	touch func(from, to string, body []byte) [][]byte
}

type fakePort struct {
	room, party string
	queue       []wire.RelayMessage
	came        chan struct{}
}

func newFakeNet() *fakeNet {
	return &fakeNet{ports: map[uint64]*fakePort{}, names: map[string]uint64{}, rand: rand.New(rand.NewPCG(1, 2))}
}

func (n *fakeNet) CreateRoom(context.Context, *wire.RelayPort, uint64) error { return nil }

func (n *fakeNet) OpenPort(_ context.Context, p *wire.RelayPort) (uint64, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.last++
	n.ports[n.last] = &fakePort{room: string(p.Room), party: p.Party, came: make(chan struct{}, 1)}
	n.names[string(p.Room)+p.Party] = n.last
	return n.last, nil
}

func (n *fakeNet) SendPort(_ context.Context, number uint64, out []wire.RelayMessage) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	from := n.ports[number]
	if from == nil {
		return wire.Errorf(wire.NotFound, "", "no such port")
	}
	for _, m := range out {
		bodies := [][]byte{m.Body}
		if n.touch != nil {
			bodies = n.touch(from.party, m.Party, m.Body)
		}
		to := n.ports[n.names[from.room+m.Party]]
		if to == nil {
			continue
		}
		for _, b := range bodies {
			if n.rand.Float64() < n.loss {
				continue
			}
			to.queue = append(to.queue, wire.RelayMessage{Party: from.party, Body: append([]byte{}, b...)})
			if n.rand.Float64() < n.loss {
				to.queue = append(to.queue, wire.RelayMessage{Party: from.party, Body: append([]byte{}, b...)})
				n.rand.Shuffle(len(to.queue), func(i, j int) { to.queue[i], to.queue[j] = to.queue[j], to.queue[i] })
			}
		}
		select {
		case to.came <- struct{}{}:
		default:
		}
	}
	return nil
}

func (n *fakeNet) ReceivePort(ctx context.Context, number, wait uint64) ([]wire.RelayMessage, error) {
	n.mu.Lock()
	p := n.ports[number]
	n.mu.Unlock()
	if p == nil {
		return nil, wire.Errorf(wire.NotFound, "", "no such port")
	}
	timer := time.NewTimer(time.Duration(wait) * time.Millisecond)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-timer.C:
	case <-p.came:
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	out := p.queue
	p.queue = nil
	return out, nil
}

func (n *fakeNet) ClosePort(_ context.Context, number uint64) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if p := n.ports[number]; p != nil && n.names[p.room+p.party] == number {
		delete(n.names, p.room+p.party)
	}
	delete(n.ports, number)
	return nil
}

func (n *fakeNet) AskRule(context.Context, *wire.RuleQuestion) (*wire.RuleAnswer, error) {
	return nil, wire.Errorf(wire.Unavailable, "", "no rule server")
}

// fakePairs are channels whose handshake is two messages that say who.
type fakePairs struct {
	self  mpc.NodeID
	nodes []mpc.NodeID
	mu    sync.Mutex
	have  map[mpc.NodeID][][8]byte
	taken map[string]bool
}

func newFakePairs(self mpc.NodeID, nodes []mpc.NodeID) *fakePairs {
	return &fakePairs{self: self, nodes: nodes, have: map[mpc.NodeID][][8]byte{}, taken: map[string]bool{}}
}

func (f *fakePairs) Self() mpc.NodeID { return f.self }

func (f *fakePairs) Peers() (out []mpc.NodeID) {
	for _, n := range f.nodes {
		if n != f.self {
			out = append(out, n)
		}
	}
	return out
}

func (f *fakePairs) Knows(n mpc.NodeID) bool {
	for _, p := range f.Peers() {
		if p == n {
			return true
		}
	}
	return false
}

func (f *fakePairs) Initiate(_ context.Context, to mpc.NodeID) ([]byte, error) {
	id := random(8)
	return append(append(append([]byte{1}, f.self[:]...), to[:]...), id...), nil
}

func (f *fakePairs) Handle(_ context.Context, in []byte) ([]byte, error) {
	if len(in) != 1+33+33+8 || mpc.NodeID(in[34:67]) != f.self || !f.Knows(mpc.NodeID(in[1:34])) {
		return nil, errors.New("not a handshake for this node")
	}
	f.mu.Lock()
	peer := mpc.NodeID(in[1:34])
	f.have[peer] = append([][8]byte{[8]byte(in[67:])}, f.have[peer]...)
	f.mu.Unlock()
	if in[0] == 2 {
		return nil, nil
	}
	return append(append(append([]byte{2}, f.self[:]...), in[1:34]...), in[67:]...), nil
}

func (f *fakePairs) IDs(p mpc.NodeID) [][8]byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.have[p])
}

func (f *fakePairs) Common(p mpc.NodeID, ids [][8]byte) Pair {
	for _, own := range f.IDs(p) {
		for _, id := range ids {
			if own == id {
				return &fakePair{f, id}
			}
		}
	}
	return nil
}

type fakePair struct {
	pairs *fakePairs
	id    [8]byte
}

func (p *fakePair) ID() [8]byte { return p.id }

func (p *fakePair) key(context []byte, sender, receiver, way string) (cipher.AEAD, error) {
	name := string(p.id[:]) + "|" + string(context) + "|" + sender + "|" + receiver
	p.pairs.mu.Lock()
	defer p.pairs.mu.Unlock()
	if p.pairs.taken[way+name] {
		return nil, errors.New("taken")
	}
	p.pairs.taken[way+name] = true
	k := sha256.Sum256([]byte(name))
	block, err := aes.NewCipher(k[:])
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

func (p *fakePair) Sealer(context []byte, sender, receiver string) (Sealer, error) {
	a, err := p.key(context, sender, receiver, "s")
	return &fakeSeal{aead: a}, err
}

func (p *fakePair) Opener(context []byte, sender, receiver string) (Opener, error) {
	a, err := p.key(context, sender, receiver, "o")
	return &fakeSeal{aead: a, seen: map[uint64]bool{}}, err
}

type fakeSeal struct {
	aead cipher.AEAD
	n    uint64
	seen map[uint64]bool
}

func (s *fakeSeal) Seal(aad, plain []byte) []byte {
	s.n++
	nonce := binary.BigEndian.AppendUint64(make([]byte, 4), s.n)
	return s.aead.Seal(nonce[4:], nonce, plain, aad)
}

func (s *fakeSeal) Open(aad, sealed []byte) ([]byte, error) {
	if len(sealed) < 8 {
		return nil, errors.New("short")
	}
	n := binary.BigEndian.Uint64(sealed)
	if s.seen[n] {
		return nil, errors.New("repeated")
	}
	plain, err := s.aead.Open(nil, append(make([]byte, 4), sealed[:8]...), sealed[8:], aad)
	if err == nil {
		s.seen[n] = true
	}
	return plain, err
}
