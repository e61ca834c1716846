package channel

import (
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"math"
	"sync"

	"golang.org/x/crypto/chacha20poly1305"
)

// A Sealer seals messages of one direction. It is safe for concurrent use.
type Sealer struct {
	aead cipher.AEAD
	mu   sync.Mutex
	next uint64
}

// seqSize is the length of the sequence number before a sealed message.
const seqSize = 8

// Seal returns sequence number || ciphertext.
func (s *Sealer) Seal(aad, plain []byte) []byte {
	s.mu.Lock()
	n := s.next
	s.next++
	s.mu.Unlock()
	out := binary.BigEndian.AppendUint64(make([]byte, 0, seqSize+len(plain)+s.aead.Overhead()), n)
	return s.aead.Seal(out, nonceOf(n), plain, aad)
}

func nonceOf(n uint64) []byte {
	return binary.BigEndian.AppendUint64(make([]byte, chacha20poly1305.NonceSize-8), n)
}

// replayWindow is how far a message may come behind the newest.
const replayWindow = 4096

// An Opener opens each message once. It is safe for concurrent use.
type Opener struct {
	aead cipher.AEAD
	mu   sync.Mutex
	top  uint64 // one above the highest number that has opened
	seen [replayWindow / 64]uint64
}

// Open opens what [Sealer.Seal] made. A message that was opened before, or that
// is far behind the newest, is refused.
func (o *Opener) Open(aad, sealed []byte) ([]byte, error) {
	if len(sealed) < seqSize {
		return nil, errors.New("channel: a message that is too short")
	}
	n := binary.BigEndian.Uint64(sealed)
	o.mu.Lock()
	defer o.mu.Unlock()
	if n == math.MaxUint64 { // no sealer comes so far, and nothing is above it
		return nil, errors.New("channel: a message with no number")
	}
	if n+replayWindow < o.top || o.bit(n) {
		return nil, errors.New("channel: a message that came before")
	}
	plain, err := o.aead.Open(nil, nonceOf(n), sealed[seqSize:], aad)
	if err != nil {
		return nil, errors.New("channel: a message that does not open")
	}
	o.mark(n)
	return plain, nil
}

func (o *Opener) bit(n uint64) bool {
	return n < o.top && o.seen[n%replayWindow/64]&(1<<(n%64)) != 0
}

// mark notes a number, and clears the places of those that the window leaves.
func (o *Opener) mark(n uint64) {
	for ; o.top <= n; o.top++ {
		if n-o.top >= replayWindow {
			o.seen, o.top = [replayWindow / 64]uint64{}, n // all places are stale
		}
		o.seen[o.top%replayWindow/64] &^= 1 << (o.top % 64)
	}
	o.seen[n%replayWindow/64] |= 1 << (n % 64)
}
