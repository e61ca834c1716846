package attestation_test

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/sallyport/sallyport/attestation"
	at "github.com/sallyport/sallyport/attestation/attestationtest"
)

// withPCR returns the boot payload with one register changed, or left out.
func withPCR(index int, value []byte) func(*scene) at.Payload {
	return func(s *scene) at.Payload {
		p := s.boot()
		p.PCRs = maps.Clone(p.PCRs)
		p.PCRs[index] = value
		if value == nil {
			delete(p.PCRs, index)
		}
		return p
	}
}

func TestWrongMeasurementsAreRefused(t *testing.T) {
	zero := make([]byte, attestation.PCRSize)
	runAbuse(t, []abuse{
		{name: "E4 wrong PCR0", payload: withPCR(0, filled(1)), reason: attestation.ReasonMeasurements},
		{name: "E4 wrong PCR1", payload: withPCR(1, filled(1)), reason: attestation.ReasonMeasurements},
		{name: "E4 wrong PCR2", payload: withPCR(2, filled(1)), reason: attestation.ReasonMeasurements},
		{name: "E4 PCR0 missing", payload: withPCR(0, nil), reason: attestation.ReasonMeasurements},
		{name: "E4 PCR1 missing", payload: withPCR(1, nil), reason: attestation.ReasonMeasurements},
		{name: "E4 PCR2 missing", payload: withPCR(2, nil), reason: attestation.ReasonMeasurements},
		{name: "E4 PCR31 not locked", payload: withPCR(31, nil), reason: attestation.ReasonMeasurements},
		{name: "E4 PCR16 commits to another boot key", payload: withPCR(16, filled(1)), reason: attestation.ReasonMeasurements},
		{name: "E4 PCR16 never extended", payload: withPCR(16, zero), reason: attestation.ReasonMeasurements},
		{name: "E4 PCR17 commits to another key", payload: withPCR(17, filled(1)), reason: attestation.ReasonMeasurements},
		{name: "E4 PCR18 commits to another manifest", payload: withPCR(18, filled(1)), reason: attestation.ReasonMeasurements},
		{name: "E5 PCR0 zero", payload: withPCR(0, zero), reason: attestation.ReasonDebugEnclave},
		{name: "E5 PCR1 zero", payload: withPCR(1, zero), reason: attestation.ReasonMeasurements},
		{name: "E5 PCR0 to 2 zero", payload: func(s *scene) at.Payload {
			p := withPCR(0, zero)(s)
			p.PCRs[1], p.PCRs[2] = zero, zero
			return p
		}, reason: attestation.ReasonDebugEnclave},
	})
}

func TestExpectedRegistersAreCompared(t *testing.T) {
	s := newScene(t)
	doc := s.Sign(s.boot())
	pcr4 := at.PCRs(16)[4]
	for _, c := range []struct {
		name   string
		pcrs   map[int][]byte
		reason string
	}{
		{"E19 PCR3 and PCR4 as expected", map[int][]byte{3: make([]byte, 48), 4: pcr4}, ""},
		{"E4 wrong PCR3", map[int][]byte{3: filled(1)}, attestation.ReasonMeasurements},
		{"E19 same image on another instance", map[int][]byte{4: filled(1)}, attestation.ReasonMeasurements},
		{"E4 wrong PCR8", map[int][]byte{8: filled(1)}, attestation.ReasonMeasurements},
		{"register that does not exist", map[int][]byte{32: filled(1)}, attestation.ReasonUsage},
		{"register -1", map[int][]byte{-1: filled(1)}, attestation.ReasonUsage},
		{"value of 32 bytes", map[int][]byte{4: pcr4[:32]}, attestation.ReasonUsage},
		{"value nil", map[int][]byte{4: nil}, attestation.ReasonUsage},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := s.expect(attestation.KindBoot)
			e.PCRs = c.pcrs
			d, err := attestation.VerifyArchived(doc, s.trust, e)
			if c.reason == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantReason(t, d, err, c.reason)
		})
	}
	t.Run("E4 expected register that is not locked", func(t *testing.T) {
		doc := s.Sign(at.Payload{})
		e := attestation.Expect{PCRs: map[int][]byte{20: make([]byte, 48)}}
		d, err := attestation.VerifyArchived(doc, s.trust, e)
		wantReason(t, d, err, attestation.ReasonMeasurements)
	})
}

func TestDebugEnclaveUnderTheTrustedRootIsRefused(t *testing.T) {
	s := newScene(t)
	zero := make([]byte, attestation.PCRSize)
	doc := s.Sign(at.Payload{PCRs: map[int][]byte{0: zero, 1: zero, 2: zero, 3: zero, 4: filled(4)}})
	// Not even a trust that was built around the constructor accepts it.
	trust := attestation.TrustAsAWS(s.Root, attestation.Measurements{})
	d, err := attestation.VerifyArchived(doc, trust, attestation.Expect{})
	wantReason(t, d, err, attestation.ReasonDebugEnclave)
}

func TestSeveralMeasurementsServeARollingUpgrade(t *testing.T) {
	s := newScene(t)
	triple := func(b byte) attestation.Measurements {
		return attestation.Measurements{PCR0: [48]byte(filled(b)), PCR1: [48]byte(filled(b + 1)), PCR2: [48]byte(filled(b + 2))}
	}
	trust := attestation.TrustAsAWS(s.Root, triple(10), triple(20))
	verify := func(a, b, c byte) (*attestation.Document, error) {
		doc := s.Sign(at.Payload{PCRs: map[int][]byte{0: filled(a), 1: filled(b), 2: filled(c)}})
		return attestation.VerifyArchived(doc, trust, attestation.Expect{})
	}
	for _, first := range []byte{10, 20} {
		if _, err := verify(first, first+1, first+2); err != nil {
			t.Error(err)
		}
	}
	d, err := verify(10, 21, 12) // parts of two images
	wantReason(t, d, err, attestation.ReasonMeasurements)
}

func TestNonceMustBeTheVerifiers(t *testing.T) {
	s := newScene(t)
	live := func(payload at.Payload, nonce []byte) (*attestation.Document, error) {
		return attestation.VerifyLive(s.Sign(payload), s.trust, s.expect(attestation.KindChallenge), nonce, s.Now)
	}
	for _, c := range []struct {
		name    string
		payload at.Payload
		nonce   []byte
		reason  string
	}{
		{"E6 nonce missing", s.boot(), s.nonce, attestation.ReasonKind},
		{"E6 nonce of another session", s.challenge(), at.ManifestHash("another"), attestation.ReasonNonce},
		{"E6 nonce is a prefix", s.challenge(), s.nonce[:16], attestation.ReasonNonce},
		{"E6 document's nonce is a prefix", at.Challenge(s.keys, s.manifest, s.nonce[:16]), s.nonce, attestation.ReasonKind},
		{"E6 verifier without a nonce", s.challenge(), nil, attestation.ReasonUsage},
		{"E6 verifier with a nonce of 15 bytes", s.challenge(), s.nonce[:15], attestation.ReasonUsage},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, err := live(c.payload, c.nonce)
			wantReason(t, d, err, c.reason)
		})
	}
}

func TestLiveDocumentMustBeOfNow(t *testing.T) {
	s := newScene(t)
	leafFrom := s.Now.Add(-3 * time.Second).Truncate(time.Second)
	for _, c := range []struct {
		name   string
		made   time.Duration // of the document, from s.Now
		now    time.Duration // of the verifier
		reason string
	}{
		{"now", 0, 0, ""},
		{"five minutes ago", 0, 5 * time.Minute, ""},
		{"E7 more than five minutes ago", 0, 5*time.Minute + time.Second, attestation.ReasonStale},
		{"E7 a day ago", 0, 24 * time.Hour, attestation.ReasonStale},
		{"from the future", 6 * time.Minute, 0, attestation.ReasonStale},
		{"clock a minute slow", 0, leafFrom.Add(-60 * time.Second).Sub(s.Now), ""},
		{"clock more than a minute slow", 0, leafFrom.Add(-61 * time.Second).Sub(s.Now), attestation.ReasonExpired},
		{"made before its leaf", -10 * time.Second, 0, attestation.ReasonExpired},
		{"made by the old leaf in its last second", 3*time.Hour - 2*time.Second, 3*time.Hour - 2*time.Second, ""},
		{"leaf expired since", 3*time.Hour - 2*time.Second, 3*time.Hour + time.Second, attestation.ReasonExpired},
		{"made after its leaf", 3*time.Hour + time.Second, 3*time.Hour + time.Second, attestation.ReasonExpired},
	} {
		t.Run(c.name, func(t *testing.T) {
			payload := s.challenge()
			payload.Timestamp = s.Now.Add(c.made)
			// A fresh trust: the chain is verified at this time, not remembered.
			d, err := attestation.VerifyLive(s.Sign(payload), s.Trust(), s.expect(attestation.KindChallenge), s.nonce, s.Now.Add(c.now))
			if c.reason == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantReason(t, d, err, c.reason)
		})
	}
	t.Run("no time", func(t *testing.T) {
		d, err := attestation.VerifyLive(s.Sign(s.challenge()), s.trust, s.expect(attestation.KindChallenge), s.nonce, time.Time{})
		wantReason(t, d, err, attestation.ReasonUsage)
	})
}

func TestPublicKeyMustHaveTheFormOfItsKind(t *testing.T) {
	identity := slices.Concat([]byte{4}, make([]byte, 64))
	key := func(edit func([]byte) []byte) func(*scene) at.Payload {
		return func(s *scene) at.Payload {
			p := s.boot()
			p.PublicKey = edit(slices.Clone(s.keys))
			return p
		}
	}
	runAbuse(t, []abuse{
		{name: "E15 public_key absent", payload: key(func([]byte) []byte { return nil }), reason: attestation.ReasonKind},
		{name: "E15 one key", payload: key(func(k []byte) []byte { return k[:65] }), reason: attestation.ReasonKind},
		{name: "E15 trailing byte", payload: key(func(k []byte) []byte { return append(k, 0) }), reason: attestation.ReasonKind},
		{name: "E15 point not on the curve", payload: key(func(k []byte) []byte { k[100] ^= 1; return k }), reason: attestation.ReasonKind},
		{name: "E15 compressed point", payload: key(func(k []byte) []byte { k[65] = 2; return k }), reason: attestation.ReasonKind},
		{name: "E15 all-zero point", payload: key(func(k []byte) []byte { return append(identity, k[65:]...) }), reason: attestation.ReasonKind},
		{name: "E15 RSA key where P-256 is expected", payload: key(func([]byte) []byte { return rsaKey(t, 2048) }), reason: attestation.ReasonKind},
		{name: "E16 user_data absent", payload: func(s *scene) at.Payload {
			p := s.boot()
			p.UserData = nil
			return p
		}, reason: attestation.ReasonKind},
		{name: "E16 user_data of 31 bytes", payload: func(s *scene) at.Payload {
			p := s.boot()
			p.UserData = p.UserData[:31]
			return p
		}, reason: attestation.ReasonKind},
		{name: "E16 another manifest", payload: func(s *scene) at.Payload {
			return at.Boot(s.keys, at.ManifestHash("another"))
		}, reason: attestation.ReasonManifest},
		{name: "E16 another manifest in user_data only", payload: func(s *scene) at.Payload {
			p := at.Boot(s.keys, at.ManifestHash("another"))
			p.UserData = s.manifest
			return p
		}, reason: attestation.ReasonMeasurements},
		{name: "E15 keys of another boot", payload: func(s *scene) at.Payload {
			return at.Boot(s.BootKeys(), s.manifest)
		}, reason: attestation.ReasonPublicKey},
		{name: "nonce in a boot document", payload: (*scene).challenge, reason: attestation.ReasonKind},
		{name: "empty nonce in a boot document", options: []at.Option{at.Member("nonce", at.Bytes(nil))}, reason: attestation.ReasonKind},
	})
}

func TestLocalDocumentIsRefusedByNameAtAnAWSVerifier(t *testing.T) {
	s := newScene(t)
	aws := genuineTrust(t)
	t.Run("E17 document of the local platform", func(t *testing.T) {
		d, err := attestation.VerifyArchived(s.Sign(s.boot()), aws, s.expect(attestation.KindBoot))
		wantReason(t, d, err, attestation.ReasonLocalDocument)
	})
	t.Run("E17 genuine document at a local verifier", func(t *testing.T) {
		d, err := attestation.VerifyArchived(genuineDocuments(t)[0], s.trust, attestation.Expect{})
		wantReason(t, d, err, attestation.ReasonUntrustedRoot)
	})
	t.Run("E17 other measurements under the local root", func(t *testing.T) {
		doc := s.Sign(at.Payload{PCRs: map[int][]byte{0: filled(1), 1: filled(1), 2: filled(1)}})
		d, err := attestation.VerifyArchived(doc, s.trust, attestation.Expect{})
		wantReason(t, d, err, attestation.ReasonMeasurements)
	})
}
