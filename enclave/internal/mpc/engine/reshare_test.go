package engine_test

import (
	"crypto/rand"
	"crypto/sha256"
	"testing"

	"github.com/sallyport/sallyport/enclave/internal/keys"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
	"github.com/sallyport/sallyport/enclave/internal/mpc/engine"
	"github.com/sallyport/sallyport/enclave/internal/mpc/mpctest"
)

// newShares runs a reshare and returns the shares of the new members.
func newShares(t *testing.T, setups []*mpc.Setup, n int) (out []*mpc.Share) {
	t.Helper()
	for i, o := range mpctest.Run(t.Context(), mpctest.Start(t, engine.New(), setups), nil, nil) {
		if err := o.Err(); err != nil {
			t.Fatalf("party %d: %v", i, err)
		}
		if o.Result.Share != nil {
			out = append(out, o.Result.Share)
		}
	}
	if len(out) != n {
		t.Fatalf("%d new shares, want %d", len(out), n)
	}
	return out
}

func TestReshareKeepsTheKey(t *testing.T) {
	digest := sha256.Sum256([]byte("a message"))
	for _, c := range []keys.Curve{keys.Ed25519, keys.Secp256k1} {
		shares := mpctest.Key(t, c)
		key := combine(t, shares, 0, 1)
		for _, s := range []struct {
			name         string
			old          []*mpc.Share
			n, threshold int
			both         bool
		}{
			{"to others, with a higher threshold", []*mpc.Share{shares[2], shares[0]}, 3, 3, false},
			{"refresh", shares, 3, 2, true},
		} {
			if c == keys.Secp256k1 && s.both {
				continue // TestRecordedKeys has one: it takes long
			}
			t.Run(c.String()+" "+s.name, func(t *testing.T) {
				before := combine(t, s.old, 0, 1)
				again := newShares(t, mpctest.ReshareSetups(s.old, s.n, s.threshold, s.both), s.n)
				members := []int{0, 1, 2}[:s.threshold]
				if !combine(t, again, members...).Equal(key) || !before.Equal(key) {
					t.Error("the new shares are of another key")
				}
				if again[0].KeyTag() != again[1].KeyTag() {
					t.Error("the new members have different keys")
				}
				verify(t, c, shares[0].Public, digest[:], sign(t, mpc.OpSign, again, members, digest[:], nil))
				combine(t, s.old, 0, 1) // the library has wiped only its copy
			})
		}
	}
}

func TestImportedKeyIsShared(t *testing.T) {
	digest := sha256.Sum256([]byte("a message"))
	for _, c := range []keys.Curve{keys.Ed25519, keys.Secp256k1} {
		t.Run(c.String(), func(t *testing.T) {
			raw := make([]byte, 32)
			_, _ = rand.Read(raw)
			raw[0] = 0 // below either order
			key := keys.NewSecret(raw)
			shares := newShares(t, mpctest.ImportSetups(t, c, key, 2, 2), 2)
			if !combine(t, shares, 0, 1).Equal(key) {
				t.Error("the shares are of another key")
			}
			verify(t, c, shares[0].Public, digest[:], sign(t, mpc.OpSign, shares, []int{0, 1}, digest[:], nil))
		})
	}
}
