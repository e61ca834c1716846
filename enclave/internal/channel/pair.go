package channel

import (
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"sync"
	"time"

	"golang.org/x/crypto/chacha20poly1305"
)

// A Pair is one channel: a secret that this enclave shares with one other.
type Pair struct {
	id     [8]byte
	made   time.Time
	secret []byte

	mu    sync.Mutex
	taken map[string]bool
}

// ErrTaken says that the keys of a direction were taken before. Keys that are
// taken twice would use their sequence numbers twice.
var ErrTaken = errors.New("channel: this direction of this context was taken before")

func newPair(binding []byte, one, two [32]byte) *Pair {
	sum := sha256.Sum256(append([]byte("sallyport channel id v1\x00"), binding...))
	secret, err := hkdf.Extract(sha256.New, append(one[:], two[:]...), binding)
	if err != nil {
		panic("internal error: " + err.Error()) // only a hash that is not approved
	}
	return &Pair{id: [8]byte(sum[:8]), made: time.Now(), secret: secret, taken: map[string]bool{}}
}

// ID names the pair to both sides.
func (p *Pair) ID() [8]byte { return p.id }

// key derives the key of one direction, once for each use of it.
func (p *Pair) key(use string, context []byte, sender, receiver string) (cipher.AEAD, error) {
	info := []byte("sallyport channel direction v1\x00")
	for _, part := range [][]byte{context, []byte(sender), []byte(receiver)} {
		info = binary.BigEndian.AppendUint32(info, uint32(len(part)))
		info = append(info, part...)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.taken[use+string(info)] {
		return nil, ErrTaken
	}
	p.taken[use+string(info)] = true
	key, err := hkdf.Expand(sha256.New, p.secret, string(info), chacha20poly1305.KeySize)
	if err != nil {
		return nil, err
	}
	return chacha20poly1305.New(key)
}

// Sealer returns what seals messages of a sender to a receiver in a context.
func (p *Pair) Sealer(context []byte, sender, receiver string) (*Sealer, error) {
	a, err := p.key("seal", context, sender, receiver)
	return &Sealer{aead: a}, err
}

// Opener returns what opens them.
func (p *Pair) Opener(context []byte, sender, receiver string) (*Opener, error) {
	a, err := p.key("open", context, sender, receiver)
	return &Opener{aead: a}, err
}

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
