package room

import (
	"context"

	"github.com/sallyport/sallyport/enclave/internal/mpc"
)

// Pairs are this enclave's channels to others: see package channel. Methods
// are safe for concurrent use.
type Pairs interface {
	// Self is this node, and Peers are the others that the manifest names.
	Self() mpc.NodeID
	Peers() []mpc.NodeID
	Knows(mpc.NodeID) bool
	// Initiate returns the first message of a handshake with a peer.
	Initiate(ctx context.Context, to mpc.NodeID) ([]byte, error)
	// Handle takes a message of a handshake, and returns the answer to send,
	// if there is one. The message is of anybody.
	Handle(ctx context.Context, in []byte) (out []byte, err error)
	// IDs are the pairs that exist with a peer.
	IDs(peer mpc.NodeID) [][8]byte
	// Common is the newest pair that has one of the ids, nil if there is none.
	Common(peer mpc.NodeID, ids [][8]byte) Pair
}

// A Pair is one channel. Each direction of each context is taken once.
type Pair interface {
	ID() [8]byte
	Sealer(context []byte, sender, receiver string) (Sealer, error)
	Opener(context []byte, sender, receiver string) (Opener, error)
}

// A Sealer seals messages of one direction, numbered.
type Sealer interface {
	Seal(aad, plain []byte) []byte
}

// An Opener opens each of them once, in any order within a window.
type Opener interface {
	Open(aad, sealed []byte) ([]byte, error)
}
