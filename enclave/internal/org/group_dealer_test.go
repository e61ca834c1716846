package org

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha512"
	"math/big"
	"slices"
	"sync"

	"filippo.io/edwards25519"

	"github.com/sallyport/sallyport/enclave/internal/codec"
	"github.com/sallyport/sallyport/enclave/internal/keys"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
)

// A dealer stands for the protocols: in a full room it sees all secrets and does
// what protocols do without one.
type dealer struct {
	mu     sync.Mutex
	rooms  map[mpc.RoomID]*meeting
	fail   func(r *rig, op string) *mpc.Failure // of one party
	before func(r *rig, op string)              // of a contribution
	forgot map[[32]byte]int
	runs   map[string]int
}

// A meeting is a room that fills.
type meeting struct {
	terms   []byte
	seats   []any
	differs bool
	over    *mpc.Failure
	full    chan struct{}
	dealt   sync.Once
	out     any
	err     error
}

func (w *world) equip(r *rig, g *KeyGroup) {
	g.Caller, g.Runner = port{w, r.node}, &fakeRunner{w, r}
	g.Check = mpc.Sound
	g.Room = func(_ context.Context, size int) (mpc.Where, error) {
		var id mpc.RoomID
		rand.Read(id[:])
		id[0] = byte(size)
		return mpc.Where{Room: id}, nil
	}
}

// meet waits for the whole room, and lets the first of it deal.
func (r *fakeRunner) meet(ctx context.Context, op string, at mpc.Where, t mpc.Terms, seat any, deal func(seats []any) (any, error)) (any, error) {
	d := &r.dealer
	d.mu.Lock()
	m := d.rooms[at.Room]
	terms := codec.Encode(struct {
		A string   `cbor:"1,keyasint"`
		B [][]byte `cbor:"2,keyasint"`
	}{t.Operation, t.Details})
	if m == nil {
		m = &meeting{terms: terms, full: make(chan struct{})}
		d.rooms[at.Room] = m
	}
	fail := d.fail
	d.mu.Unlock()
	var own *mpc.Failure
	if fail != nil {
		own = fail(r.rig, op)
	}
	d.mu.Lock()
	m.differs = m.differs || !bytes.Equal(m.terms, terms)
	m.seats = append(m.seats, seat)
	if own != nil {
		m.over = own
	}
	if len(m.seats) == int(at.Room[0]) {
		close(m.full)
		d.runs[op]++
	}
	d.mu.Unlock()
	select {
	case <-m.full:
	case <-ctx.Done():
		return nil, mpc.Failf(mpc.CauseTimeout, nil, "the room did not fill")
	}
	if m.over != nil {
		return nil, m.over
	}
	if m.differs {
		return nil, mpc.Failf(mpc.CauseSetup, nil, "the parties were asked for different things")
	}
	m.dealt.Do(func() { m.out, m.err = deal(m.seats) })
	return m.out, m.err
}

// A fakeRunner is one node's part of it.
type fakeRunner struct {
	*world
	rig *rig
}

var orders = map[keys.Curve]string{
	keys.Secp256k1: "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141",
	keys.Ed25519:   "1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3ed",
}

func groupOrder(c keys.Curve) *big.Int { n, _ := new(big.Int).SetString(orders[c], 16); return n }

func randomScalar(c keys.Curve) *big.Int { n, _ := rand.Int(rand.Reader, groupOrder(c)); return n }

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
func dealKey(c keys.Curve, secret *big.Int, parties []mpc.PartyID, threshold int) map[mpc.PartyID]*mpc.Share {
	coefficients := []*big.Int{secret}
	for range threshold - 1 {
		coefficients = append(coefficients, randomScalar(c))
	}
	var members []mpc.Member
	ys := map[mpc.PartyID]*big.Int{}
	for _, p := range parties {
		x, y := randomScalar(c), new(big.Int)
		for i := len(coefficients) - 1; i >= 0; i-- {
			y.Mul(y, x).Add(y, coefficients[i]).Mod(y, groupOrder(c))
		}
		ys[p] = y
		members = append(members, mpc.Member{Party: p, X: fill(x), Public: publicOfScalar(c, y)})
	}
	chain := make([]byte, 32)
	rand.Read(chain)
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
	out, err := r.meet(ctx, "keygen", q.Where, q.Terms, q, func([]any) (any, error) {
		return dealKey(q.Curve, randomScalar(q.Curve), q.Parties, q.Threshold), nil
	})
	if err != nil {
		return nil, err
	}
	return out.(map[mpc.PartyID]*mpc.Share)[q.Self], nil
}

func (r *fakeRunner) gate(ctx context.Context, op string, contribute func(context.Context) error) error {
	r.dealer.mu.Lock()
	before := r.dealer.before
	r.dealer.mu.Unlock()
	if before != nil {
		before(r.rig, op)
	}
	return contribute(ctx)
}

func (r *fakeRunner) Sign(ctx context.Context, q *mpc.SignRequest) ([]byte, error) {
	if err := r.gate(ctx, "sign", q.Contribute); err != nil {
		return nil, err
	}
	out, err := r.meet(ctx, "sign", q.Where, q.Terms, copyShare(q.Share), func(seats []any) (any, error) {
		secret, err := combine(sharesOf(seats))
		if err != nil {
			return nil, err
		}
		return signWith(q.Share.Curve, secret, q.Digest), nil
	})
	if err != nil {
		return nil, err
	}
	return out.([]byte), nil
}

func sharesOf(seats []any) (out []*mpc.Share) {
	for _, s := range seats {
		out = append(out, s.(*mpc.Share))
	}
	return out
}

// signWith signs with a scalar.
func signWith(c keys.Curve, secret *keys.Secret, message []byte) []byte {
	out := make([]byte, 65)
	if c != keys.Ed25519 {
		sig, err := keys.Sign(c, secret, message)
		if err != nil {
			panic(err)
		}
		sig.Put(out)
		return out
	}
	k := [32]byte(secret.Expose())
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

func (r *fakeRunner) Export(ctx context.Context, q *mpc.ExportRequest) (*keys.Secret, error) {
	if err := r.gate(ctx, "export", q.Contribute); err != nil {
		return nil, err
	}
	out, err := r.meet(ctx, "export", q.Where, q.Terms, copyShare(q.Share), func(seats []any) (any, error) { return combine(sharesOf(seats)) })
	if err != nil || q.To != q.Share.Self {
		return nil, err
	}
	return keys.NewSecret(out.(*keys.Secret).Expose()), nil
}

func (r *fakeRunner) Reshare(context.Context, *mpc.ReshareRequest) (*mpc.Share, error) {
	panic("a key group does not ask for this")
}

func (r *fakeRunner) Agree(context.Context, mpc.Where, *mpc.Share, mpc.Terms) error {
	panic("a key group does not ask for this")
}

func (r *fakeRunner) Forget(tag [32]byte) {
	r.dealer.mu.Lock()
	defer r.dealer.mu.Unlock()
	r.dealer.forgot[tag]++
}
