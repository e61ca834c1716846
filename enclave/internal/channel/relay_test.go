package channel

import (
	"bytes"
	"crypto/rand"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/flynn/noise"

	"github.com/sallyport/sallyport/enclave/internal/codec"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
)

// damage gives a receiver a message cut at many places and changed at others.
func damage(t *testing.T, to *side, message []byte) {
	t.Helper()
	var s step
	if err := codec.Decode(message, &s); err != nil {
		t.Fatal(err)
	}
	try := func(what string, at int, noise []byte) {
		bad := s
		bad.Noise = noise
		if out, err := to.Handle(t.Context(), codec.Encode(bad)); err == nil || out != nil {
			t.Errorf("step %d %s at %d is accepted", s.Step, what, at)
		}
	}
	for at := 0; at < len(s.Noise); at += 1 + at/8 {
		try("cut", at, s.Noise[:at])
		changed := bytes.Clone(s.Noise)
		changed[at] ^= 1
		try("changed", at, changed)
	}
	last := bytes.Clone(s.Noise)
	last[len(last)-1] ^= 1 // all opens but the payload
	try("changed", len(last)-1, last)
	try("long", len(last), append(bytes.Clone(s.Noise), 0))
}

func TestHostileRelayEndsNoHandshake(t *testing.T) {
	a, b := pairOf(t, nil)
	one, err := a.Initiate(t.Context(), node(b.quorum))
	if err != nil {
		t.Fatal(err)
	}
	two, err := b.Handle(t.Context(), one)
	if err != nil {
		t.Fatal(err)
	}
	again, err := b.Handle(t.Context(), one)
	if err != nil || !bytes.Equal(again, two) {
		t.Errorf("a repetition gets another answer: %v", err)
	}
	damage(t, a, two)
	if _, err := a.Handle(t.Context(), one); err == nil {
		t.Error("accepts its own message")
	}
	three, err := a.Handle(t.Context(), two)
	if err != nil {
		t.Fatalf("the handshake did not survive: %v", err)
	}
	if _, err := a.Handle(t.Context(), two); err == nil {
		t.Error("accepts step 2 again")
	}
	damage(t, b, three)
	if _, err := b.Handle(t.Context(), three); err != nil {
		t.Fatalf("the handshake did not survive: %v", err)
	}
	for _, old := range [][]byte{two, three} { // and step 1 again begins another
		if _, err := b.Handle(t.Context(), old); err == nil {
			t.Error("accepts what came before")
		}
	}
	if _, err := b.Handle(t.Context(), one); err != nil {
		t.Error(err)
	}
	if _, err := b.Handle(t.Context(), three); err == nil {
		t.Error("accepts step 3 of a handshake that was begun again")
	}
	if a.pairs(b) != 1 || b.pairs(a) != 1 {
		t.Errorf("%d and %d pairs", a.pairs(b), b.pairs(a))
	}
}

// Whoever sees step 1 can answer it, with a Noise key and a claim of his own.
func TestAnswerOfAStrangerEndsNoHandshake(t *testing.T) {
	a, b := pairOf(t, nil)
	one, err := a.Initiate(t.Context(), node(b.quorum))
	if err != nil {
		t.Fatal(err)
	}
	two, err := b.Handle(t.Context(), one)
	if err != nil {
		t.Fatal(err)
	}
	for name, payload := range map[string][]byte{
		"no claim": nil, "junk": []byte("junk"), "no manifest": codec.Encode(claim{}), "no signature": codec.Encode(claim{Manifest: make([]byte, 32)}),
	} {
		_, err := a.Handle(t.Context(), impostor(t, a, b, one, payload))
		if f, ok := errors.AsType[*mpc.Failure](err); !ok || f.Cause != mpc.CauseAttestation {
			t.Errorf("%s: %v", name, err)
		}
	}
	three, err := a.Handle(t.Context(), two)
	if err != nil {
		t.Fatalf("the handshake did not survive: %v", err)
	}
	if _, err := b.Handle(t.Context(), three); err != nil || a.pairs(b) != 1 || b.pairs(a) != 1 {
		t.Errorf("%d and %d pairs, %v", a.pairs(b), b.pairs(a), err)
	}
}

// impostor answers step 1 with a payload under a new Noise key.
func impostor(t *testing.T, a, b *side, one, payload []byte) []byte {
	t.Helper()
	key, err := suite.GenerateKeypair(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	from, to := node(a.quorum), node(b.quorum)
	state, err := noise.NewHandshakeState(noise.Config{
		CipherSuite: suite, Pattern: noise.HandshakeXX, StaticKeypair: key,
		Prologue: bytes.Join([][]byte{[]byte("sallyport channel v1\x00"), from[:], to[:]}, nil),
	})
	if err != nil {
		t.Fatal(err)
	}
	var s step
	if err := codec.Decode(one, &s); err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := state.ReadMessage(nil, s.Noise); err != nil {
		t.Fatal(err)
	}
	out, _, _, err := state.WriteMessage(nil, payload)
	if err != nil {
		t.Fatal(err)
	}
	s.Step, s.From, s.To, s.Noise = 2, to[:], from[:], out
	return codec.Encode(s)
}

// The claim of another handshake is of another nonce and signature.
func TestClaimsAreOfOneHandshake(t *testing.T) {
	a, b := pairOf(t, nil)
	one, _ := a.Initiate(t.Context(), node(b.quorum))
	other, _ := a.Initiate(t.Context(), node(b.quorum))
	two, err := b.Handle(t.Context(), other)
	if err != nil {
		t.Fatal(err)
	}
	seen := b.begun[place{peer: node(a.quorum), id: [8]byte(decoded(t, other).ID)}].claim
	_, err = a.Handle(t.Context(), impostor(t, a, b, one, seen))
	if err == nil || !strings.Contains(err.Error(), "quorum key") {
		t.Errorf("a claim is accepted twice: %v", err)
	}
	moved := decoded(t, two)
	moved.ID = decoded(t, one).ID
	if _, err := a.Handle(t.Context(), codec.Encode(moved)); err == nil {
		t.Error("an answer is accepted for another handshake")
	}
}

func decoded(t *testing.T, message []byte) (s step) {
	t.Helper()
	if err := codec.Decode(message, &s); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestCopiesAtTheSameTimeMakeOnePair(t *testing.T) {
	a, b := pairOf(t, nil)
	one, err := a.Initiate(t.Context(), node(b.quorum))
	if err != nil {
		t.Fatal(err)
	}
	spread := func(to *side, in []byte) (out []byte) {
		var mu sync.Mutex
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				got, err := to.Handle(t.Context(), in)
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					out = got
				}
			})
		}
		all.Wait()
		return out
	}
	spread(b, spread(a, spread(b, one)))
	if a.pairs(b) != 1 || b.pairs(a) != 1 {
		t.Errorf("%d and %d pairs", a.pairs(b), b.pairs(a))
	}
}
