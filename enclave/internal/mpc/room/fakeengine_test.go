package room

import (
	"context"
	"crypto/sha256"
	"errors"
	"math/big"
	"slices"
	"sync"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/sallyport/sallyport/enclave/internal/keys"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
)

// A fakeEngine computes what an engine would, from the session that all
// parties share: every party is its dealer. It sends as many messages.
type fakeEngine struct {
	mu      sync.Mutex
	secrets map[string]*big.Int // by public key
	used    map[[32]byte]int    // digests given to half-done signatures, by session
}

func newFakeEngine() *fakeEngine {
	return &fakeEngine{secrets: map[string]*big.Int{}, used: map[[32]byte]int{}}
}

var order = secp256k1.Params().N

func (e *fakeEngine) Check(mpc.Op, keys.Curve) error { return nil }

func (e *fakeEngine) Start(_ context.Context, s *mpc.Setup) (mpc.Session, error) {
	f := &fakeSession{engine: e, setup: s, events: make(chan mpc.Event, 64), got: map[int]int{}}
	f.events <- mpc.Event{Message: &mpc.Message{To: -1, Broadcast: true, Round: 1, Body: s.Session[:8]}}
	return f, nil
}

type fakeSession struct {
	engine *fakeEngine
	setup  *mpc.Setup
	mu     sync.Mutex
	events chan mpc.Event
	got    map[int]int
	first  int
	second int
	closed bool
	asked  bool
}

func (f *fakeSession) Events() <-chan mpc.Event { return f.events }

func (f *fakeSession) Close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.close()
}

func (f *fakeSession) close() {
	if !f.closed {
		f.closed = true
		close(f.events)
	}
}

func (f *fakeSession) Deliver(from int, broadcast bool, body []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return
	}
	if string(body) != string(f.setup.Session[:8]) {
		f.events <- mpc.Event{Failure: mpc.Failf(mpc.CauseMessage, []mpc.PartyID{f.setup.Parties[from]}, "not of this session")}
		f.close()
		return
	}
	others := len(f.setup.Parties) - 1
	if broadcast {
		if f.first++; f.first == others {
			for i := range f.setup.Parties {
				if i != f.setup.Self {
					f.events <- mpc.Event{Message: &mpc.Message{To: i, Round: lastECDSA, Body: f.setup.Session[:8]}}
				}
			}
		}
	} else {
		f.second++
	}
	if f.first == others && f.second == others {
		f.finish()
	}
}

func (f *fakeSession) finish() {
	if f.setup.Op == mpc.OpPresign && !f.asked {
		f.asked = true
		f.events <- mpc.Event{Presigned: true}
		return
	}
	f.events <- mpc.Event{Result: f.result(f.setup.Digest)}
	f.close()
}

func (f *fakeSession) Finish(digest []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.engine.mu.Lock()
	f.engine.used[f.setup.Session]++
	f.engine.mu.Unlock()
	if f.closed || !f.asked {
		return errors.New("not presigned")
	}
	f.setup.Digest = digest
	f.finish()
	return nil
}

func (f *fakeSession) result(digest []byte) *mpc.Result {
	s := f.setup
	switch s.Op {
	case mpc.OpSign, mpc.OpPresign:
		sum := sha256.Sum256(append(s.Session[:], digest...))
		return &mpc.Result{Signature: append(append(slices.Clone(sum[:]), sum[:]...), 0)}
	case mpc.OpReshare:
		f.engine.mu.Lock()
		secret := f.engine.secrets[string(s.Public)]
		f.engine.mu.Unlock()
		return &mpc.Result{Share: f.deal(secret)}
	}
	sum := sha256.Sum256(s.Session[:])
	return &mpc.Result{Share: f.deal(new(big.Int).Mod(new(big.Int).SetBytes(sum[:]), order))}
}

func (f *fakeSession) deal(secret *big.Int) *mpc.Share {
	s := f.setup
	coefficients := []*big.Int{secret}
	for k := 1; k < s.Threshold; k++ {
		sum := sha256.Sum256(append(s.Session[:], byte(k)))
		coefficients = append(coefficients, new(big.Int).SetBytes(sum[:]))
	}
	share := &mpc.Share{Curve: s.Curve, Threshold: s.Threshold, Self: s.Parties[s.Self]}
	share.Public = basePoint(secret)
	f.engine.mu.Lock()
	f.engine.secrets[string(share.Public)] = secret
	f.engine.mu.Unlock()
	mine := false
	for _, r := range s.Roles {
		if r.Old {
			continue
		}
		y := new(big.Int)
		for k := len(coefficients) - 1; k >= 0; k-- {
			y.Mul(y, new(big.Int).SetBytes(r.X[:]))
			y.Add(y, coefficients[k]).Mod(y, order)
		}
		share.Members = append(share.Members, mpc.Member{Party: s.Parties[r.Party], X: r.X, Public: basePoint(y)})
		if r.Party == s.Self {
			share.Secret, share.State, mine = keys.NewSecret(y.FillBytes(make([]byte, 32))), keys.NewSecret([]byte("state")), true
		}
	}
	if !mine {
		return nil
	}
	return share
}

func basePoint(n *big.Int) []byte {
	return secp256k1.PrivKeyFromBytes(n.FillBytes(make([]byte, 32))).PubKey().SerializeCompressed()
}

type fakePreParams struct{}

func (fakePreParams) Take(context.Context) (*keys.Secret, error) {
	return keys.NewSecret([]byte("set")), nil
}
