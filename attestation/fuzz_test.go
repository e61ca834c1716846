package attestation_test

import (
	"bytes"
	"crypto/elliptic"
	"testing"

	"github.com/sallyport/sallyport/attestation"
	at "github.com/sallyport/sallyport/attestation/attestationtest"
)

// FuzzVerify looks for a panic, and for a document that is accepted though no
// signer made it. Run it with -fuzzminimizetime 10x: each signature takes its own
// path through the big numbers, and minimizing every such input takes minutes.
func FuzzVerify(f *testing.F) {
	s := newScene(f)
	// The first seed makes nitrite panic.
	f.Add(s.Sign(s.boot(), at.LeafCurve(elliptic.P521()), at.Signature(func(b []byte) []byte { return b[:96] })))
	good := s.Sign(s.boot())
	f.Add(good)
	f.Add(s.Sign(s.challenge(), at.Definite(), at.Prefix(0xd2)))
	f.Add(s.Sign(at.Payload{}, at.Member("nonce", indefinite(s.nonce))))
	for _, doc := range genuineDocuments(f) {
		f.Add(doc)
	}
	aws := genuineTrust(f)
	genuine := genuineDocuments(f)
	f.Fuzz(func(t *testing.T, doc []byte) {
		d, err := attestation.VerifyArchived(doc, s.trust, s.expect(attestation.KindBoot))
		if (d == nil) == (err == nil) {
			t.Fatalf("got %v beside %v", d, err)
		}
		if d != nil && !sameSignature(doc, good) {
			t.Fatalf("accepted %x", doc)
		}
		if d, _ := attestation.VerifyArchived(doc, aws, attestation.Expect{}); d != nil {
			if !sameSignature(doc, genuine[0]) && !sameSignature(doc, genuine[1]) {
				t.Fatalf("accepted under AWS %x", doc)
			}
		}
		if _, err := attestation.VerifyLive(doc, s.trust, s.expect(attestation.KindChallenge), s.nonce, s.Now); err == nil && !bytes.Contains(doc, s.nonce) {
			t.Fatalf("accepted live %x", doc)
		}
	})
}

// sameSignature reports whether a document ends in the signature of a good one.
// The envelope around it may differ in a tag or an indefinite length.
func sameSignature(doc, good []byte) bool { return bytes.Contains(doc, good[len(good)-96:]) }

// FuzzParseManifest holds every manifest that is read to its own bytes.
func FuzzParseManifest(f *testing.F) {
	f.Add([]byte(genesisJSON()))
	f.Add([]byte(operatingJSON()))
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := attestation.ParseManifest(text)
		if (m == nil) == (err == nil) {
			t.Fatalf("got %v beside %v", m, err)
		}
		if m == nil {
			return
		}
		if !bytes.Equal(m.Encode(), text) {
			t.Fatalf("%q is encoded as %q", text, m.Encode())
		}
		if err := m.Check(); err != nil {
			t.Fatalf("%q was read, and then: %v", text, err)
		}
	})
}
