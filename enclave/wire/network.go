package wire

import "context"

// Sizes of what crosses to a relay.
const (
	// RoomSize is the length of a room's id.
	RoomSize = 16
	// MaxRelayMessage bounds one message: keygen's largest is 134 KiB.
	MaxRelayMessage = 256 << 10
	// MaxRelayParty bounds the name of a party in a room.
	MaxRelayParty = 64
)

// RelayPort says as whom to be in which room of which relay.
type RelayPort struct {
	Relay string `cbor:"1,keyasint,omitempty"` // "host:port", one that the operator allows; empty is the default relay
	Room  []byte `cbor:"2,keyasint"`           // 16 bytes
	Party string `cbor:"3,keyasint"`           // lower-case hex, unique in the room
	// Inbox is a room without end, of one node: others may send to it.
	Inbox bool `cbor:"4,keyasint,omitempty"`
}

// RelayMessage is one sealed message; To when it is sent and From when it is
// received are a party's name. Who sent it is for the receiver to verify.
type RelayMessage struct {
	Party string `cbor:"1,keyasint"`
	Body  []byte `cbor:"2,keyasint"`
}

// RuleQuestion is a signed question to a rule server.
type RuleQuestion struct {
	URL string `cbor:"1,keyasint"`
	JWT []byte `cbor:"2,keyasint"`
}

// RuleAnswer is what the server answered, to be verified.
type RuleAnswer struct {
	Status int    `cbor:"1,keyasint"`
	Body   []byte `cbor:"2,keyasint"` // at most 64 KiB
}

// Network is what an enclave that is part of an MPC key asks of its host
// beside keeping ciphertext: to carry sealed messages over a relay, and
// questions to rule servers. A [Host] that also is a Network serves both.
//
// Errors: [Unavailable] when the relay or server does not answer,
// [PermissionDenied] when the operator does not allow the address,
// [ResourceExhausted] when the relay refuses for its limits, [NotFound] for a
// port that is not open (the host has restarted).
type Network interface {
	// CreateRoom makes a room known to a relay, so that parties can join it.
	CreateRoom(ctx context.Context, port *RelayPort, ttlMs uint64) error
	// OpenPort joins a room and returns the port's number. What is sent to
	// the party from then on waits there to be received.
	OpenPort(ctx context.Context, port *RelayPort) (number uint64, err error)
	// SendPort sends messages, in order.
	SendPort(ctx context.Context, number uint64, messages []RelayMessage) error
	// ReceivePort returns what has come, waiting up to waitMs for a first
	// message; none is not an error.
	ReceivePort(ctx context.Context, number uint64, waitMs uint64) ([]RelayMessage, error)
	// ClosePort leaves the room.
	ClosePort(ctx context.Context, number uint64) error
	// AskRule posts a question to a rule server.
	AskRule(ctx context.Context, q *RuleQuestion) (*RuleAnswer, error)
}
