package simulator_test

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"errors"
	"testing"
	"time"

	"github.com/sallyport/sallyport/attestation"
	"github.com/sallyport/sallyport/enclave/internal/nsm"
	"github.com/sallyport/sallyport/enclave/internal/simulator"
)

func newSimulator(tb testing.TB, options ...simulator.Option) *simulator.Simulator {
	tb.Helper()
	s, err := simulator.New(options...)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func trust(tb testing.TB, s *simulator.Simulator) attestation.Trust {
	tb.Helper()
	t, err := attestation.TrustLocal(s.Root())
	if err != nil {
		tb.Fatal(err)
	}
	return t
}

func bootKeys(tb testing.TB) []byte {
	tb.Helper()
	var keys []byte
	for range 2 {
		key, err := ecdh.P256().GenerateKey(rand.Reader)
		if err != nil {
			tb.Fatal(err)
		}
		keys = append(keys, key.PublicKey().Bytes()...)
	}
	return keys
}

// bootUp does what an enclave does: commits to its manifest and keys, then locks.
func bootUp(tb testing.TB, s *simulator.Simulator, keys, manifest []byte) {
	tb.Helper()
	err := errors.Join(
		s.ExtendPCR(attestation.PCRManifest, manifest),
		s.ExtendPCR(attestation.PCRBootKey, attestation.BootKeyCommitment(keys[:65], manifest)),
		s.ExtendPCR(attestation.PCRLive, attestation.LiveCommitment(keys, manifest)),
		s.LockPCRs(attestation.PCRCount),
	)
	if err != nil {
		tb.Fatal(err)
	}
}

func wantReason(t *testing.T, err error, reason string) {
	t.Helper()
	var refused *attestation.Error
	if !errors.As(err, &refused) || refused.Reason != reason {
		t.Errorf("got error %v, want reason %q", err, reason)
	}
}

func TestBootDocumentIsAcceptedByTheVerifier(t *testing.T) {
	s := newSimulator(t)
	keys, manifest := bootKeys(t), bytes.Repeat([]byte{7}, 32)
	bootUp(t, s, keys, manifest)
	doc, err := s.Attest(t.Context(), manifest, nil, keys)
	if err != nil {
		t.Fatal(err)
	}
	e := attestation.Expect{Kind: attestation.KindBoot, ManifestHash: manifest, PublicKey: keys}
	d, err := attestation.VerifyArchived(doc, trust(t, s), e)
	if err != nil {
		t.Fatal(err)
	}
	if len(d.PCRs) != 32 || d.Assurance != attestation.AssuranceLocal || d.Measurements() != attestation.LocalMeasurements() {
		t.Errorf("got %d registers, assurance %q", len(d.PCRs), d.Assurance)
	}
	if !bytes.HasPrefix(doc, []byte{0x84, 0x44, 0xa1, 0x01, 0x38, 0x22, 0xa0}) {
		t.Errorf("the envelope starts with %x", doc[:8])
	}
}

func TestChallengeDocumentIsAcceptedLive(t *testing.T) {
	s := newSimulator(t)
	keys, manifest := bootKeys(t), bytes.Repeat([]byte{7}, 32)
	bootUp(t, s, keys, manifest)
	nonces := [][]byte{bytes.Repeat([]byte{1}, 16), bytes.Repeat([]byte{2}, 32), bytes.Repeat([]byte{3}, 24)}
	root, paths := attestation.ChallengeTree(nonces)
	doc, err := s.Attest(t.Context(), manifest, root, keys)
	if err != nil {
		t.Fatal(err)
	}
	e := attestation.Expect{Kind: attestation.KindChallenge, ManifestHash: manifest}
	for i, nonce := range nonces {
		fresh := attestation.FreshAttestation{Document: doc, Path: paths[i]}
		if _, err := attestation.VerifyChallenge(fresh, trust(t, s), e, nonce, time.Now()); err != nil {
			t.Errorf("client %d: %v", i, err)
		}
	}
}

func TestUnlockedRegistersAreNotListed(t *testing.T) {
	s := newSimulator(t)
	if err := s.LockPCR(20); err != nil {
		t.Fatal(err)
	}
	doc, err := s.Attest(t.Context(), nil, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	d, err := attestation.VerifyArchived(doc, trust(t, s), attestation.Expect{})
	if err != nil {
		t.Fatal(err)
	}
	if len(d.PCRs) != 17 || d.PCRs[20] == nil || d.PCRs[16] != nil {
		t.Errorf("got %d registers", len(d.PCRs))
	}
	if d.UserData != nil || d.Nonce != nil || d.PublicKey != nil {
		t.Error("options that were left out are there")
	}
}

func TestZeroMeasurementsAreRefusedAsDebugMode(t *testing.T) {
	s := newSimulator(t, simulator.WithZeroPCRs())
	doc, err := s.Attest(t.Context(), nil, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = attestation.VerifyArchived(doc, trust(t, s), attestation.Expect{})
	wantReason(t, err, attestation.ReasonDebugEnclave)
}

func TestLocalDocumentIsRefusedByName(t *testing.T) {
	s := newSimulator(t)
	doc, err := s.Attest(t.Context(), nil, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	aws, err := attestation.TrustAWS(attestation.Measurements{PCR0: [48]byte{1}, PCR1: [48]byte{1}, PCR2: [48]byte{1}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = attestation.VerifyArchived(doc, aws, attestation.Expect{})
	wantReason(t, err, attestation.ReasonLocalDocument)
}

func TestClockSkewMakesDocumentsStale(t *testing.T) {
	nonce := bytes.Repeat([]byte{9}, 32)
	for _, skew := range []time.Duration{-6 * time.Minute, 6 * time.Minute} {
		s := newSimulator(t, simulator.WithClockSkew(skew))
		doc, err := s.Attest(t.Context(), nonce, nonce, nonce)
		if err != nil {
			t.Fatal(err)
		}
		e := attestation.Expect{Kind: attestation.KindChannel}
		_, err = attestation.VerifyLive(doc, trust(t, s), e, nonce, time.Now())
		wantReason(t, err, attestation.ReasonStale)
	}
}

func TestLeafIsRenewedFifteenMinutesBeforeItExpires(t *testing.T) {
	now := time.Now()
	s := newSimulator(t, simulator.WithClock(func() time.Time { return now }))
	ends := func() time.Time {
		t.Helper()
		doc, err := s.Attest(t.Context(), nil, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		d, err := attestation.VerifyArchived(doc, trust(t, s), attestation.Expect{})
		if err != nil {
			t.Fatal(err)
		}
		return d.LeafNotAfter
	}
	first := ends()
	now = now.Add(2*time.Hour + 44*time.Minute)
	if !ends().Equal(first) {
		t.Error("the leaf was renewed too early")
	}
	now = now.Add(time.Minute)
	if !ends().After(first) {
		t.Error("the leaf was not renewed in time")
	}
	now = now.Add(-24 * time.Hour)
	if !ends().Before(first) {
		t.Error("a clock that was set back kept a leaf from the future")
	}
}

func TestShortLivedLeafIsUsedToItsEnd(t *testing.T) {
	s := newSimulator(t, simulator.WithLeafLife(2*time.Minute))
	nonce := bytes.Repeat([]byte{9}, 32)
	doc, err := s.Attest(t.Context(), nonce, nonce, nonce)
	if err != nil {
		t.Fatal(err)
	}
	e := attestation.Expect{Kind: attestation.KindChannel}
	if _, err := attestation.VerifyLive(doc, trust(t, s), e, nonce, time.Now()); err != nil {
		t.Error(err)
	}
	_, err = attestation.VerifyLive(doc, trust(t, s), e, nonce, time.Now().Add(3*time.Minute))
	wantReason(t, err, attestation.ReasonExpired)
}

func TestRegistersExtendAndLockAsHardware(t *testing.T) {
	s := newSimulator(t)
	if err := s.ExtendPCR(16, []byte("one")); err != nil {
		t.Fatal(err)
	}
	if err := s.ExtendPCR(16, []byte("two")); err != nil {
		t.Fatal(err)
	}
	want := attestation.ExtendPCR(attestation.ExtendPCR(nil, []byte("one")), []byte("two"))
	if got, err := s.PCR(16); err != nil || !bytes.Equal(got, want) {
		t.Errorf("got %x, %v, want %x", got, err, want)
	}
	if err := s.LockPCRs(17); err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"extend of a locked register":       s.ExtendPCR(16, []byte("three")),
		"extend of a hypervisor's register": s.ExtendPCR(0, []byte("x")),
		"lock of a locked register":         s.LockPCR(16),
	} {
		var refused *nsm.Error
		if !errors.As(err, &refused) || refused.Code != nsm.ReadOnlyIndex {
			t.Errorf("%s: got %v, want %s", name, err, nsm.ReadOnlyIndex)
		}
	}
	if got, _ := s.PCR(16); !bytes.Equal(got, want) {
		t.Error("a refused extend changed the register")
	}
}

func BenchmarkAttest(b *testing.B) {
	s := newSimulator(b)
	if _, err := s.Attest(b.Context(), nil, nil, nil); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := s.Attest(b.Context(), nil, nil, nil); err != nil {
			b.Fatal(err)
		}
	}
}
