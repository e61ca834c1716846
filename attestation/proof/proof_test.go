package proof_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"math/big"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/attestation/proof"
	"github.com/sallyport/sallyport/attestation/strictjson"
)

// testKey returns a P-256 key that is SHA-256 of its name.
func testKey(t testing.TB, name string) *ecdsa.PrivateKey {
	t.Helper()
	scalar := sha256.Sum256([]byte("sallyport test key " + name))
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), scalar[:])
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func point(t testing.TB, key *ecdsa.PrivateKey) []byte {
	t.Helper()
	b, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// ephemeral returns a signing key and the ephemeral public key it belongs to.
func ephemeral(t testing.TB) (*ecdsa.PrivateKey, []byte) {
	t.Helper()
	signing := testKey(t, "signing")
	return signing, append(point(t, testKey(t, "boot")), point(t, signing)...)
}

func TestProofVerifies(t *testing.T) {
	signing, public := ephemeral(t)
	p, err := proof.Sign(signing, public, []byte(`{"type":"X"}`))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Verify(); err != nil {
		t.Fatal(err)
	}
	if len(p.PublicKey) != 260 || len(p.Signature) != 128 || p.ProofPayload != `{"type":"X"}` {
		t.Errorf("unexpected form: %+v", p)
	}
	again, err := proof.Sign(signing, public, []byte(`{"type":"X"}`))
	if diff := cmp.Diff(p, again); diff != "" || err != nil {
		t.Errorf("signing again gave another proof (%v):\n%s", err, diff)
	}
}

func TestEveryChangedByteOfAProofIsRefused(t *testing.T) {
	signing, public := ephemeral(t)
	p, err := proof.Sign(signing, public, []byte(`{"type":"X","n":"é"}`))
	if err != nil {
		t.Fatal(err)
	}
	good, err := strictjson.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	for i := range good {
		for _, flip := range []byte{0x01, 0x20, 0x80} {
			bad := bytes.Clone(good)
			bad[i] ^= flip
			var q proof.AppProof
			if strictjson.Decode(bad, &q) == nil && q.Verify() == nil {
				t.Fatalf("byte %d changed from %q to %q: accepted", i, good[i], bad[i])
			}
		}
	}
}

func TestProofOfAnyOtherFormIsRefused(t *testing.T) {
	signing, public := ephemeral(t)
	good, err := proof.Sign(signing, public, []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	order := elliptic.P256().Params().N
	sig, _ := hex.DecodeString(good.Signature)
	overflow := new(big.Int).Add(new(big.Int).SetBytes(sig[32:]), order)
	tests := []struct {
		name   string
		change func(*proof.AppProof)
		want   string
	}{
		{"scheme", func(p *proof.AppProof) { p.Scheme = "SIGNATURE_SCHEME_TK_API_P256" }, "scheme: "},
		{"no scheme", func(p *proof.AppProof) { p.Scheme = "" }, "scheme: "},
		{"upper-case key", func(p *proof.AppProof) { p.PublicKey = strings.ToUpper(p.PublicKey) }, "publicKey: must be lower-case hex"},
		{"only the signing half", func(p *proof.AppProof) { p.PublicKey = p.PublicKey[130:] }, "publicKey: must be 130 bytes"},
		{"first half off the curve", func(p *proof.AppProof) { p.PublicKey = p.PublicKey[:128] + "00" + p.PublicKey[130:] }, "publicKey: "},
		{"second half off the curve", func(p *proof.AppProof) { p.PublicKey = p.PublicKey[:258] + "00" }, "publicKey: "},
		{"halves exchanged", func(p *proof.AppProof) { p.PublicKey = p.PublicKey[130:] + p.PublicKey[:130] }, "signature: "},
		{"hybrid form", func(p *proof.AppProof) { p.PublicKey = p.PublicKey[:130] + "06" + p.PublicKey[132:] }, "publicKey: "},
		{"payload", func(p *proof.AppProof) { p.ProofPayload += " " }, "signature: "},
		{"upper-case signature", func(p *proof.AppProof) { p.Signature = strings.ToUpper(p.Signature) }, "signature: must be lower-case hex"},
		{"63 bytes", func(p *proof.AppProof) { p.Signature = p.Signature[2:] }, "signature: must be 64 bytes"},
		{"65 bytes", func(p *proof.AppProof) { p.Signature += "00" }, "signature: must be 64 bytes"},
		{"zero", func(p *proof.AppProof) { p.Signature = strings.Repeat("0", 128) }, "signature: "},
		{"s is zero", func(p *proof.AppProof) { p.Signature = p.Signature[:64] + strings.Repeat("0", 64) }, "signature: "},
		{"s plus the order", func(p *proof.AppProof) {
			if b := overflow.Bytes(); len(b) == 32 {
				p.Signature = p.Signature[:64] + hex.EncodeToString(b)
			} else {
				p.Signature = p.Signature[:64] + strings.Repeat("f", 64)
			}
		}, "signature: "},
		{"empty", func(p *proof.AppProof) { *p = proof.AppProof{} }, "scheme: "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := good
			tt.change(&p)
			if err := p.Verify(); err == nil || !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("error = %v, want %q", err, tt.want)
			}
		})
	}
}

func TestNothingIsSignedForAnotherKey(t *testing.T) {
	signing, public := ephemeral(t)
	other := testKey(t, "other")
	if _, err := proof.Sign(other, public, []byte("x")); err == nil {
		t.Error("Sign took a key that is not the public key's")
	}
	if _, err := proof.Sign(signing, public[65:], []byte("x")); err == nil {
		t.Error("Sign took half a public key")
	}
	if _, err := proof.Sign(signing, public, []byte("\xff")); err == nil {
		t.Error("Sign took a payload that JSON cannot carry")
	}
	if _, err := testReply(t).Sign(other, public); err == nil {
		t.Error("Reply.Sign took a key that is not the public key's")
	}
}

func BenchmarkProof(b *testing.B) {
	signing, public := ephemeral(b)
	payload := bytes.Repeat([]byte("x"), 700)
	p, err := proof.Sign(signing, public, payload)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("Sign", func(b *testing.B) {
		for b.Loop() {
			if _, err := proof.Sign(signing, public, payload); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("Verify", func(b *testing.B) {
		for b.Loop() {
			if err := p.Verify(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("floor=ecdsa-sign", func(b *testing.B) {
		for b.Loop() {
			digest := sha256.Sum256(payload)
			if _, err := ecdsa.SignASN1(rand.Reader, signing, digest[:]); err != nil {
				b.Fatal(err)
			}
		}
	})
}
