package attestation_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha512"
	"testing"

	"github.com/hf/nitrite"

	"github.com/sallyport/sallyport/attestation"
	"github.com/sallyport/sallyport/attestation/attestationtest"
)

// BenchmarkVerifyArchived has a cold case, with a trust that has seen no chain,
// and a warm one, for a genuine document with a chain of five; nitrite alone
// and one P-384 verification stand beside it as the floor.
func BenchmarkVerifyArchived(b *testing.B) {
	doc := genuineDocuments(b)[0]
	b.Run("cold", func(b *testing.B) {
		for b.Loop() {
			if _, err := attestation.VerifyArchived(doc, genuineTrust(b), attestation.Expect{}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("warm", func(b *testing.B) {
		trust := genuineTrust(b)
		for b.Loop() {
			if _, err := attestation.VerifyArchived(doc, trust, attestation.Expect{}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("nitrite", func(b *testing.B) {
		d, err := attestation.VerifyArchived(doc, genuineTrust(b), attestation.Expect{})
		if err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			if _, err := nitrite.Verify(doc, nitrite.VerifyOptions{CurrentTime: d.Timestamp}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("floor", func(b *testing.B) {
		key := attestationtest.NewKey(b, elliptic.P384())
		digest := sha512.Sum384(doc)
		signature, err := ecdsa.SignASN1(rand.Reader, key, digest[:])
		if err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			if !ecdsa.VerifyASN1(&key.PublicKey, digest[:], signature) {
				b.Fatal("not verified")
			}
		}
	})
}

func BenchmarkVerifyLive(b *testing.B) {
	s := newScene(b)
	doc := s.Sign(s.challenge())
	for b.Loop() {
		if _, err := attestation.VerifyLive(doc, s.trust, s.expect(attestation.KindChallenge), s.nonce, s.Now); err != nil {
			b.Fatal(err)
		}
	}
}
