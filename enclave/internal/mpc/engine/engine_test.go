package engine_test

import (
	"crypto/ed25519"
	"crypto/sha256"
	"math/big"
	"testing"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"
	"github.com/sallyport/sallyport/enclave/internal/keys"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
	"github.com/sallyport/sallyport/enclave/internal/mpc/engine"
	"github.com/sallyport/sallyport/enclave/internal/mpc/mpctest"
)

// combine makes the private key of some shares, and so checks them.
func combine(t *testing.T, shares []*mpc.Share, members ...int) *keys.Secret {
	t.Helper()
	var points []keys.Point
	for _, m := range members {
		own := shares[m].Members[shares[m].Member(shares[m].Self)]
		points = append(points, keys.Point{X: own.X, Y: shares[m].Secret})
	}
	key, err := keys.CombinePoints(shares[members[0]].Curve, points, shares[members[0]].Public)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// verify checks a signature by libraries that did not make it.
func verify(t *testing.T, c keys.Curve, public, digest, sig []byte) {
	t.Helper()
	if c == keys.Ed25519 {
		if !ed25519.Verify(public, digest, sig[:64]) {
			t.Error("the signature does not verify")
		}
		return
	}
	var r, s secp256k1.ModNScalar
	r.SetByteSlice(sig[:32])
	s.SetByteSlice(sig[32:64])
	key, err := secp256k1.ParsePubKey(public)
	if err != nil || !ecdsa.NewSignature(&r, &s).Verify(digest, key) || s.IsOverHalfOrder() {
		t.Error("the signature does not verify")
	}
	compact := append([]byte{27 + 4 + sig[64]}, sig[:64]...)
	if back, _, err := ecdsa.RecoverCompact(compact, digest); err != nil || !back.IsEqual(key) {
		t.Error("the recovery id is wrong")
	}
}

func sign(t *testing.T, op mpc.Op, shares []*mpc.Share, members []int, digest, delta []byte) []byte {
	t.Helper()
	e := engine.New()
	out := mpctest.Run(t.Context(), mpctest.Start(t, e, mpctest.SignSetups(op, shares, members, digest, delta)), digest, nil)
	for i, o := range out {
		if err := o.Err(); err != nil {
			t.Fatalf("party %d: %v", i, err)
		}
		if string(o.Result.Signature) != string(out[0].Result.Signature) {
			t.Error("the parties have different signatures")
		}
	}
	return out[0].Result.Signature
}

func TestKeyOfEachCurve(t *testing.T) {
	for _, c := range []keys.Curve{keys.Secp256k1, keys.Ed25519} {
		t.Run(c.String(), func(t *testing.T) {
			shares := mpctest.Keygen(t, engine.New(), c, 3, 2)
			key := combine(t, shares, 0, 1)
			for _, pair := range [][]int{{0, 2}, {1, 2}} {
				if !combine(t, shares, pair...).Equal(key) {
					t.Error("two shares make another key")
				}
			}
			digest := sha256.Sum256([]byte("a message"))
			for _, quorum := range [][]int{{0, 1}, {1, 2}, {0, 1, 2}} {
				verify(t, c, shares[0].Public, digest[:], sign(t, mpc.OpSign, shares, quorum, digest[:], nil))
			}
			zeros := make([]byte, 32)
			zeros[31] = 1
			verify(t, c, shares[0].Public, zeros, sign(t, mpc.OpSign, shares, []int{0, 2}, zeros, nil))

			delta := append(make([]byte, 31), 5)
			child := new(big.Int).Add(new(big.Int).SetBytes(key.Expose()), big.NewInt(5))
			childPublic, err := keys.ScalarPublic(c, keys.NewSecret(child.FillBytes(make([]byte, 32))))
			if err != nil {
				t.Fatal(err)
			}
			verify(t, c, childPublic, digest[:], sign(t, mpc.OpSign, shares, []int{0, 1}, digest[:], delta))
			if c == keys.Secp256k1 {
				verify(t, c, shares[0].Public, digest[:], sign(t, mpc.OpPresign, shares, []int{0, 1}, digest[:], nil))
				verify(t, c, childPublic, digest[:], sign(t, mpc.OpPresign, shares, []int{2, 1}[0:2], digest[:], delta))
			}
		})
	}
}
