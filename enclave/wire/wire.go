// Package wire is the door: the one package that both the enclave and the host
// import. It defines what may cross, how it is framed, and the one error type
// that crosses.
//
// Each side of the door is one Go interface. [Enclave] is everything the host
// may ask of the enclave; [Host] is everything the enclave may ask of the
// host. Neither side believes the other: every argument the enclave receives
// is hostile, and so is every answer that it gets from the host.
//
// A request and an answer are one frame each, of a megabyte at most. Only the
// answer to [Enclave] Do may be longer, up to 32 MiB as a list of everything
// that an organization has: it crosses as several frames. The enclave takes no
// message in parts.
//
// Evolution rules, for every type that crosses: a field's number never changes
// and is never used again; new fields are optional; a change of meaning is a
// new frame version. The enclave refuses unknown fields in what it reads, the
// host ignores them, so replies may grow at any time. A host that does not know
// answers in parts refuses them as malformed, and passes none on in half.
package wire

import "context"

// API names the public API that a request came in by.
type API uint8

const (
	// APIActivity is the activity API under /public/v1/, wire-compatible with Turnkey.
	APIActivity API = 1
	// APISallyport is the appliance's own API under /sallyport/v1/.
	APISallyport API = 2
	// APINode is the node API, shaped as that of MPC nodes: /admin, /ecdsa and others.
	APINode API = 3
)

// StampKind tells which header a stamp came in by.
type StampKind uint8

const (
	// StampNone means that the request carried no stamp.
	StampNone StampKind = 0
	// StampAPIKey is the value of an X-Stamp header.
	StampAPIKey StampKind = 1
	// StampWebAuthn is the value of an X-Stamp-WebAuthn header.
	StampWebAuthn StampKind = 2
)

// Request is one client request, as the exact bytes that the client sent.
type Request struct {
	API       API       `cbor:"1,keyasint"`
	Path      string    `cbor:"2,keyasint"`           // URL path without prefix or query, e.g. /public/v1/query/whoami
	Body      []byte    `cbor:"3,keyasint"`           // exact body bytes
	StampKind StampKind `cbor:"4,keyasint,omitempty"` // which header the stamp came in by
	Stamp     []byte    `cbor:"5,keyasint,omitempty"` // exact header value
	Nonce     []byte    `cbor:"6,keyasint,omitempty"` // decoded X-Sallyport-Nonce, 16 to 64 bytes

	// The rest is for the node API only, and empty for others.
	Method        string `cbor:"7,keyasint,omitempty"` // GET, POST or DELETE
	Query         string `cbor:"8,keyasint,omitempty"` // exact raw query, without the question mark
	Authorization string `cbor:"9,keyasint,omitempty"` // exact value of the AUTHORIZATION header
}

// Reply is the enclave's answer to a [Request]. The host passes Body on
// unchanged, whatever the status.
type Reply struct {
	Status int    `cbor:"1,keyasint"`           // HTTP status
	Body   []byte `cbor:"2,keyasint"`           // JSON
	Proof  string `cbor:"3,keyasint,omitempty"` // X-Sallyport-Proof, present when the request had a nonce
}

// Phase is where the enclave is in its life. See enclave/README.md.
type Phase string

// The phases of an enclave.
const (
	PhaseStarting     Phase = "Starting"
	PhaseAwaitingRoot Phase = "AwaitingRoot"
	PhaseReady        Phase = "Ready"
	PhaseStale        Phase = "Stale"
	PhaseBroken       Phase = "Broken"
)

// Status describes the enclave. It needs no credential and is answered in
// every phase. Nothing in it is to be believed without the document.
type Status struct {
	Version             string   `cbor:"1,keyasint" json:"version"`
	Phase               Phase    `cbor:"2,keyasint" json:"phase"`
	Reason              string   `cbor:"3,keyasint,omitempty" json:"reason,omitempty"` // why Stale or Broken
	Assurance           string   `cbor:"4,keyasint" json:"assurance"`                  // "nitro" or "local"
	Manifest            []byte   `cbor:"5,keyasint,omitempty" json:"manifest,omitempty"`
	AttestationDocument []byte   `cbor:"6,keyasint,omitempty" json:"attestationDocument,omitempty"` // the boot document
	QuorumPublicKey     string   `cbor:"7,keyasint,omitempty" json:"quorumPublicKey,omitempty"`     // SEC 1 uncompressed, hex
	JournalSize         uint64   `cbor:"8,keyasint" json:"journalSize,string"`
	JournalHead         string   `cbor:"9,keyasint,omitempty" json:"journalHead,omitempty"` // hex
	Epoch               uint64   `cbor:"10,keyasint" json:"epoch,string"`
	Time                int64    `cbor:"11,keyasint" json:"timeMs,string"` // Unix milliseconds, the platform's
	Warnings            []string `cbor:"12,keyasint,omitempty" json:"warnings,omitempty"`
}

// Enclave is everything the host may ask of the enclave.
//
// Implementations return an [*Error], or an error that the door turns into
// [Internal]. They stop early when the context ends; work that reached the
// journal is not undone by that.
type Enclave interface {
	// Status needs no credential and works in every phase.
	Status(context.Context) (*Status, error)
	// Do takes one client request to its answer. An application error (a
	// refused stamp, a denied activity) is a Reply with its status and JSON
	// body; an error is returned only when no reply could be made, and Do
	// then has changed nothing that a repetition of the same bytes would
	// repeat.
	Do(context.Context, *Request) (*Reply, error)
}

// MaxRange bounds the number of records that one ReadRange returns.
const MaxRange = 4096

// Host is everything the enclave may ask of the host: a place to keep
// ciphertext. The enclave treats every answer as hostile.
type Host interface {
	// Append adds records at index..index+len(records)-1 in one durable
	// step. It answers [Conflict] and changes nothing when the journal's
	// length is not index. When it returns nil the records survive a crash
	// of the host.
	Append(ctx context.Context, index uint64, records [][]byte) error
	// ReadRange returns up to limit records from index on, fewer when the
	// journal ends or the answer would pass the frame limit, none past the
	// end.
	ReadRange(ctx context.Context, index uint64, limit int) ([][]byte, error)
	// PutBlobs keeps each blob under its SHA-256 in one durable step.
	// Putting a blob that is there already is not an error.
	PutBlobs(ctx context.Context, blobs [][]byte) error
	// GetBlobs returns the blobs with these SHA-256 names, in order. A
	// missing one is [NotFound].
	GetBlobs(ctx context.Context, names [][]byte) ([][]byte, error)
}
