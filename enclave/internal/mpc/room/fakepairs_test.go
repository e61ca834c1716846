package room

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"slices"
	"sync"

	"github.com/sallyport/sallyport/enclave/internal/mpc"
)

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
