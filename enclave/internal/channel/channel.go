// Package channel makes channels between attested enclaves: Noise XX with, in
// both directions, an attestation document over the sender's fresh Noise key
// and the handshake so far, and a signature by its quorum key. The document
// says which image runs, and the signature which appliance it is; both must be
// what the manifest names for that peer.
//
// Messages come over a relay that may lose, repeat, reorder and invent them.
// Nothing that anybody can send ends a channel that stands, nor a handshake
// that the two sides can still finish; one whose messages are lost is begun anew.
package channel

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"sync"
	"time"

	"github.com/flynn/noise"
	"github.com/sallyport/sallyport/attestation"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
	"github.com/sallyport/sallyport/enclave/internal/platform"
)

// Times and bounds.
const (
	pairLife      = time.Hour        // after which a pair is made anew
	pairGrace     = 10 * time.Minute // that the old one may still be used
	handshakeLife = 30 * time.Second
	maxPairs      = 4  // of one peer
	maxHandshakes = 16 // of one peer and one side that have begun and not ended
	maxAnswering  = 4  // of one peer that are being answered: each costs the module a document
)

// Identity is who this enclave is.
type Identity struct {
	Quorum       *ecdsa.PrivateKey
	Manifest     *attestation.Manifest
	ManifestHash [32]byte
	Attester     platform.Attester
	Now          func() time.Time
}

// Channels are this enclave's pairs with its peers. They are safe for
// concurrent use.
type Channels struct {
	id     Identity
	self   mpc.NodeID
	static noise.DHKey // of this boot
	peers  map[mpc.NodeID]*peer
	order  []mpc.NodeID

	mu    sync.Mutex
	begun map[place]*handshake
}

// A peer is another node that the manifest names.
type peer struct {
	trust  attestation.Trust
	public *ecdsa.PublicKey
	pairs  []*Pair // newest first
	// answering counts the handshakes for which a document is being made.
	answering int
}

var suite = noise.NewCipherSuite(noise.DH25519, noise.CipherChaChaPoly, noise.HashSHA256)

// NodeID is the id of the node with a quorum key, 65 bytes, uncompressed.
func NodeID(quorum []byte) (mpc.NodeID, error) {
	k, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), quorum)
	if err != nil {
		return mpc.NodeID{}, errors.New("channel: not a quorum key")
	}
	return nodeID(k), nil
}

func nodeID(k *ecdsa.PublicKey) mpc.NodeID {
	raw, err := k.Bytes()
	if err != nil {
		panic("internal error: " + err.Error()) // it was parsed or generated
	}
	x, y := new(big.Int).SetBytes(raw[1:33]), new(big.Int).SetBytes(raw[33:])
	return mpc.NodeID(elliptic.MarshalCompressed(elliptic.P256(), x, y))
}

// New makes the channels of a boot; there are none yet.
func New(id Identity) (*Channels, error) {
	c := &Channels{id: id, self: nodeID(&id.Quorum.PublicKey), peers: map[mpc.NodeID]*peer{}, begun: map[place]*handshake{}}
	var err error
	if c.static, err = suite.GenerateKeypair(rand.Reader); err != nil {
		return nil, err
	}
	for i := range id.Manifest.Peers {
		p := &id.Manifest.Peers[i]
		trust, err := p.Trust()
		if err != nil {
			return nil, fmt.Errorf("peer %s: %w", p.Name, err)
		}
		public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), p.QuorumPublicKey)
		if err != nil {
			return nil, fmt.Errorf("peer %s: %w", p.Name, err)
		}
		node := nodeID(public)
		c.peers[node] = &peer{trust: trust, public: public}
		c.order = append(c.order, node)
	}
	return c, nil
}

// Self is this node.
func (c *Channels) Self() mpc.NodeID { return c.self }

// Peers are the other nodes, in the manifest's order.
func (c *Channels) Peers() []mpc.NodeID { return slices.Clone(c.order) }

// Knows tells whether the manifest names a node.
func (c *Channels) Knows(n mpc.NodeID) bool { return c.peers[n] != nil }

// IDs are the pairs that exist with a peer, newest first. One that is due to be
// made anew, for its age or its use, is not among them.
func (c *Channels) IDs(n mpc.NodeID) (out [][8]byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.alive(n) {
		if time.Since(p.made) < pairLife && !p.worn() {
			out = append(out, p.id)
		}
	}
	return out
}

// Common is the newest pair with a peer that has one of the ids, nil if there is none.
func (c *Channels) Common(n mpc.NodeID, ids [][8]byte) *Pair {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.alive(n) {
		if slices.Contains(ids, p.id) {
			return p
		}
	}
	return nil
}

// alive are the pairs of a peer that may be used. The others are wiped: what was
// sealed under them stays sealed, whatever becomes of this enclave. The caller
// holds c.mu.
func (c *Channels) alive(n mpc.NodeID) []*Pair {
	p := c.peers[n]
	if p == nil {
		return nil
	}
	p.pairs = slices.DeleteFunc(p.pairs, func(pair *Pair) bool {
		old := time.Since(pair.made) >= pairLife+pairGrace
		if old {
			pair.erase()
		}
		return old
	})
	return p.pairs
}

// establish keeps the pair of a handshake that has ended well.
func (c *Channels) establish(with mpc.NodeID, pair *Pair) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.peers[with]
	p.pairs = slices.Insert(c.alive(with), 0, pair)
	for len(p.pairs) > maxPairs {
		last := len(p.pairs) - 1
		p.pairs[last].erase()
		p.pairs = p.pairs[:last]
	}
	time.AfterFunc(pairLife+pairGrace, func() { // also where nobody asks
		c.mu.Lock()
		defer c.mu.Unlock()
		c.alive(with)
	})
}

// refused is a failure for which the peer's enclave is the reason.
func refused(format string, args ...any) error {
	return mpc.Failf(mpc.CauseAttestation, nil, format, args...)
}
