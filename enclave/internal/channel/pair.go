package channel

import (
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"sync"
	"time"

	"github.com/flynn/noise"
	"golang.org/x/crypto/chacha20poly1305"

	"github.com/sallyport/sallyport/enclave/internal/keys"
)

// maxDirections is how many directions of contexts one pair serves: it must
// remember them all. From half of them on it is not offered any more.
const maxDirections = 1 << 18

// A Pair is one channel: a secret that this enclave shares with one other.
type Pair struct {
	id   [8]byte
	made time.Time

	mu     sync.Mutex
	secret *keys.Secret      // nothing once it is erased
	taken  map[[32]byte]bool // SHA-256 of use and direction
}

var (
	// ErrTaken says that the keys of a direction were taken before. Keys that
	// are taken twice would use their sequence numbers twice.
	ErrTaken = errors.New("channel: this direction of this context was taken before")
	// ErrEnded says that a pair is too old, or has served all it can serve.
	ErrEnded = errors.New("channel: this pair has ended")
)

func newPair(binding []byte, one, two *noise.CipherState) *Pair {
	sum := sha256.Sum256(append([]byte("sallyport channel id v1\x00"), binding...))
	first, second := one.UnsafeKey(), two.UnsafeKey()
	material := append(first[:], second[:]...)
	secret, err := hkdf.Extract(sha256.New, material, binding)
	if err != nil {
		panic("internal error: " + err.Error()) // only a hash that is not approved
	}
	clear(material)
	defer clear(secret)
	return &Pair{id: [8]byte(sum[:8]), made: time.Now(), secret: keys.NewSecret(secret), taken: map[[32]byte]bool{}}
}

// ID names the pair to both sides.
func (p *Pair) ID() [8]byte { return p.id }

// erase wipes the secret. Sealers and openers that were taken go on.
func (p *Pair) erase() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.secret.Erase()
	p.taken = nil
}

// worn tells whether the pair has served so much that another is due.
func (p *Pair) worn() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.taken) >= maxDirections/2
}

// key derives the key of one direction, once for each use of it.
func (p *Pair) key(use string, context []byte, sender, receiver string) (cipher.AEAD, error) {
	info := []byte("sallyport channel direction v1\x00")
	for _, part := range [][]byte{context, []byte(sender), []byte(receiver)} {
		info = binary.BigEndian.AppendUint32(info, uint32(len(part)))
		info = append(info, part...)
	}
	direction := sha256.Sum256(append([]byte(use+"\x00"), info...))
	p.mu.Lock()
	defer p.mu.Unlock()
	secret := p.secret.Expose()
	switch {
	case len(secret) == 0 || len(p.taken) >= maxDirections:
		return nil, ErrEnded
	case p.taken[direction]:
		return nil, ErrTaken
	}
	key, err := hkdf.Expand(sha256.New, secret, string(info), chacha20poly1305.KeySize)
	if err != nil {
		return nil, err
	}
	defer clear(key)
	p.taken[direction] = true
	return chacha20poly1305.New(key)
}

// Sealer returns what seals messages of a sender to a receiver in a context.
func (p *Pair) Sealer(context []byte, sender, receiver string) (*Sealer, error) {
	a, err := p.key("seal", context, sender, receiver)
	if err != nil {
		return nil, err
	}
	return &Sealer{aead: a}, nil
}

// Opener returns what opens them.
func (p *Pair) Opener(context []byte, sender, receiver string) (*Opener, error) {
	a, err := p.key("open", context, sender, receiver)
	if err != nil {
		return nil, err
	}
	return &Opener{aead: a}, nil
}
