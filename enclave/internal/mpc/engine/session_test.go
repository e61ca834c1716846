package engine

import (
	"context"
	"slices"
	"strings"
	"testing"

	ecdsasigning "github.com/bnb-chain/tss-lib/v2/ecdsa/signing"
	eddsakeygen "github.com/bnb-chain/tss-lib/v2/eddsa/keygen"
	eddsasigning "github.com/bnb-chain/tss-lib/v2/eddsa/signing"
	"github.com/sallyport/sallyport/enclave/internal/keys"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
	"github.com/sallyport/sallyport/enclave/internal/mpc/mpctest"
)

// attack runs an operation of which the attacker changes its messages to the victim,
// and returns how it ended for the victim.
func attack(t *testing.T, operation string, f change) mpctest.Outcome {
	t.Helper()
	sessions := mpctest.Start(t, New(), setups(t, operation))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	watched := &watchedSession{Session: sessions[victim], ended: cancel, events: make(chan mpc.Event)}
	go watched.pass()
	sessions[victim] = watched
	return mpctest.Run(ctx, sessions, nil, func(from, to int, m *mpc.Message) [][]byte {
		if from != attacker || to != victim {
			return [][]byte{m.Body}
		}
		body, _ := tamper(t, m.Body, f)
		return [][]byte{body, m.Body} // the honest one comes too late
	})[victim]
}

// A watchedSession ends a run when it has ended itself.
type watchedSession struct {
	mpc.Session
	ended  func()
	events chan mpc.Event
}

func (w *watchedSession) Events() <-chan mpc.Event { return w.events }

func (w *watchedSession) pass() {
	for e := range w.Session.Events() {
		w.events <- e
	}
	close(w.events)
	w.ended()
}

func TestAttackNamesTheAttacker(t *testing.T) {
	for _, c := range []struct {
		name, operation string
		change          change
		cause           mpc.Cause
		round           int
		blamed          bool
	}{
		{"keygen: short vector", "ed25519 keygen", on(func(m *eddsakeygen.KGRound2Message2) { m.DeCommitment = shorter(m.DeCommitment) }), mpc.CauseMessage, 2, true},
		{"keygen: another share", "ed25519 keygen", on(func(m *eddsakeygen.KGRound2Message1) { m.Share[5] ^= 1 }), mpc.CauseProtocol, 3, true},
		{"keygen: another proof", "ed25519 keygen", on(func(m *eddsakeygen.KGRound2Message2) { m.ProofT[5] ^= 1 }), mpc.CauseProtocol, 3, true},
		{"sign: R off the curve", "ed25519 sign", on(func(m *eddsasigning.SignRound2Message) { m.DeCommitment[2][9] ^= 1 }), mpc.CauseMessage, 2, true},
		{"sign: another proof", "ed25519 sign", on(func(m *eddsasigning.SignRound2Message) { m.ProofT[9] ^= 1 }), mpc.CauseProtocol, 3, true},
		{"sign: another s", "ed25519 sign", on(func(m *eddsasigning.SignRound3Message) { m.S[9] ^= 1 }), mpc.CauseProtocol, 4, false},
		{"sign: ciphertext of zero", "secp256k1 sign", on(func(m *ecdsasigning.SignRound1Message1) { m.C = zero }), mpc.CauseMessage, 1, true},
		{"sign: another ciphertext", "secp256k1 sign", on(func(m *ecdsasigning.SignRound1Message1) { m.C[9] ^= 1 }), mpc.CauseProtocol, 2, true},
		{"sign: another product", "secp256k1 sign", on(func(m *ecdsasigning.SignRound2Message) { m.C2[9] ^= 1 }), mpc.CauseProtocol, 3, true},
		{"sign: another proof of gamma", "secp256k1 sign", on(func(m *ecdsasigning.SignRound4Message) { m.ProofT[9] ^= 1 }), mpc.CauseProtocol, 5, true},
		{"sign: another theta", "secp256k1 sign", on(func(m *ecdsasigning.SignRound3Message) { m.Theta[9] ^= 1 }), mpc.CauseProtocol, 7, true},
		{"sign: another s of ECDSA", "secp256k1 sign", on(func(m *ecdsasigning.SignRound9Message) { m.S[9] ^= 1 }), mpc.CauseProtocol, 10, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := attack(t, c.operation, c.change)
			f := o.Failure
			if f == nil || o.Result != nil {
				t.Fatalf("got %+v", o)
			}
			if f.Cause != c.cause || f.Round != c.round {
				t.Errorf("got %v, want %s in round %d", f, c.cause, c.round)
			}
			want := []mpc.PartyID{}
			if c.blamed {
				want = append(want, mpctest.Parties(2)[attacker])
			}
			if !slices.Equal(f.Culprits, want) {
				t.Errorf("%d culprits, or others: %v", len(f.Culprits), f)
			}
		})
	}
}

func TestRepetitionsHarmNothing(t *testing.T) {
	sessions := mpctest.Start(t, New(), setups(t, "ed25519 keygen"))
	mpctest.Shares(t, mpctest.Run(t.Context(), sessions, nil, func(_, _ int, m *mpc.Message) [][]byte {
		return [][]byte{m.Body, m.Body, m.Body}
	}))
}

func TestPanicOfTheLibraryIsAFailure(t *testing.T) {
	e, err := newSession(setups(t, "ed25519 keygen")[0])
	if err != nil {
		t.Fatal(err)
	}
	e.local[0].party = nil
	go e.run(t.Context())
	got := <-e.Events()
	if got.Failure == nil || got.Failure.Cause != mpc.CauseProtocol || !strings.Contains(got.Failure.Reason, "gave up") {
		t.Errorf("got %+v", got)
	}
	if _, open := <-e.Events(); open {
		t.Error("it goes on")
	}
}

func TestFloodIsAFailure(t *testing.T) {
	e, err := newSession(setups(t, "ed25519 keygen")[0])
	if err != nil {
		t.Fatal(err)
	}
	body := record(t, "ed25519 keygen").mail[0].body
	for range maxPending + 1 {
		e.Deliver(attacker, true, body)
	}
	go e.run(t.Context())
	for v := range e.Events() {
		if v.Failure != nil {
			blames(t, e.setup, v.Failure, "more messages")
		}
	}
	if e.in.put(input{from: attacker}) {
		t.Error("takes messages after its end")
	}
}

func TestClosedSessionEnds(t *testing.T) {
	s, err := New().Start(t.Context(), setups(t, "ed25519 keygen")[0])
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	s.Close()
	for e := range s.Events() {
		if e.Result != nil {
			t.Error("there is a result")
		}
	}
	s.Deliver(attacker, true, []byte("late"))

	ctx, cancel := context.WithCancel(t.Context())
	if s, err = New().Start(ctx, setups(t, "ed25519 sign")[0]); err != nil {
		t.Fatal(err)
	}
	cancel()
	for range s.Events() { // it must end
	}
}

func TestEngineSaysWhatIsSound(t *testing.T) {
	for _, c := range []struct {
		op    mpc.Op
		curve keys.Curve
		sound bool
	}{
		{mpc.OpKeygen, keys.Secp256k1, true},
		{mpc.OpPresign, keys.Secp256k1, true},
		{mpc.OpReshare, keys.Ed25519, true},
		{mpc.OpPresign, keys.Ed25519, false},
		{mpc.OpKeygen, keys.P256, false},
		{"forge", keys.Secp256k1, false},
	} {
		if err := New().Check(c.op, c.curve); (err == nil) != c.sound {
			t.Errorf("%s on %v: got %v", c.op, c.curve, err)
		}
	}
}
