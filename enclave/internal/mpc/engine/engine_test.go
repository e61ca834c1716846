package engine_test

import (
	"bytes"
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

func TestKeygen(t *testing.T) {
	const n, threshold = 5, 3
	shares := mpctest.Keygen(t, engine.New(), keys.Ed25519, n, threshold)
	key := combine(t, shares, 0, 1, 2)
	if !combine(t, shares, 4, 1, 3).Equal(key) {
		t.Error("other shares make another key")
	}
	digest := sha256.Sum256([]byte("a message"))
	verify(t, keys.Ed25519, shares[0].Public, digest[:], sign(t, mpc.OpSign, shares, []int{1, 2, 4}, digest[:], nil))
	for _, s := range shares {
		if s.KeyTag() != shares[0].KeyTag() {
			t.Error("the members have different keys")
		}
	}
}

func TestSigning(t *testing.T) {
	digest := sha256.Sum256([]byte("a message"))
	small := append(make([]byte, 31), 1)
	for _, c := range []keys.Curve{keys.Secp256k1, keys.Ed25519} {
		shares := mpctest.Key(t, c)
		for _, s := range []struct {
			name    string
			op      mpc.Op
			members []int
			message []byte
			delta   []byte
		}{
			{"two of three", mpc.OpSign, []int{0, 1}, digest[:], nil},
			{"all three", mpc.OpSign, []int{0, 1, 2}, digest[:], nil},
			{"leading zeros", mpc.OpSign, []int{0, 2}, small, nil},
			{"zero", mpc.OpSign, []int{1, 2}, make([]byte, 32), nil},
			{"above the group order", mpc.OpSign, []int{0, 1}, bytes.Repeat([]byte{0xff}, 32), nil},
			{"derived", mpc.OpSign, []int{0, 1}, digest[:], small},
			{"half-done", mpc.OpPresign, []int{0, 1, 2}, digest[:], nil},
			{"half-done, above the group order", mpc.OpPresign, []int{0, 1}, bytes.Repeat([]byte{0xff}, 32), nil},
			{"half-done, derived", mpc.OpPresign, []int{1, 2}, digest[:], small},
			{"empty", mpc.OpSign, []int{0, 1}, []byte{}, nil},
			{"long", mpc.OpSign, []int{0, 1}, make([]byte, 3000), nil},
		} {
			if c == keys.Ed25519 && s.op == mpc.OpPresign || c == keys.Secp256k1 && len(s.message) != 32 {
				continue
			}
			t.Run(c.String()+" "+s.name, func(t *testing.T) {
				public := child(t, shares, s.delta)
				verify(t, c, public, s.message, sign(t, s.op, shares, s.members, s.message, s.delta))
				combine(t, shares, 0, 1) // as before
			})
		}
	}
}

// child is the public key of a key and a delta.
func child(t *testing.T, shares []*mpc.Share, delta []byte) []byte {
	t.Helper()
	key := new(big.Int).SetBytes(combine(t, shares, 0, 1).Expose())
	key.Add(key, new(big.Int).SetBytes(delta))
	public, err := keys.ScalarPublic(shares[0].Curve, keys.NewSecret(key.FillBytes(make([]byte, 32))))
	if err != nil {
		t.Fatal(err)
	}
	return public
}
