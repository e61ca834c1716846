package room

import (
	"errors"

	"github.com/sallyport/sallyport/enclave/internal/codec"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
)

// A frame is what crosses the relay: one byte that says what follows.
const (
	frameKnock     = 1 // a knock: who I am, and which pairs I have with you
	frameHandshake = 2 // a message of package channel
	frameHello     = 3 // pair id || sealed hello
	frameSession   = 4 // pair id || sealed packet of a session
	frameCall      = 5 // pair id || sealed call or answer, see caller.go
)

const pairID = 8

// A knock asks a party for its pairs, or answers that. Nothing in it is
// believed: it only starts a handshake, or chooses among channels that exist.
type knock struct {
	Party string   `cbor:"1,keyasint"` // party id; in a node's inbox the node id
	Pairs [][]byte `cbor:"2,keyasint"` // 8 bytes each, at most maxPairs
	Reply bool     `cbor:"3,keyasint,omitempty"`
}

const maxPairs = 8

var errKnock = errors.New("not a knock")

func encodeKnock(party string, ids [][8]byte, reply bool) []byte {
	k := knock{Party: party, Reply: reply, Pairs: [][]byte{}}
	for _, id := range ids[:min(len(ids), maxPairs)] {
		k.Pairs = append(k.Pairs, id[:])
	}
	return append([]byte{frameKnock}, codec.Encode(k)...)
}

func decodeKnock(body []byte) (party string, ids [][8]byte, reply bool, err error) {
	var k knock
	if len(body) > 1024 || codec.Decode(body, &k) != nil || len(k.Pairs) > maxPairs {
		return "", nil, false, errKnock
	}
	for _, b := range k.Pairs {
		if len(b) != pairID {
			return "", nil, false, errKnock
		}
		ids = append(ids, [8]byte(b))
	}
	return k.Party, ids, k.Reply, nil
}

// A claim is what a party was asked to do. All claims of a room are equal.
type claim struct {
	Label     string   `cbor:"1,keyasint"`
	Operation string   `cbor:"2,keyasint"` // of this package
	Room      []byte   `cbor:"3,keyasint"`
	Curve     uint8    `cbor:"4,keyasint"`
	Key       []byte   `cbor:"5,keyasint"` // key tag; empty for keygen
	Threshold int      `cbor:"6,keyasint"`
	Parties   []string `cbor:"7,keyasint"` // those that must come; may be empty
	Digest    []byte   `cbor:"8,keyasint"`
	Delta     []byte   `cbor:"9,keyasint"`
	To        string   `cbor:"10,keyasint"`
	Presign   string   `cbor:"11,keyasint"`
	Terms     string   `cbor:"12,keyasint"` // the caller's operation label
	Details   [][]byte `cbor:"13,keyasint"`
}

// A hello is what a party says first, under its channel.
type hello struct {
	Claim []byte `cbor:"1,keyasint"` // SHA-256 of the claim
	Party string `cbor:"2,keyasint"`
	Nonce []byte `cbor:"3,keyasint"` // 32 random bytes
	Time  int64  `cbor:"4,keyasint"` // Unix milliseconds
	Key   []byte `cbor:"5,keyasint"` // Ed25519, made for this room
	X     []byte `cbor:"6,keyasint"` // fresh x coordinate, 32 bytes
	Extra []byte `cbor:"7,keyasint"` // of the operation
}

func (h *hello) valid(party mpc.PartyID) bool {
	return h.Party == party.String() && len(h.Claim) == 32 && len(h.Nonce) == 32 && len(h.Key) == 32 && len(h.X) == 32
}

// A packet is one sealed message of a session.
type packet struct {
	Ack  uint64 `cbor:"1,keyasint"`           // all below this have come
	Seq  uint64 `cbor:"2,keyasint,omitempty"` // of Body, from 1; 0: there is none
	Body []byte `cbor:"3,keyasint,omitempty"`
}

// Kinds of messages of an operation.
const (
	msgEngine  = 1  // to the engine, to one party
	msgCast    = 2  // to the engine, to all, signed
	msgEcho    = 3  // what another party sent to all
	msgCommit  = 4  // commitment to a part of the chain code
	msgReveal  = 5  // that part
	msgConfirm = 6  // the result as this party has it
	msgShare   = 7  // a share, to the recipient of an export
	msgDone    = 8  // this party is finished
	msgAbort   = 9  // this party has failed
	msgAhead   = 10 // to the engine, of a half-done signature
)

// A message is the body of a packet.
type message struct {
	Kind      uint8  `cbor:"1,keyasint"`
	Broadcast bool   `cbor:"2,keyasint,omitempty"`
	Number    uint64 `cbor:"3,keyasint,omitempty"` // of a cast, by its sender; of a run ahead
	Sender    int    `cbor:"4,keyasint,omitempty"` // of an echoed cast
	Body      []byte `cbor:"5,keyasint,omitempty"`
	Signature []byte `cbor:"6,keyasint,omitempty"`
	Cause     string `cbor:"7,keyasint,omitempty"`
}
