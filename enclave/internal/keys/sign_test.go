package keys

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"math/big"
	"strings"
	"testing"

	"filippo.io/nistec"
	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	decred "github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"
)

// P-256: RFC 6979, section A.2.5, with SHA-256; there s of "sample" is the
// larger one of the two and n-s stands here. secp256k1: the vectors that
// Bitcoin implementations share, low-s already. Ed25519: RFC 8032, section
// 7.1, tests 1 and 3.
func TestSignaturesOfKnownMessages(t *testing.T) {
	const one = "0000000000000000000000000000000000000000000000000000000000000001"
	const rfc = "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721"
	for _, tt := range []struct {
		curve                   Curve
		private, message, rs, v string
	}{
		{P256, rfc, "sample", "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716" +
			"0834e36ad29a83bf2bc9385e491d6099c8fdf9d1ed67aa7ea5f51f93782857a9", ""},
		{P256, rfc, "test", "f1abb023518351cd71d881567b1ea663ed3efcf6c5132b354f28d3b0b7d38367" +
			"019f4113742a2b14bd25926b49c649155f267e60d3814b4c0cc84250e46f0083", ""},
		{Secp256k1, one, "Satoshi Nakamoto", "934b1ea10a4b3c1757e2b0c017d0b6143ce3c9a7e6a4a49860d7a6ab210ee3d8" +
			"2442ce9d2b916064108014783e923ec36b49743e2ffa1c4496f01a512aafd9e5", ""},
		{
			Secp256k1, one, "All those moments will be lost in time, like tears in rain. Time to die...",
			"8600dbd41e348fe5c9465ab92d23e3db8b98b873beecd930736488696438cb6b" +
				"547fe64427496db33bf66019dacbf0039c04199abb0122918601db38a72cfc21", "",
		},
		{
			Ed25519, "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60", "",
			"e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155" +
				"5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b", "",
		},
		{
			Ed25519, "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7", "\xaf\x82",
			"6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac" +
				"18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a", "",
		},
	} {
		message := []byte(tt.message)
		if tt.curve != Ed25519 {
			digest := sha256.Sum256(message)
			message = digest[:]
		}
		got, err := Sign(tt.curve, NewSecret(unhex(t, tt.private)), message)
		if err != nil {
			t.Fatal(err)
		}
		if hex.EncodeToString(got.R[:])+hex.EncodeToString(got.S[:]) != tt.rs {
			t.Errorf("%v %q: got %x%x, want %s", tt.curve, tt.message, got.R, got.S, tt.rs)
		}
	}
}

// The library's own signer, which is slower to blind but independent of ours.
func TestSecp256k1SignaturesAreThoseOfTheLibrary(t *testing.T) {
	for range 200 { // more than a few lives of a blinding pair
		s, _ := generate(t, Secp256k1)
		digest := make([]byte, 32)
		_, _ = rand.Read(digest)
		got, err := Sign(Secp256k1, s, digest)
		if err != nil {
			t.Fatal(err)
		}
		want := decred.SignCompact(secp256k1.PrivKeyFromBytes(s.Expose()), digest, true)
		if got.V != want[0]-31 || !bytes.Equal(got.R[:], want[1:33]) || !bytes.Equal(got.S[:], want[33:]) {
			t.Fatalf("got %d %x %x, want %x", got.V, got.R, got.S, want)
		}
	}
}

func TestDigestsAtTheEdgesAreSigned(t *testing.T) {
	for _, c := range []Curve{Secp256k1, P256} {
		s, public := generate(t, c)
		m, _ := modulus(c)
		var order [Size]byte
		putNat(&order, m.Nat())
		for _, digest := range [][]byte{make([]byte, 32), bytes.Repeat([]byte{0xff}, 32), order[:]} {
			sig, err := Sign(c, s, digest)
			if err != nil {
				t.Fatal(err)
			}
			verify(t, c, public, digest, sig)
		}
	}
}

func verify(t *testing.T, c Curve, public, message []byte, sig Signature) {
	t.Helper()
	ok := false
	switch c {
	case Secp256k1:
		compact := append(append([]byte{31 + sig.V}, sig.R[:]...), sig.S[:]...)
		key, _, err := decred.RecoverCompact(compact, message)
		ok = err == nil && bytes.Equal(key.SerializeCompressed(), public)
	case P256:
		key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point(t, public).Bytes())
		if err != nil {
			t.Fatal(err)
		}
		r, s := new(big.Int).SetBytes(sig.R[:]), new(big.Int).SetBytes(sig.S[:])
		half := new(big.Int).Rsh(elliptic.P256().Params().N, 1)
		ok = ecdsa.Verify(key, message, r, s) && s.Cmp(half) <= 0
	case Ed25519:
		ok = ed25519.Verify(public, message, append(sig.R[:], sig.S[:]...)) && sig.V == 0
	}
	if !ok {
		t.Errorf("%v: signature over %x does not verify", c, message)
	}
}

// point reads a compressed point of P-256.
func point(t *testing.T, compressed []byte) *nistec.P256Point {
	t.Helper()
	p, err := nistec.NewP256Point().SetBytes(compressed)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestSignaturesVerifyElsewhere(t *testing.T) {
	for _, c := range allCurves {
		var seen [2]bool
		for range 40 {
			s, public := generate(t, c)
			message := make([]byte, 32)
			_, _ = rand.Read(message)
			sig, err := Sign(c, s, message)
			if err != nil {
				t.Fatal(err)
			}
			verify(t, c, public, message, sig)
			again, _ := Sign(c, s, message)
			if again != sig {
				t.Errorf("%v: two signatures of one message", c)
			}
			seen[sig.V&1] = true
		}
		if c != Ed25519 && (!seen[0] || !seen[1]) {
			t.Errorf("%v: all recovery ids are equal", c)
		}
	}
}

// The recovery id of P-256 names the key: recompute Q = (sR - eG)/r.
func TestP256RecoveryIdNamesTheKey(t *testing.T) {
	n := elliptic.P256().Params().N
	for range 20 {
		key, public := generate(t, P256)
		digest := make([]byte, 32)
		_, _ = rand.Read(digest)
		sig, err := Sign(P256, key, digest)
		if err != nil {
			t.Fatal(err)
		}
		rInverse := new(big.Int).ModInverse(new(big.Int).SetBytes(sig.R[:]), n)
		minusE := new(big.Int).Neg(new(big.Int).SetBytes(digest))
		minusE.Mod(minusE, n)
		q := point(t, append([]byte{2 + sig.V}, sig.R[:]...))
		_, sErr := q.ScalarMult(q, sig.S[:])
		e, eErr := nistec.NewP256Point().ScalarBaseMult(minusE.FillBytes(make([]byte, Size)))
		q.Add(q, e)
		_, rErr := q.ScalarMult(q, rInverse.FillBytes(make([]byte, Size)))
		if got := q.BytesCompressed(); errors.Join(sErr, eErr, rErr) != nil || !bytes.Equal(got, public) {
			t.Fatalf("recovered %x, want %x", got, public)
		}
	}
}

// A signature damaged between the library and the caller does not come out.
func TestP256SignaturesAreCheckedBeforeTheyLeave(t *testing.T) {
	key, _ := generate(t, P256)
	other, _ := generate(t, P256)
	digest := [32]byte{1, 2, 3}
	sig, err := Sign(P256, key, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	n := elliptic.P256().Params().N
	var sInverse [32]byte
	new(big.Int).ModInverse(new(big.Int).SetBytes(sig.S[:]), n).FillBytes(sInverse[:])
	if v, err := recoveryP256(key.Expose(), &digest, &sig.R, &sInverse); err != nil || v != sig.V {
		t.Fatalf("the sound signature: %d, %v", v, err)
	}
	flip := func(b [32]byte) *[32]byte { b[31] ^= 1; return &b }
	for name, err := range map[string]error{
		"r":      second(recoveryP256(key.Expose(), &digest, flip(sig.R), &sInverse)),
		"s":      second(recoveryP256(key.Expose(), &digest, &sig.R, flip(sInverse))),
		"digest": second(recoveryP256(key.Expose(), flip(digest), &sig.R, &sInverse)),
		"key":    second(recoveryP256(other.Expose(), &digest, &sig.R, &sInverse)),
		"zero":   second(recoveryP256(key.Expose(), &digest, &sig.R, new([32]byte))),
	} {
		if !errors.Is(err, errP256) {
			t.Errorf("changed %s: got %v", name, err)
		}
	}
}

func TestDigestsOfAnotherLengthAreRefused(t *testing.T) {
	for _, c := range []Curve{Secp256k1, P256} {
		s, _ := generate(t, c)
		for _, n := range []int{0, 20, 31, 33, 64} {
			if _, err := Sign(c, s, make([]byte, n)); err == nil || !strings.Contains(err.Error(), "digest: must be 32 bytes") {
				t.Errorf("%v with %d bytes: %v", c, n, err)
			}
		}
	}
}

func BenchmarkSign(b *testing.B) {
	message := make([]byte, 32)
	for _, c := range allCurves {
		b.Run(c.String(), func(b *testing.B) {
			s, _ := generate(b, c)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Sign(c, s, message); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("floor/decred", func(b *testing.B) {
		s, _ := generate(b, Secp256k1)
		priv := secp256k1.PrivKeyFromBytes(s.Expose())
		b.ReportAllocs()
		for b.Loop() {
			decred.SignCompact(priv, message, true)
		}
	})
}

// BenchmarkCombineAndSign is what one signing request costs in this package.
func BenchmarkCombineAndSign(b *testing.B) {
	message := make([]byte, 32)
	for _, c := range allCurves {
		s, public := generate(b, c)
		shares := split(b, c, s, 2, 3)[:2]
		if long, err := Uncompress(c, public); err == nil {
			public = long
		}
		b.Run(c.String(), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				WithSecret(func() {
					s, err := Combine(c, shares, public)
					if err != nil {
						b.Fatal(err)
					}
					defer s.Erase()
					if _, err := Sign(c, s, message); err != nil {
						b.Fatal(err)
					}
				})
			}
		})
	}
}
