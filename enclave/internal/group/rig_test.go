package group

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	mrand "math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/enclave/internal/journal"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
	"github.com/sallyport/sallyport/enclave/internal/platform"
	"github.com/sallyport/sallyport/enclave/internal/seal"
	"github.com/sallyport/sallyport/enclave/wire"
)

// A network carries calls, as badly as a test wants.
type network struct {
	mu       sync.Mutex
	handlers map[mpc.NodeID]map[string]func(context.Context, mpc.NodeID, []byte) ([]byte, error)
	cut      map[[2]mpc.NodeID]bool
	delay    time.Duration
	loss     float64                                       // of questions, and of answers
	touch    func(from, to mpc.NodeID, method string) bool // false: the call is lost
}

// A port is one member's side of it.
type port struct {
	*network
	self mpc.NodeID
}

func (p port) Self() mpc.NodeID    { return p.self }
func (p port) Peers() []mpc.NodeID { return nil }

func (p port) Handle(method string, f func(context.Context, mpc.NodeID, []byte) ([]byte, error)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.handlers[p.self] == nil {
		p.handlers[p.self] = map[string]func(context.Context, mpc.NodeID, []byte) ([]byte, error){}
	}
	p.handlers[p.self][method] = f
}

var errLost = wire.Errorf(wire.Unavailable, wire.ReasonNoAnswer, "no answer")

func (p port) Call(ctx context.Context, to mpc.NodeID, method string, body []byte) ([]byte, error) {
	p.mu.Lock()
	f, cut, delay, loss, touch := p.handlers[to][method], p.cut[[2]mpc.NodeID{p.self, to}], p.delay, p.loss, p.touch
	p.mu.Unlock()
	lost := func() bool { return mrand.Float64() < loss }
	if delay > 0 {
		time.Sleep(time.Duration(mrand.Int64N(int64(delay))))
	}
	if f == nil || cut || lost() || touch != nil && !touch(p.self, to, method) {
		time.Sleep(3 * time.Millisecond)
		return nil, errLost
	}
	out, err := f(ctx, p.self, slices.Clone(body))
	if lost() {
		return nil, errLost
	}
	if e, ok := errors.AsType[*wire.Error](err); ok {
		return nil, e
	} else if err != nil {
		return nil, wire.Errorf(wire.Internal, "", "internal error")
	}
	return out, nil
}

// A store keeps records, and forgets nothing at a restart.
type store struct {
	mu      sync.Mutex
	records [][]byte
}

func (s *store) Append(_ context.Context, index uint64, records [][]byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if int(index) != len(s.records) {
		return wire.Errorf(wire.Conflict, "", "another length")
	}
	s.records = append(s.records, records...)
	return nil
}

func (s *store) ReadRange(_ context.Context, index uint64, limit int) ([][]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	rest := s.records[min(int(index), len(s.records)):]
	return rest[:min(limit, len(rest))], nil
}

// A member is one copy of a list of texts.
type member struct {
	*Group
	t       testing.TB
	net     *network
	id      mpc.NodeID
	members []mpc.NodeID
	sealer  *seal.Sealer
	store   *store
	now     func() time.Time
	admit   func(*Item) error
	journal *journal.Journal
	limit   int

	mu     sync.Mutex
	list   []string
	strays bool // this copy comes to differ
}

func (m *member) start() {
	m.t.Helper()
	m.list = nil
	g, err := New(Config{
		Self: m.id, Members: m.members, Threshold: m.limit, Now: m.now, Log: slog.New(slog.DiscardHandler),
		Admit: m.admit, Apply: m.apply, Replay: m.replay,
	})
	if err != nil {
		m.t.Fatal(err)
	}
	j, err := journal.Open(context.Background(), m.store, m.sealer, m.now, g.ReplayEntry)
	if err != nil {
		m.t.Fatal(err)
	}
	m.Group, m.journal = g, j
	g.Serve(j, port{m.net, m.id})
}

func (m *member) stop() {
	m.net.mu.Lock()
	delete(m.net.handlers, m.id)
	m.net.mu.Unlock()
	m.Close()
	_ = m.journal.Close()
}

func (m *member) restart() {
	m.t.Helper()
	m.stop()
	m.start()
}

func (m *member) apply(p Place, items []Item, commit Commit) ([]any, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var records [][]byte
	var outcomes []any
	for i := range items {
		text := string(items[i].Body)
		if m.strays {
			text += "?"
		}
		m.list = append(m.list, text)
		records = append(records, []byte(fmt.Sprint(len(m.list), text)))
		outcomes = append(outcomes, len(m.list))
	}
	_, err := commit(records)
	return outcomes, err
}

func (m *member) replay(_ Place, items []Item, records [][]byte, _ Ref) error {
	for i := range items {
		m.list = append(m.list, string(items[i].Body))
		if got := fmt.Sprint(len(m.list), string(items[i].Body)); got != string(records[i]) {
			m.list[len(m.list)-1] += "?"
		}
	}
	return nil
}

func (m *member) all() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.list)
}

func (m *member) submit(body string) (int, error) {
	_, out, err := m.Submit(context.Background(), []byte(body))
	n, _ := out.(int)
	return n, err
}

func (m *member) mustSubmit(body string) {
	m.t.Helper()
	if _, err := m.submit(body); err != nil {
		m.t.Fatalf("submit %q: %v", body, err)
	}
}

func newMembers(t testing.TB, n, threshold int, edit func(int, *member)) (*network, []*member) {
	t.Helper()
	net := &network{
		handlers: map[mpc.NodeID]map[string]func(context.Context, mpc.NodeID, []byte) ([]byte, error){},
		cut:      map[[2]mpc.NodeID]bool{}, delay: time.Millisecond,
	}
	var ids []mpc.NodeID
	for i := range n {
		ids = append(ids, mpc.NodeID{2, byte(i + 1)})
	}
	var out []*member
	for i, id := range ids {
		root := sha256.Sum256(id[:])
		m := &member{
			t: t, net: net, id: id, members: ids, now: time.Now, limit: threshold, store: &store{},
			sealer: seal.New(root[:], [16]byte{1}, platform.Local, make([]byte, 48), rand.Reader),
		}
		if edit != nil {
			edit(i, m)
		}
		m.start()
		t.Cleanup(func() { m.stop() })
		out = append(out, m)
	}
	return net, out
}

// part cuts members off from all others, or lets them back.
func (n *network) part(members []*member, away *member, cut bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, m := range members {
		n.cut[[2]mpc.NodeID{m.id, away.id}], n.cut[[2]mpc.NodeID{away.id, m.id}] = cut, cut
	}
}

// agree waits until all have the same state.
func agree(t testing.TB, members ...*member) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		slots, digest := members[0].State()
		same := true
		for _, m := range members[1:] {
			n, d := m.State()
			same = same && n == slots && d == digest
		}
		if same {
			break
		}
		if time.Now().After(deadline) {
			for i, m := range members {
				n, d := m.State()
				t.Logf("member %d: %d slots, digest %x", i, n, d[:4])
			}
			t.Fatal("the members do not come to the same state")
		}
		for _, m := range members {
			_ = m.Refresh(context.Background())
		}
	}
	for _, m := range members[1:] {
		if !slices.Equal(m.all(), members[0].all()) {
			t.Fatalf("the digests are equal and the states are not: %q and %q", m.all(), members[0].all())
		}
	}
}

func reasonOf(err error) string {
	if e, ok := errors.AsType[*wire.Error](err); ok {
		return e.Reason
	}
	return ""
}
