// Package node is the node API, shaped as that of Sodot's Vertex: users with API
// keys, and for each key the one share that this node holds. A call to make,
// use, move or export a key blocks until the other parties were called too and
// the operation is over.
//
// Everything that comes in is hostile: requests come through a host that reads
// every bearer key, answers of rule servers and blobs come from that host too,
// and other parties are believed only what the protocol runner has verified.
// What counts is the sealed journal: nothing is released, to a caller or to
// another party, before the journal holds it.
//
// A reply's proof covers the path with its query, as the client sent them.
package node

import (
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/sallyport/sallyport/attestation/strictjson"
	"github.com/sallyport/sallyport/enclave/internal/boot"
	"github.com/sallyport/sallyport/enclave/internal/journal"
	"github.com/sallyport/sallyport/enclave/internal/keys"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
	"github.com/sallyport/sallyport/enclave/internal/seal"
	"github.com/sallyport/sallyport/enclave/wire"
)

// Rules are what the manifest says of the node API.
type Rules struct {
	// AdminTokenSHA256 is SHA-256 of the admin token, 32 bytes; empty: nobody is admin.
	AdminTokenSHA256 []byte
	// AdminKeys stamp the admin's requests: P-256, SEC 1 compressed or uncompressed.
	AdminKeys [][]byte
	// BearerMay names the operations (see [Operations]) that a bearer key alone
	// may ask for. All others need a stamp beside it.
	BearerMay []string
	// Backup allows sealed backups of shares.
	Backup bool
	// Plaintext allows a key to leave without a target key to seal it to.
	Plaintext bool
	// PlainRuleServers allows rule servers that are not asked over TLS.
	PlainRuleServers bool
}

// Operations are the names that [Rules.BearerMay] knows. What has no name here
// needs no stamp: reading public data, and making rooms.
func Operations() []string {
	return []string{opAdmin, opCreate, opKeygen, opSign, opExport, opRefresh, opReshare, opImport, opBackup, opDelete}
}

const (
	opAdmin   = "admin" // every change under /admin
	opCreate  = "create"
	opKeygen  = "keygen"
	opSign    = "sign" // also batch-sign
	opExport  = "export"
	opRefresh = "refresh"
	opReshare = "reshare"
	opImport  = "import"
	opBackup  = "backup" // both ways
	opDelete  = "delete"
)

// Config is what a Service is made of. What is known only after the journal was
// replayed is set before Serve.
type Config struct {
	Host    wire.Host    // blobs
	Network wire.Network // relay and rule servers; nil: there are none
	Sealer  *seal.Sealer
	Quorum  *ecdsa.PrivateKey // signs export bundles
	Boot    *boot.Boot        // proofs and documents
	Now     func() time.Time  // trusted time
	Log     *slog.Logger
	Runner  mpc.Runner // nil: the node takes part in no operations
	Caller  mpc.Caller // nil: there are no other nodes
	Self    mpc.NodeID
	// Check says whether the engine is sound for an operation; nil: for all.
	Check func(op mpc.Op, curve keys.Curve) error
	Rules Rules
	Epoch uint64    // the manifest's
	Rand  io.Reader // nil means crypto/rand
}

// A Service answers the node API.
type Service struct {
	Config
	journal *journal.Journal
	signer  identity

	mu    sync.RWMutex
	state *state
	busy  map[uid]bool // keys that are being made

	holderWait time.Duration // for new members to have their shares on disk

	ctx  context.Context // ends with Close
	stop context.CancelFunc
}

// New makes a service that knows nothing. Replay fills it.
func New(c Config) *Service {
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	s := &Service{Config: c, state: newState(), busy: map[uid]bool{}, holderWait: holdersTimeout}
	s.ctx, s.stop = context.WithCancel(context.Background())
	return s
}

// Serve gives the service the journal that it replayed from.
// From then on it answers the calls of other nodes, too.
func (s *Service) Serve(j *journal.Journal) {
	s.journal = j
	if s.Runner == nil {
		s.Runner = absent{}
	}
	if s.Caller != nil {
		s.Caller.Handle(methodMarkExported, s.markForOther)
		s.Caller.Handle(methodHolds, s.holdsForOther)
	}
}

// Close ends the operations that run.
func (s *Service) Close() { s.stop() }

// Do answers one client request. Refusals are replies too; see [wire.Enclave].
func (s *Service) Do(ctx context.Context, req *wire.Request) (*wire.Reply, error) {
	// Before anything is recorded: a reply that cannot be proven is none.
	if err := checkNonce(req); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)()
	reply := &wire.Reply{Status: httpOK}
	result, err := s.answer(ctx, req)
	if err == nil {
		err = s.durable(ctx)
	}
	if err == nil {
		reply.Body, err = strictjson.Marshal(result)
	}
	if err != nil {
		refusal, ok := outward(err).(*wire.Error)
		if !ok || refusal.Code == wire.Internal {
			return nil, err
		}
		reply.Status, reply.Body = wire.NodeEnvelope(refusal)
	}
	return s.prove(req, reply)
}

const httpOK = 200 // RFC 9110, section 15.3.1

// durable waits until everything that an answer was made of stands in the
// journal: record before release.
func (s *Service) durable(ctx context.Context) error {
	if err := s.journal.Barrier(ctx); err != nil {
		return s.unavailable(err)
	}
	return nil
}

// unavailable hides why the journal or store did not answer; the log has it.
func (s *Service) unavailable(err error) error {
	if e, ok := err.(*wire.Error); ok {
		return e
	}
	s.Log.Warn("node API: journal", "error", err)
	return wire.Errorf(wire.Unavailable, "", "the journal is not available; repeat the request")
}
