package node

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha512"
	"errors"
	"math/big"
	"slices"
	"sync"
	"testing"

	"filippo.io/edwards25519"

	"github.com/sallyport/sallyport/enclave/internal/codec"
	"github.com/sallyport/sallyport/enclave/internal/keys"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
	"github.com/sallyport/sallyport/enclave/wire"
)

// A world is what stands between nodes in these tests: rooms in which a dealer,
// who sees all secrets, does what protocols do without one; and calls.
type world struct {
	mu       sync.Mutex
	rooms    map[mpc.RoomID]*meeting
	handlers map[mpc.NodeID]map[string]func(context.Context, mpc.NodeID, []byte) ([]byte, error)
	away     map[mpc.NodeID]bool // do not answer calls
	forgot   map[[32]byte]int
	fail     *mpc.Failure // of every operation
	last     any          // request that a runner got
	before   func()       // of every signature's contribution
}

func newWorld() *world {
	return &world{
		rooms: map[mpc.RoomID]*meeting{}, away: map[mpc.NodeID]bool{}, forgot: map[[32]byte]int{},
		handlers: map[mpc.NodeID]map[string]func(context.Context, mpc.NodeID, []byte) ([]byte, error){},
	}
}

// A meeting is a room that fills.
type meeting struct {
	terms   []byte
	seats   []any
	differs bool
	full    chan struct{}
	dealt   sync.Once
	out     any
	err     error
}

// meet waits for the whole room, and lets the first of it deal.
func (w *world) meet(ctx context.Context, at mpc.Where, t mpc.Terms, seat any, deal func(seats []any) (any, error)) (any, error) {
	w.mu.Lock()
	m := w.rooms[at.Room]
	terms := codec.Encode(struct {
		A string   `cbor:"1,keyasint"`
		B [][]byte `cbor:"2,keyasint"`
	}{t.Operation, t.Details})
	if m == nil {
		m = &meeting{terms: terms, full: make(chan struct{})}
		w.rooms[at.Room] = m
	}
	if len(m.seats) >= int(at.Room[0]) {
		w.mu.Unlock()
		return nil, mpc.Failf(mpc.CauseSetup, nil, "the room was used before")
	}
	m.differs = m.differs || !bytes.Equal(m.terms, terms)
	m.seats = append(m.seats, seat)
	w.last = seat
	if len(m.seats) == int(at.Room[0]) {
		close(m.full)
	}
	fail := w.fail
	w.mu.Unlock()
	if fail != nil {
		return nil, fail
	}
	select {
	case <-m.full:
	case <-ctx.Done():
		return nil, mpc.Failf(mpc.CauseTimeout, nil, "the room did not fill")
	}
	if m.differs {
		return nil, mpc.Failf(mpc.CauseSetup, nil, "the parties were asked for different things")
	}
	m.dealt.Do(func() { m.out, m.err = deal(m.seats) })
	return m.out, m.err
}

// A fakeRunner is one node's part of the world.
type fakeRunner struct {
	*world
	self mpc.NodeID
}

var orders = map[keys.Curve]string{
	keys.Secp256k1: "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141",
	keys.Ed25519:   "1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3ed",
}

func order(c keys.Curve) *big.Int { n, _ := new(big.Int).SetString(orders[c], 16); return n }

func randomScalar(c keys.Curve) *big.Int { n, _ := rand.Int(rand.Reader, order(c)); return n }

func fill(n *big.Int) (b [32]byte) { n.FillBytes(b[:]); return b }

func publicOfScalar(c keys.Curve, n *big.Int) []byte {
	b := fill(n)
	p, err := keys.ScalarPublic(c, keys.NewSecret(b[:]))
	if err != nil {
		panic(err)
	}
	return p
}

// dealKey splits a scalar for parties.
func dealKey(c keys.Curve, secret *big.Int, chain []byte, parties []mpc.PartyID, threshold int) map[mpc.PartyID]*mpc.Share {
	parties = slices.SortedFunc(slices.Values(parties), mpc.PartyID.Compare)
	coefficients := []*big.Int{secret}
	for range threshold - 1 {
		coefficients = append(coefficients, randomScalar(c))
	}
	var members []mpc.Member
	ys := map[mpc.PartyID]*big.Int{}
	for _, p := range parties {
		x, y := randomScalar(c), new(big.Int)
		for i := len(coefficients) - 1; i >= 0; i-- {
			y.Mul(y, x).Add(y, coefficients[i]).Mod(y, order(c))
		}
		ys[p] = y
		members = append(members, mpc.Member{Party: p, X: fill(x), Public: publicOfScalar(c, y)})
	}
	out := map[mpc.PartyID]*mpc.Share{}
	for _, p := range parties {
		y := fill(ys[p])
		out[p] = &mpc.Share{
			Curve: c, Threshold: threshold, Members: members, Self: p, Public: publicOfScalar(c, secret), ChainCode: chain,
			Secret: keys.NewSecret(y[:]), State: keys.NewSecret([]byte("state of an engine")),
		}
	}
	return out
}

func combine(shares []*mpc.Share) (*keys.Secret, error) {
	var points []keys.Point
	for _, s := range shares {
		points = append(points, keys.Point{X: s.Members[s.Member(s.Self)].X, Y: s.Secret})
	}
	t := shares[0].Threshold
	if len(points) < t {
		return nil, mpc.Failf(mpc.CauseSetup, nil, "too few shares")
	}
	return keys.CombinePoints(shares[0].Curve, points[:t], shares[0].Public)
}

func (r *fakeRunner) Keygen(ctx context.Context, q *mpc.KeygenRequest) (*mpc.Share, error) {
	out, err := r.meet(ctx, q.Where, q.Terms, q, func([]any) (any, error) {
		chain := make([]byte, 32)
		rand.Read(chain)
		return dealKey(q.Curve, randomScalar(q.Curve), chain, q.Parties, q.Threshold), nil
	})
	if err != nil {
		return nil, err
	}
	return out.(map[mpc.PartyID]*mpc.Share)[q.Self], nil
}

func (r *fakeRunner) Sign(ctx context.Context, q *mpc.SignRequest) ([]byte, error) {
	if r.before != nil {
		r.before()
	}
	if err := q.Contribute(ctx); err != nil {
		return nil, err
	}
	mine := *q
	mine.Share = copyShare(q.Share)
	out, err := r.meet(ctx, q.Where, q.Terms, &mine, func(seats []any) (any, error) {
		var shares []*mpc.Share
		for _, s := range seats {
			shares = append(shares, s.(*mpc.SignRequest).Share)
		}
		secret, err := combine(shares)
		if err != nil {
			return nil, err
		}
		return signWith(q.Share.Curve, secret, q.Delta, q.Digest), nil
	})
	if err != nil {
		return nil, err
	}
	return out.([]byte), nil
}

// signWith signs with a scalar and what is added to it.
func signWith(c keys.Curve, secret *keys.Secret, delta, message []byte) []byte {
	n := new(big.Int).SetBytes(secret.Expose())
	n.Add(n, new(big.Int).SetBytes(delta)).Mod(n, order(c))
	k := fill(n)
	out := make([]byte, 65)
	if c != keys.Ed25519 {
		sig, err := keys.Sign(c, keys.NewSecret(k[:]), message)
		if err != nil {
			panic(err)
		}
		sig.Put(out)
		return out
	}
	slices.Reverse(k[:])
	a, _ := edwards25519.NewScalar().SetCanonicalBytes(k[:])
	var wide [64]byte
	rand.Read(wide[:])
	nonce, _ := edwards25519.NewScalar().SetUniformBytes(wide[:])
	point := new(edwards25519.Point).ScalarBaseMult(nonce).Bytes()
	h := sha512.Sum512(slices.Concat(point, new(edwards25519.Point).ScalarBaseMult(a).Bytes(), message))
	e, _ := edwards25519.NewScalar().SetUniformBytes(h[:])
	copy(out, append(point, edwards25519.NewScalar().MultiplyAdd(e, a, nonce).Bytes()...))
	return out
}

// copyShare outlives the caller's, who erases it when the call is over.
func copyShare(s *mpc.Share) *mpc.Share {
	c := *s
	c.Secret, c.State = keys.NewSecret(s.Secret.Expose()), nil
	return &c
}

func (r *fakeRunner) Reshare(ctx context.Context, q *mpc.ReshareRequest) (*mpc.Share, error) {
	mine := *q
	if q.Old != nil {
		mine.Old = copyShare(q.Old)
	}
	if q.Import != nil {
		mine.Import = keys.NewSecret(q.Import.Expose())
	}
	out, err := r.meet(ctx, q.Where, q.Terms, &mine, func(seats []any) (any, error) {
		var shares []*mpc.Share
		for _, s := range seats {
			q := s.(*mpc.ReshareRequest)
			if q.Import != nil {
				return dealKey(q.Curve, new(big.Int).SetBytes(q.Import.Expose()), q.ChainCode, q.New, q.NewThreshold), nil
			}
			if q.Old != nil {
				shares = append(shares, q.Old)
			}
		}
		if len(shares) == 0 {
			return nil, mpc.Failf(mpc.CauseSetup, nil, "nobody has the key")
		}
		secret, err := combine(shares)
		if err != nil {
			return nil, err
		}
		return dealKey(q.Curve, new(big.Int).SetBytes(secret.Expose()), shares[0].ChainCode, q.New, q.NewThreshold), nil
	})
	if err != nil || q.NewSelf == nil {
		return nil, err
	}
	return out.(map[mpc.PartyID]*mpc.Share)[*q.NewSelf], nil
}

func (r *fakeRunner) Export(ctx context.Context, q *mpc.ExportRequest) (*keys.Secret, error) {
	if err := q.Contribute(ctx); err != nil {
		return nil, err
	}
	mine := *q
	mine.Share = copyShare(q.Share)
	out, err := r.meet(ctx, q.Where, q.Terms, &mine, func(seats []any) (any, error) {
		var shares []*mpc.Share
		for _, s := range seats {
			shares = append(shares, s.(*mpc.ExportRequest).Share)
		}
		return combine(shares)
	})
	if err != nil || q.To != q.Share.Self {
		return nil, err
	}
	return keys.NewSecret(out.(*keys.Secret).Expose()), nil
}

func (r *fakeRunner) Agree(ctx context.Context, at mpc.Where, _ *mpc.Share, t mpc.Terms) error {
	_, err := r.meet(ctx, at, t, nil, func([]any) (any, error) { return nil, nil })
	return err
}

func (r *fakeRunner) Forget(tag [32]byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.forgot[tag]++
}

func (r *fakeRunner) Self() mpc.NodeID { return r.self }

func (r *fakeRunner) Peers() (out []mpc.NodeID) {
	for n := range r.handlers {
		if n != r.self {
			out = append(out, n)
		}
	}
	return out
}

func (r *fakeRunner) Call(ctx context.Context, to mpc.NodeID, method string, body []byte) ([]byte, error) {
	r.mu.Lock()
	f, away := r.handlers[to][method], r.away[to]
	r.mu.Unlock()
	if f == nil || away {
		return nil, wire.Errorf(wire.Unavailable, "", "the node does not answer")
	}
	out, err := f(ctx, r.self, body)
	if e, ok := errors.AsType[*wire.Error](err); ok {
		return nil, e
	}
	return out, err
}

func (r *fakeRunner) Handle(method string, f func(context.Context, mpc.NodeID, []byte) ([]byte, error)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.handlers[r.self] == nil {
		r.handlers[r.self] = map[string]func(context.Context, mpc.NodeID, []byte) ([]byte, error){}
	}
	r.handlers[r.self][method] = f
}

// A cluster is nodes of one world, each with a user.
type cluster struct {
	*world
	t     testing.TB
	rigs  []*rig
	users []string // API keys
}

func newCluster(t testing.TB, n int, edit func(*rig)) *cluster {
	t.Helper()
	c := &cluster{world: newWorld(), t: t}
	for range n {
		r := newRig(t, func(r *rig) {
			runner := &fakeRunner{c.world, r.node()}
			r.runner, r.caller = runner, runner
			if edit != nil {
				edit(r)
			}
		})
		key, _ := r.newUser("user")
		c.rigs, c.users = append(c.rigs, r), append(c.users, key)
	}
	return c
}

// all calls nodes at the same time, each with a body of its own.
func (c *cluster) all(nodes []int, path string, body func(i int) string) []answer {
	c.t.Helper()
	out := make([]answer, len(nodes))
	var g sync.WaitGroup
	for at, i := range nodes {
		g.Go(func() { out[at] = c.rigs[i].call(c.users[i], "POST", path, body(i)) })
	}
	g.Wait()
	return out
}

// mustAll is all for what must succeed.
func (c *cluster) mustAll(nodes []int, path string, body func(i int) string) []answer {
	c.t.Helper()
	out := c.all(nodes, path, body)
	for _, a := range out {
		if a.status != 200 {
			c.t.Fatalf("%s: %d %s", path, a.status, a.body)
		}
	}
	return out
}

func (c *cluster) room(size int) string {
	c.t.Helper()
	id, err := mpc.NewRoomID(rand.Reader, size)
	if err != nil {
		c.t.Fatal(err)
	}
	return uid(id).String()
}

func upTo(n int) (out []int) {
	for i := range n {
		out = append(out, i)
	}
	return out
}
