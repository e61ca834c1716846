package attestation_test

import (
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"math/big"
	"testing"

	"github.com/sallyport/sallyport/attestation"
	at "github.com/sallyport/sallyport/attestation/attestationtest"
)

// rsaKey returns an RSA public key as DER SubjectPublicKeyInfo.
func rsaKey(tb testing.TB, bits int) []byte {
	tb.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		tb.Fatal(err)
	}
	return spki(tb, &key.PublicKey)
}

func spki(tb testing.TB, public any) []byte {
	tb.Helper()
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		tb.Fatal(err)
	}
	return der
}

func TestEachKindHasOneForm(t *testing.T) {
	s := newScene(t)
	hash := at.ManifestHash("binding")
	kms := at.Payload{UserData: hash, PublicKey: rsaKey(t, 2048)}
	channel := at.Payload{UserData: hash, Nonce: s.nonce, PublicKey: hash}
	payloads := map[attestation.Kind]at.Payload{
		attestation.KindBoot:      s.boot(),
		attestation.KindChallenge: s.challenge(),
		attestation.KindChannel:   channel,
		attestation.KindKMS:       kms,
	}
	for made, payload := range payloads {
		doc := s.Sign(payload)
		for expected := range payloads {
			d, err := attestation.VerifyArchived(doc, s.trust, attestation.Expect{Kind: expected, ManifestHash: payload.UserData})
			if made == expected && err != nil {
				t.Errorf("%s document: %v", made, err)
			}
			if made != expected {
				t.Run(string(made)+" for "+string(expected), func(t *testing.T) { wantReason(t, d, err, attestation.ReasonKind) })
			}
		}
		if _, err := attestation.VerifyArchived(doc, s.trust, attestation.Expect{Kind: attestation.KindAny}); err != nil {
			t.Errorf("%s document, form skipped: %v", made, err)
		}
	}
}

func TestFormsOfTheSmallerKindsAreStrict(t *testing.T) {
	s := newScene(t)
	hash := at.ManifestHash("binding")
	good := rsaKey(t, 2048)
	for _, c := range []struct {
		name    string
		kind    attestation.Kind
		payload at.Payload
	}{
		{"kms with an RSA key of 1024 bits", attestation.KindKMS, at.Payload{UserData: hash, PublicKey: smallRSA(t)}},
		{"kms with a P-384 key", attestation.KindKMS, at.Payload{UserData: hash, PublicKey: spki(t, &at.NewKey(t, elliptic.P384()).PublicKey)}},
		{"kms with bytes after the key", attestation.KindKMS, at.Payload{UserData: hash, PublicKey: append(good[:len(good):len(good)], 0)}},
		{"kms without a key", attestation.KindKMS, at.Payload{UserData: hash}},
		{"kms without user data", attestation.KindKMS, at.Payload{PublicKey: good}},
		{"channel with a key of 33 bytes", attestation.KindChannel, at.Payload{UserData: hash, Nonce: hash, PublicKey: make([]byte, 33)}},
		{"channel without a nonce", attestation.KindChannel, at.Payload{UserData: hash, PublicKey: hash}},
		{"channel with user data of 48 bytes", attestation.KindChannel, at.Payload{UserData: filled(1), Nonce: hash, PublicKey: hash}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, err := attestation.VerifyArchived(s.Sign(c.payload), s.trust, attestation.Expect{Kind: c.kind})
			wantReason(t, d, err, attestation.ReasonKind)
		})
	}
}

// smallRSA is a key that crypto/rsa refuses to make today.
func smallRSA(tb testing.TB) []byte {
	tb.Helper()
	n := make([]byte, 128)
	if _, err := rand.Read(n); err != nil {
		tb.Fatal(err)
	}
	n[0] |= 0x80
	n[127] |= 1
	return spki(tb, &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: 65537})
}

func TestQuestionsThatCannotBeAnsweredAreRefused(t *testing.T) {
	s := newScene(t)
	boot, challenge := s.Sign(s.boot()), s.Sign(s.challenge())
	archived := func(trust attestation.Trust, e attestation.Expect) (*attestation.Document, error) {
		return attestation.VerifyArchived(boot, trust, e)
	}
	live := func(e attestation.Expect) (*attestation.Document, error) {
		return attestation.VerifyLive(challenge, s.trust, e, s.nonce, s.Now)
	}
	for name, ask := range map[string]func() (*attestation.Document, error){
		"zero trust": func() (*attestation.Document, error) {
			return archived(attestation.Trust{}, s.expect(attestation.KindBoot))
		},
		"boot without a manifest": func() (*attestation.Document, error) {
			return archived(s.trust, attestation.Expect{Kind: attestation.KindBoot})
		},
		"challenge without a manifest": func() (*attestation.Document, error) {
			return live(attestation.Expect{Kind: attestation.KindChallenge})
		},
		"manifest hash of 31 bytes": func() (*attestation.Document, error) {
			return archived(s.trust, attestation.Expect{Kind: attestation.KindBoot, ManifestHash: s.manifest[:31]})
		},
		"unknown kind": func() (*attestation.Document, error) {
			return archived(s.trust, attestation.Expect{Kind: "Boot", ManifestHash: s.manifest})
		},
		"boot live": func() (*attestation.Document, error) { return live(s.expect(attestation.KindBoot)) },
		"kms live":  func() (*attestation.Document, error) { return live(s.expect(attestation.KindKMS)) },
		"any live":  func() (*attestation.Document, error) { return live(attestation.Expect{}) },
	} {
		t.Run(name, func(t *testing.T) {
			d, err := ask()
			wantReason(t, d, err, attestation.ReasonUsage)
		})
	}
}
