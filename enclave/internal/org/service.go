// Package org is the activity API: organizations, their users and API keys,
// stamped requests, votes, consensus, and the activities that make, use and
// export private keys. It judges every request from the exact bytes that the
// client stamped, and releases a result only when the journal holds it.
//
// It trusts the journal's entries (they are sealed and chained) and nothing
// else: requests come from the network through a hostile host, and blobs come
// back from that host.
package org

import (
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/sallyport/sallyport/enclave/internal/boot"
	"github.com/sallyport/sallyport/enclave/internal/group"
	"github.com/sallyport/sallyport/enclave/internal/journal"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
	"github.com/sallyport/sallyport/enclave/internal/seal"
	"github.com/sallyport/sallyport/enclave/wire"
)

// The kinds of journal entries that this package writes and replays.
const (
	EntryOrganization journal.Kind = 2
	EntryActivity     journal.Kind = 3
	// 40 to 47 are what a member of a key group records for itself.
	EntryKeyShare     journal.Kind = 40
	EntryContribution journal.Kind = 41
	EntryBundle       journal.Kind = 42
)

// Config is what a Service is made of.
type Config struct {
	Host   wire.Host         // blobs
	Sealer *seal.Sealer      // share blobs
	Quorum *ecdsa.PrivateKey // signs export bundles
	Boot   *boot.Boot        // proofs and documents
	Now    func() time.Time  // trusted time
	Log    *slog.Logger

	// OpenOrganizations lets anybody found an organization.
	OpenOrganizations bool
	// Epoch is the manifest's.
	Epoch uint64
	// Rand is the source of keys; nil means crypto/rand.
	Rand io.Reader
	// Group makes new organizations those of a key group; nil: of this appliance.
	Group *KeyGroup
}

// A Service answers the activity API and the appliance's own.
type Service struct {
	Config
	journal *journal.Journal
	shares  *shareStore

	mu      sync.RWMutex
	orgs    map[id]*organization
	flights map[flight]chan struct{} // what is being decided or carried out
	recent  recent
	clockMs int64 // of the entry of the key group that is being applied

	// Of a key group; order is nil without one.
	order    *group.Group
	allowed  map[flight]*allowed    // to be carried out
	errands  map[flight]*errand     // tries to carry them out, of this member
	rooms    map[mpc.RoomID]*taking // that others have led here
	held     map[[32]byte]heldShare
	warm     map[id]map[[32]byte]bool // keys for which half-done signatures may exist
	ctx      context.Context
	stop     context.CancelFunc
	running  sync.WaitGroup
	spawning sync.Mutex
}

// A flight is an activity of one organization under way.
type flight struct {
	org         id
	fingerprint fingerprint
}

// New makes a service with no organization. Replay fills it.
func New(c Config) *Service {
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	s := &Service{
		Config: c, shares: &shareStore{newBlobStore(c.Host), c.Sealer},
		orgs: map[id]*organization{}, flights: map[flight]chan struct{}{},
	}
	s.join()
	return s
}

// Serve gives the service the journal that it replayed from. With a key group, the
// service then begins to take part in it.
func (s *Service) Serve(j *journal.Journal) {
	s.journal = j
	if s.order != nil {
		s.answerMembers()
		s.order.Serve(j, s.Group.Caller)
		s.spawn(s.sweep)
	}
}

// Close ends what goes on in the background. The journal is closed after it.
func (s *Service) Close() {
	if s.order != nil {
		s.spawning.Lock()
		s.stop()
		s.spawning.Unlock()
		s.order.Close()
		s.running.Wait()
	}
}

// spawn does something in the background, unless the service is closed.
func (s *Service) spawn(f func()) bool {
	s.spawning.Lock()
	defer s.spawning.Unlock()
	if s.ctx.Err() != nil {
		return false
	}
	s.running.Go(f)
	return true
}

const (
	submitPrefix      = "/public/v1/submit/"
	queryPrefix       = "/public/v1/query/"
	organizationsPath = "/sallyport/v1/organizations"

	httpOK = 200 // RFC 9110, section 15.3.1
)

// Do answers one client request. Refusals are replies too; see [wire.Enclave].
func (s *Service) Do(ctx context.Context, req *wire.Request) (*wire.Reply, error) {
	// Before anything is recorded: a reply that cannot be proven is none.
	if err := checkNonce(req.Nonce); err != nil {
		return nil, err
	}
	body, err := s.answer(ctx, req)
	status := httpOK
	if err != nil {
		refusal, ok := err.(*wire.Error)
		if !ok || refusal.Code == wire.Internal {
			return nil, err
		}
		status, body = wire.TurnkeyEnvelope(refusal)
	}
	return s.Prove(req, &wire.Reply{Status: status, Body: body})
}

// answer routes a request. What it returns stands in the journal already.
func (s *Service) answer(ctx context.Context, req *wire.Request) ([]byte, error) {
	switch {
	case req.Path == organizationsPath:
		return s.found(ctx, req)
	case strings.HasPrefix(req.Path, submitPrefix):
		return s.submit(ctx, req, req.Path[len(submitPrefix):])
	case strings.HasPrefix(req.Path, queryPrefix):
		return s.query(ctx, req, req.Path[len(queryPrefix):])
	}
	return nil, notFound("no such path: %q", req.Path)
}

// Replay applies one journal entry to the state.
func (s *Service) Replay(e journal.Entry) error {
	if group.Mine(e.Kind) {
		if s.order == nil {
			return wire.Errorf(wire.Internal, "", "journal entry %d: it is of a key group, and this appliance is configured for none", e.Index)
		}
		return s.order.ReplayEntry(e)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch e.Kind {
	case EntryOrganization:
		return s.replayOrganization(e)
	case EntryActivity:
		ev, err := decodeEvent(e)
		if err != nil {
			return err
		}
		return s.applyEvent(ev, nil, e.TimeMs, entryRef{index: e.Index, leaf: e.Leaf})
	case EntryKeyShare:
		return s.replayShare(e)
	case EntryContribution, EntryBundle:
		return nil // what has left is nobody's state
	}
	return wire.Errorf(wire.Internal, "", "journal entry %d: kind %d is not of this release", e.Index, e.Kind)
}

// propose queues an entry; the caller holds s.mu and applies it at once. The state
// runs ahead of the journal by what is in flight: nobody is told of it before
// durable returns.
func (s *Service) propose(kind journal.Kind, body func(index uint64, timeMs int64) ([]byte, error)) (journal.Ticket, error) {
	t, err := s.journal.Propose(kind, body)
	if err != nil {
		return t, s.unavailable(err)
	}
	return t, nil
}

// durable waits until everything that an answer was made of stands in the
// journal: record before release.
func (s *Service) durable(ctx context.Context) error {
	if err := s.journal.Barrier(ctx); err != nil {
		return s.unavailable(err)
	}
	return nil
}

// unavailable hides why the journal did not answer; the log has it.
func (s *Service) unavailable(err error) error {
	if e, ok := err.(*wire.Error); ok {
		return e
	}
	s.Log.Warn("journal", "error", err)
	return wire.Errorf(wire.Unavailable, "", "the journal is not available; repeat the same request")
}
