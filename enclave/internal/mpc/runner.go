package mpc

import (
	"context"
	"io"
	"time"

	"github.com/sallyport/sallyport/enclave/internal/keys"
)

// RoomID is a room's UUID (version 8): 16 bytes of which the first is the
// number of parties and the rest is random, so that the size is known to all
// who know the room, whatever a relay says.
type RoomID [16]byte

// NewRoomID makes a room's id.
func NewRoomID(rand io.Reader, size int) (id RoomID, err error) {
	_, err = io.ReadFull(rand, id[:])
	id[0] = byte(size)
	id[6], id[8] = id[6]&0x0f|0x80, id[8]&0x3f|0x80 // RFC 9562, section 5.8
	return id, err
}

// Where is the room of one operation.
type Where struct {
	Room  RoomID
	Relay string // "host:port"; empty for the host's default
}

// A Terms is what all parties of a room must agree on beside the operation itself: each
// party builds it from its own caller's authenticated request, and its hash
// goes into the keys of the room.
type Terms struct {
	// Operation is a label such as "sign" or "export/full".
	Operation string
	// Details are further values in a fixed order: message or digest, path,
	// target key hash or the word plaintext, format, and so on.
	Details [][]byte
}

// KeygenRequest makes a key.
type KeygenRequest struct {
	Where
	Curve     keys.Curve
	Self      PartyID
	Parties   []PartyID // all of them, Self included
	Threshold int
	Terms     Terms
}

// SignRequest signs in a room of t to n members.
type SignRequest struct {
	Where
	Share  *Share
	Digest []byte
	Delta  []byte // BIP-32: added to the key
	Terms  Terms
	// Contribute is called before this party's last message leaves: what
	// must be durable first is made durable here. May be nil.
	Contribute func(ctx context.Context) error
	// Presign names the pool of half-done signatures to use; empty for none.
	Presign string
}

// ReshareRequest moves a key to new members, thresholds, or fresh shares.
type ReshareRequest struct {
	Where
	Curve        keys.Curve
	Public       []byte // nil: a new member who learns it
	Old          *Share // nil for a member of the new committee only
	OldParties   []PartyID
	OldThreshold int
	New          []PartyID // the new committee
	NewSelf      *PartyID  // nil for a member of the old committee only
	NewThreshold int
	// Import, for the importer: the private key, 32 bytes, and its chain code.
	Import    *keys.Secret
	ChainCode []byte
	Terms     Terms
}

// ExportRequest sends the shares of a key to one of its parties.
type ExportRequest struct {
	Where
	Share *Share
	To    PartyID
	Terms Terms
	// Contribute is called before this party's share leaves.
	Contribute func(ctx context.Context) error
}

// A Runner carries out operations between enclaves. Errors are a [*Failure] or,
// when the context ended, its error.
type Runner interface {
	Keygen(ctx context.Context, r *KeygenRequest) (*Share, error)
	Sign(ctx context.Context, r *SignRequest) (signature []byte, err error)
	// Reshare returns the new share, nil for who is not in the new committee.
	Reshare(ctx context.Context, r *ReshareRequest) (*Share, error)
	// Export returns the private key to the party that it goes to (32 bytes
	// big endian; the scalar for Ed25519), and nil to the others.
	Export(ctx context.Context, r *ExportRequest) (*keys.Secret, error)
	// Agree compares terms between all parties of a room, and does nothing else.
	Agree(ctx context.Context, w Where, share *Share, t Terms) error
	// Forget drops all half-done signatures of a key version.
	Forget(tag [32]byte)
}

// A Caller asks other nodes, over attested channels and the relay.
type Caller interface {
	// Self is this node.
	Self() NodeID
	// Peers are the other nodes that the manifest names.
	Peers() []NodeID
	// Call asks one node and returns its answer. An error of the other side comes back
	// as a [*wire.Error]; no answer as one with code Unavailable.
	Call(ctx context.Context, node NodeID, method string, body []byte) ([]byte, error)
	// Handle answers calls of a method. It is set before the node serves.
	Handle(method string, f func(ctx context.Context, from NodeID, body []byte) ([]byte, error))
}

// Deadlines of operations, from the moment a room is complete. Waiting for
// the room to be complete is bounded by JoinTimeout.
const (
	JoinTimeout    = 30 * time.Second
	SignTimeout    = 60 * time.Second
	KeygenTimeout  = 240 * time.Second
	ReshareTimeout = 240 * time.Second
	ExportTimeout  = 60 * time.Second
)

// RoomTTLMs is how long a relay keeps a room: the longest operation, and the
// time until all its parties have been called, twice over.
const RoomTTLMs = 2 * uint64((JoinTimeout+ReshareTimeout)/1e6)
