package mpc

import (
	"context"

	"github.com/sallyport/sallyport/enclave/internal/keys"
)

// Op is what a session computes.
type Op string

// The operations of an engine.
const (
	OpKeygen  Op = "keygen"
	OpSign    Op = "sign"
	OpPresign Op = "presign" // ECDSA only: all that does not need the message
	OpReshare Op = "reshare" // also refresh and import
)

// A Role is one member of a session's protocol. In keygen and signing each
// party has one role. In a reshare the old members come first and then the
// new ones, and a party may have several: it speaks for all of them.
type Role struct {
	Party int      // index into Setup.Parties
	X     [32]byte // x coordinate; fresh and random for keygen and new members
	Old   bool     // reshare: a member of the old committee
	// Public is the role's public share, for old members and signers.
	Public []byte
}

// An OldShare is a share of the old committee that this party speaks for. It is a
// real share, or one of those that an importer has split an existing key into.
type OldShare struct {
	Role   int // index into Setup.Roles
	Secret *keys.Secret
	State  *keys.Secret // nil: there is none (import)
}

// Setup is everything a session begins with. All parties have the same Op, Curve,
// Session, Parties, Roles and thresholds; who sets up a session has made sure.
type Setup struct {
	Op      Op
	Curve   keys.Curve
	Session [32]byte  // never used before
	Parties []PartyID // those in the room, sorted
	Self    int       // index into Parties
	Roles   []Role
	// Threshold is the number of signers needed: of the key in keygen and
	// signing, of the new committee in a reshare; OldThreshold of the old one.
	Threshold, OldThreshold int
	// Public is the public key, known for all but keygen.
	Public []byte
	// PreParams is one fresh set as package preparams makes it: ECDSA keygen, and new
	// members of an ECDSA reshare. It is used up by this.
	PreParams *keys.Secret
	// Share is the share to sign with.
	Share *Share
	// Old are the old shares that this party speaks for in a reshare.
	Old []OldShare
	// Digest is what OpSign signs: 32 bytes for ECDSA, the message for Ed25519.
	Digest []byte
	// Delta is added to the key before signing (BIP-32 derivation), 32 bytes
	// big endian; nil for none.
	Delta []byte
}

// A Message is what one party sends to others in a session. The body is the
// engine's own; it names the round, type and roles, and the engine of the
// receiver checks all of it against who sent it.
type Message struct {
	To        int // index into Setup.Parties; -1 for all others
	Broadcast bool
	Round     uint8 // for logs and resends; not believed
	Body      []byte
}

// An Event is what a session gives: messages to send, at last one result or failure. A presign
// session first gives Presigned, and goes on when it gets its digest.
type Event struct {
	Message   *Message
	Presigned bool
	Result    *Result
	Failure   *Failure
}

// A Result is the end of a session that went well.
type Result struct {
	// Share is the new share, of keygen, and of reshare for a new member. Its
	// ChainCode is left empty.
	Share *Share
	// Signature is r || s || v, 65 bytes (low s; v is the recovery id), as
	// [keys.Signature.Put] writes it; the engine has verified it under the
	// (derived) public key.
	Signature []byte
}

// An Engine computes. Sessions are independent of each other; one that fails
// harms no other.
type Engine interface {
	// Start begins a session. It returns soon; work goes on in the background.
	Start(ctx context.Context, s *Setup) (Session, error)
	// Check says whether the engine is sound for an operation on a curve, and why not.
	Check(op Op, curve keys.Curve) error
}

// A Session is one run of a protocol by one party. It is safe for concurrent use.
type Session interface {
	// Deliver hands over a message of an authenticated party. The first
	// message of a type from a party counts; repetitions are ignored. What is
	// wrong with one shows as a Failure.
	Deliver(from int, broadcast bool, body []byte)
	// Finish gives a presign session, after Presigned, what to sign. Only the
	// first call counts; others are refused.
	Finish(digest []byte) error
	// Events ends (is closed) after a Result or Failure, or after Close. It must be drained.
	Events() <-chan Event
	// Close ends the session and wipes what it holds.
	Close()
}

// PreParams makes and keeps parameters ahead of time.
type PreParams interface {
	// Take returns one set that nobody else gets, waiting for one to be made
	// when none is ready.
	Take(ctx context.Context) (*keys.Secret, error)
}
