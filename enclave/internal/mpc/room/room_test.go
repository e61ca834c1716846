package room

import (
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"math/big"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/enclave/internal/keys"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
	"github.com/sallyport/sallyport/enclave/internal/mpc/mpctest"
)

// A world is some nodes, each with rooms of its own, on one relay.
type world struct {
	t      *testing.T
	net    *mpctest.Relay
	engine *fakeEngine
	nodes  []mpc.NodeID
	rooms  []*Rooms
	slow   bool // the engine is a real one
}

func newWorld(t *testing.T, n int) *world {
	engine := newFakeEngine()
	w := newWorldOf(t, n, engine, false)
	w.engine = engine
	return w
}

func newWorldOf(t *testing.T, n int, engine mpc.Engine, slow bool) *world {
	w := &world{t: t, net: mpctest.NewRelay(), slow: slow}
	for i := range n {
		w.nodes = append(w.nodes, mpctest.Parties(n)[i].Node)
	}
	for i := range n {
		w.rooms = append(w.rooms, w.boot(i, engine))
	}
	t.Cleanup(func() {
		for _, r := range w.rooms {
			r.Close()
		}
	})
	return w
}

// boot makes the rooms of a node, without half-done signatures.
func (w *world) boot(node int, engine mpc.Engine) *Rooms {
	log := slog.New(slog.DiscardHandler)
	if testing.Verbose() {
		log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	patience, silence := 10*time.Second, 3*time.Second
	if w.slow {
		patience, silence = 2*time.Minute, 20*time.Second
	}
	return New(Config{
		Network: w.net, Pairs: newFakePairs(w.nodes[node], w.nodes), Engine: engine, PreParams: fakePreParams{}, Log: log,
		Times: Times{
			Join: patience, Sign: patience, Keygen: patience, Reshare: patience, Export: patience,
			Knock: 10 * time.Millisecond, Resend: 30 * time.Millisecond, Keepalive: 100 * time.Millisecond,
			Silence: silence, Linger: 500 * time.Millisecond,
		},
	})
}

func (w *world) where(size int) mpc.Where {
	id := mpc.RoomID(random(16))
	id[0] = byte(size)
	return mpc.Where{Room: id}
}

func (w *world) party(node int) mpc.PartyID {
	return mpc.PartyID{Node: w.nodes[node], Random: [16]byte(random(16))}
}

// all runs something on several nodes at once.
func all[T any](nodes []int, do func(node int) (T, error)) ([]T, []error) {
	out, errs := make([]T, len(nodes)), make([]error, len(nodes))
	var wait sync.WaitGroup
	for i, n := range nodes {
		wait.Go(func() { out[i], errs[i] = do(n) })
	}
	wait.Wait()
	return out, errs
}

func (w *world) keygen(threshold int, nodes ...int) []*mpc.Share {
	w.t.Helper()
	var parties []mpc.PartyID
	for _, n := range nodes {
		parties = append(parties, w.party(n))
	}
	where := w.where(len(nodes))
	shares, errs := all(nodes, func(n int) (*mpc.Share, error) {
		return w.rooms[n].Keygen(w.t.Context(), &mpc.KeygenRequest{
			Where: where, Curve: keys.Secp256k1, Self: parties[slices.Index(nodes, n)], Parties: parties, Threshold: threshold,
		})
	})
	if err := errors.Join(errs...); err != nil {
		w.t.Fatal(err)
	}
	for _, s := range shares {
		if s.KeyTag() != shares[0].KeyTag() || len(s.ChainCode) != 32 {
			w.t.Fatal("the parties have different keys")
		}
	}
	return shares
}

func (w *world) sign(shares []*mpc.Share, digest string, nodes []int, change func(n int, q *mpc.SignRequest)) ([][]byte, []error) {
	where := w.where(len(nodes))
	sum := sha256.Sum256([]byte(digest))
	return all(nodes, func(n int) ([]byte, error) {
		q := &mpc.SignRequest{Where: where, Share: shares[n], Digest: sum[:]}
		if change != nil {
			change(n, q)
		}
		return w.rooms[n].Sign(w.t.Context(), q)
	})
}

func TestKeygenSignExport(t *testing.T) {
	for _, loss := range []float64{0, 0.2} {
		w := newWorld(t, 3)
		w.net.Loss = loss
		shares := w.keygen(2, 0, 1, 2)
		for _, quorum := range [][]int{{0, 1}, {0, 2}, {1, 2}, {0, 1, 2}} {
			got, errs := w.sign(shares, "a message", quorum, nil)
			if err := errors.Join(errs...); err != nil {
				t.Fatal(err)
			}
			if string(got[0]) != string(got[1]) {
				t.Error("the signatures differ")
			}
		}
		where := w.where(2)
		got, errs := all([]int{0, 2}, func(n int) (*keys.Secret, error) {
			return w.rooms[n].Export(t.Context(), &mpc.ExportRequest{Where: where, Share: shares[n], To: shares[2].Self})
		})
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
		public, err := keys.PublicKey(keys.Secp256k1, got[1])
		if err != nil || string(public) != string(shares[0].Public) || got[0] != nil {
			t.Errorf("exported another key: %v", err)
		}
	}
}

func TestHalfDoneSignatureIsUsedOnce(t *testing.T) {
	w := newWorld(t, 2)
	shares := w.keygen(2, 0, 1)
	for i := range 6 {
		_, errs := w.sign(shares, string(rune('a'+i)), []int{0, 1}, func(_ int, q *mpc.SignRequest) { q.Presign = "default" })
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
		for start := time.Now(); w.rooms[0].Presigned(shares[0].KeyTag()) < 2 || w.rooms[1].Presigned(shares[0].KeyTag()) < 2; {
			if time.Since(start) > 5*time.Second {
				t.Fatal("no half-done signatures are made")
			}
			time.Sleep(time.Millisecond)
		}
	}
	warm := 0
	for _, n := range w.engine.used {
		if warm++; n != 2 { // once by each party
			t.Errorf("a half-done signature was finished %d times", n)
		}
	}
	if warm != 5 {
		t.Errorf("%d of 5 signatures were warm", warm)
	}
	w.rooms[0].Forget(shares[0].KeyTag())
	if n := w.rooms[0].Presigned(shares[0].KeyTag()); n != 0 {
		t.Errorf("%d half-done signatures after a change of the key", n)
	}
}

func TestContributionIsDurableBeforeTheLastRound(t *testing.T) {
	w := newWorld(t, 2)
	shares := w.keygen(2, 0, 1)
	refused := mpc.Failf(mpc.CauseRefused, nil, "the journal is full")
	_, errs := w.sign(shares, "x", []int{0, 1}, func(n int, q *mpc.SignRequest) {
		if n == 0 {
			q.Contribute = func(context.Context) error { return refused }
		}
	})
	if !errors.Is(errs[0], refused) {
		t.Errorf("got %v", errs[0])
	}
	if f, ok := errs[1].(*mpc.Failure); !ok || f.Cause != mpc.CauseRefused || len(f.Culprits) != 0 {
		t.Errorf("the other side got %v", errs[1])
	}
}

func TestReshareRefreshImport(t *testing.T) {
	w := newWorld(t, 4)
	w.net.Loss = 0.1
	shares := w.keygen(2, 0, 1, 2)
	olds := []mpc.PartyID{shares[0].Self, shares[1].Self, shares[2].Self}
	// Node 0 leaves, node 3 comes, and three are needed: two old ones suffice.
	news := map[int]mpc.PartyID{1: w.party(1), 2: w.party(2), 3: w.party(3)}
	where := w.where(4)
	fresh, errs := all([]int{0, 1, 2, 3}, func(n int) (*mpc.Share, error) {
		q := &mpc.ReshareRequest{
			Where: where, Curve: keys.Secp256k1, New: []mpc.PartyID{news[1], news[2], news[3]}, NewThreshold: 3,
		}
		if id, ok := news[n]; ok {
			q.NewSelf = &id
		}
		if n < 3 {
			q.Old, q.OldParties, q.OldThreshold, q.Public = shares[n], olds, 2, shares[n].Public
		}
		return w.rooms[n].Reshare(t.Context(), q)
	})
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	if fresh[0] != nil || fresh[1].KeyTag() != fresh[3].KeyTag() || string(fresh[3].Public) != string(shares[0].Public) || string(fresh[3].ChainCode) != string(shares[0].ChainCode) {
		t.Error("the new parties have another key")
	}
	if shares[1].Secret.Expose() == nil || new(big.Int).SetBytes(shares[1].Secret.Expose()).Sign() == 0 {
		t.Error("the old share was changed")
	}

	key := keys.NewSecret(append(make([]byte, 31), 7))
	public, _ := keys.PublicKey(keys.Secp256k1, key)
	w.engine.secrets[string(public)] = big.NewInt(7)
	chain := random(32)
	where = w.where(3)
	ids := []mpc.PartyID{w.party(0), w.party(1), w.party(2)}
	imported, errs := all([]int{0, 1, 2}, func(n int) (*mpc.Share, error) {
		q := &mpc.ReshareRequest{Where: where, Curve: keys.Secp256k1, New: ids, NewSelf: &ids[n], NewThreshold: 2}
		if n == 1 {
			q.Import, q.ChainCode = key, chain
		}
		return w.rooms[n].Reshare(t.Context(), q)
	})
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	if string(imported[2].Public) != string(public) || string(imported[0].ChainCode) != string(chain) {
		t.Error("another key was imported")
	}
}
