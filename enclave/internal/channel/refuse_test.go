package channel

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/attestation"
	"github.com/sallyport/sallyport/attestation/attestationtest"
	"github.com/sallyport/sallyport/enclave/internal/codec"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
	"github.com/sallyport/sallyport/enclave/internal/platform"
)

// A forger attests what a test wants, under the root that the peer trusts.
type forger struct {
	platform.Attester
	pki    *attestationtest.PKI
	change func(*attestationtest.Payload)
}

func (f *forger) Attest(_ context.Context, userData, nonce, publicKey []byte) ([]byte, error) {
	p := attestationtest.Payload{UserData: userData, Nonce: nonce, PublicKey: publicKey}
	f.change(&p)
	return f.pki.Sign(p), nil
}

// forge makes two sides of which the second attests with a forger.
func forge(t *testing.T, change func(*attestationtest.Payload)) (a, b *side) {
	t.Helper()
	pki := attestationtest.New(t)
	a, b = pairOf(t, func(id *Identity) { id.Attester = &forger{pki: pki, change: change} })
	trust, err := attestation.TrustLocal(pki.Root)
	if err != nil {
		t.Fatal(err)
	}
	a.peers[node(b.quorum)].trust = trust
	return a, b
}

func TestDocumentsThatAreNotAccepted(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*attestationtest.Payload)
		want   string // a reason; empty: accepted
	}{
		"genuine":      {func(*attestationtest.Payload) {}, ""},
		"other PCR0":   {func(p *attestationtest.Payload) { p.PCRs = registers(0, 0xab) }, attestation.ReasonMeasurements},
		"other PCR2":   {func(p *attestationtest.Payload) { p.PCRs = registers(2, 0xab) }, attestation.ReasonMeasurements},
		"debug mode":   {func(p *attestationtest.Payload) { p.PCRs = registers(0, 0) }, attestation.ReasonDebugEnclave},
		"stale":        {func(p *attestationtest.Payload) { p.Timestamp = time.Now().Add(-6 * time.Minute) }, attestation.ReasonStale},
		"of tomorrow":  {func(p *attestationtest.Payload) { p.Timestamp = time.Now().Add(6 * time.Minute) }, attestation.ReasonStale},
		"other nonce":  {func(p *attestationtest.Payload) { p.Nonce = bytes.Repeat([]byte{1}, 32) }, attestation.ReasonNonce},
		"no nonce":     {func(p *attestationtest.Payload) { p.Nonce = nil }, attestation.ReasonKind},
		"other key":    {func(p *attestationtest.Payload) { p.PublicKey = bytes.Repeat([]byte{1}, 32) }, attestation.ReasonPublicKey},
		"other node":   {func(p *attestationtest.Payload) { p.UserData = userData(mpc.NodeID{2}, make([]byte, 32)) }, attestation.ReasonManifest},
		"of a boot":    {func(p *attestationtest.Payload) { p.PublicKey = bytes.Repeat([]byte{4}, 130) }, attestation.ReasonKind},
		"no user data": {func(p *attestationtest.Payload) { p.UserData = nil }, attestation.ReasonKind},
	} {
		for _, initiator := range []bool{false, true} {
			a, b := forge(t, test.change)
			first, second := a, b
			if initiator {
				first, second = b, a
			}
			_, err := shake(t, first, second)
			if test.want == "" {
				if err != nil || a.pairs(b) != 1 || b.pairs(a) != 1 {
					t.Errorf("%s: %v", name, err)
				}
				continue
			}
			f, ok := errors.AsType[*mpc.Failure](err)
			if !ok || f.Cause != mpc.CauseAttestation || !strings.Contains(f.Reason, "("+test.want+")") || f.Culprits != nil {
				t.Errorf("%s: got %v, want %s", name, err, test.want)
			}
			if a.pairs(b) != 0 {
				t.Errorf("%s: there is a pair", name)
			}
		}
	}
}

func registers(index int, value byte) map[int][]byte {
	m := attestationtest.PCRs(16)
	m[index] = bytes.Repeat([]byte{value}, attestation.PCRSize)
	return m
}

func TestEnclavesThatAreNotAccepted(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*Identity)
		claims bool // to be the node that is known
		want   string
	}{
		"another quorum key":   {func(id *Identity) { id.Quorum, _ = ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }, true, "has not its quorum key"},
		"another root":         {func(id *Identity) { id.Attester = newModule(t) }, false, "not accepted"},
		"a clock a day behind": {func(id *Identity) { id.Now = func() time.Time { return time.Now().AddDate(0, 0, -1) } }, false, "not accepted"},
	} {
		a, b := pairOf(t, test.change)
		if test.claims {
			b.self = node(b.quorum)
		}
		from, to := a, b
		if name == "a clock a day behind" {
			from, to = b, a // it judges the other
		}
		_, err := shake(t, from, to)
		f, ok := errors.AsType[*mpc.Failure](err)
		if !ok || f.Cause != mpc.CauseAttestation || !strings.Contains(f.Reason, test.want) {
			t.Errorf("%s: got %v", name, err)
		}
		if from.pairs(to) != 0 {
			t.Errorf("%s: there is a pair", name)
		}
	}
}

func TestStrangersAreNotAnswered(t *testing.T) {
	a, b := pairOf(t, nil)
	c, _ := pairOf(t, nil) // nobody knows it
	if _, err := a.Initiate(t.Context(), node(c.quorum)); err == nil {
		t.Error("begins with a node that the manifest does not name")
	}
	one, err := a.Initiate(t.Context(), node(b.quorum))
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*step){
		"of a stranger":  func(s *step) { n := node(c.quorum); s.From = n[:] },
		"to a stranger":  func(s *step) { n := node(c.quorum); s.To = n[:] },
		"of itself":      func(s *step) { s.From = s.To },
		"reflected":      func(s *step) { s.From, s.To = s.To, s.From },
		"short id":       func(s *step) { s.ID = s.ID[1:] },
		"step 0":         func(s *step) { s.Step = 0 },
		"step 4":         func(s *step) { s.Step = 4 },
		"low order key":  func(s *step) { s.Noise = make([]byte, 32); s.Step = 2 },
		"no Noise":       func(s *step) { s.Noise = nil },
		"step 1 as 3":    func(s *step) { s.Step = 3 },
		"short node id":  func(s *step) { s.From = s.From[:32] },
		"too long":       func(s *step) { s.Noise = make([]byte, maxHandshake) },
		"of nobody":      func(s *step) { s.From = make([]byte, 33) },
		"step -1":        func(s *step) { s.Step = -1 },
		"step 2 unasked": func(s *step) { s.Step = 2 },
	} {
		var s step
		if err := codec.Decode(one, &s); err != nil {
			t.Fatal(err)
		}
		change(&s)
		if out, err := b.Handle(t.Context(), codec.Encode(s)); err == nil || out != nil {
			t.Errorf("%s: answered", name)
		}
	}
	if _, err := b.Handle(t.Context(), append(bytes.Clone(one), 0)); err == nil {
		t.Error("answers with bytes behind")
	}
	if b.Knows(node(c.quorum)) || b.IDs(node(c.quorum)) != nil || b.Common(node(c.quorum), [][8]byte{{}}) != nil {
		t.Error("a stranger is known")
	}
	if len(b.begun) != 0 {
		t.Errorf("%d handshakes have begun", len(b.begun))
	}
}
