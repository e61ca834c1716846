package engine

import (
	"testing"

	ecdsasigning "github.com/bnb-chain/tss-lib/v2/ecdsa/signing"
)

func TestHostileSigningIsStopped(t *testing.T) {
	n, nTilde := moduliOf(t, victim)
	theirs, _ := moduliOf(t, attacker)
	run(t, "secp256k1 sign", append(rangeProofs(theirs, nTilde), append(bobProofs(n, nTilde), []hostile{
		{"theta is zero", on(func(m *ecdsasigning.SignRound3Message) { m.Theta = zero }), "theta"},
		{"theta is the order", on(func(m *ecdsasigning.SignRound3Message) { m.Theta = order.Bytes() }), "theta"},
		{"gamma with two points", on(func(m *ecdsasigning.SignRound4Message) { m.DeCommitment = longer(m.DeCommitment) }), "lacks a part"},
		{"gamma off the curve", on(func(m *ecdsasigning.SignRound4Message) { m.DeCommitment[2][0] ^= 1 }), "on the curve"},
		{"another gamma", on(func(m *ecdsasigning.SignRound4Message) { m.DeCommitment[0][0] ^= 1 }), "of the commitment"},
		{"proof of gamma is zero", on(func(m *ecdsasigning.SignRound4Message) { m.ProofT = zero }), "t must"},
		{"proof of gamma is the order", on(func(m *ecdsasigning.SignRound4Message) { m.ProofT = order.Bytes() }), "t must"},
		{"alpha off the curve", on(func(m *ecdsasigning.SignRound4Message) { m.ProofAlphaX = zero }), "alpha"},
		{"u of v is zero", on(func(m *ecdsasigning.SignRound6Message) { m.VProofU = zero }), "u of v"},
		{"u of v is the order", on(func(m *ecdsasigning.SignRound6Message) { m.VProofU = order.Bytes() }), "u of v"},
		{"t of v is zero", on(func(m *ecdsasigning.SignRound6Message) { m.VProofT = zero }), "t of v"},
		{"t of a is zero", on(func(m *ecdsasigning.SignRound6Message) { m.ProofT = zero }), "t must"},
		{"alpha of v off the curve", on(func(m *ecdsasigning.SignRound6Message) { m.VProofAlphaY = huge }), "alpha of v"},
		{"v and a in one point", on(func(m *ecdsasigning.SignRound6Message) { m.DeCommitment = shorter(m.DeCommitment) }), "lacks a part"},
		{"u and t in one point", on(func(m *ecdsasigning.SignRound8Message) { m.DeCommitment = shorter(m.DeCommitment) }), "lacks a part"},
		{"another u", on(func(m *ecdsasigning.SignRound8Message) { m.DeCommitment[0][0] ^= 1 }), "of the commitment"},
		{"s is zero", on(func(m *ecdsasigning.SignRound9Message) { m.S = zero }), "s must"},
		{"s is the order", on(func(m *ecdsasigning.SignRound9Message) { m.S = order.Bytes() }), "s must"},
	}...)...))
}

// rangeProofs are of the first message, under the attacker's n and the victim's
// N-tilde. In the library, a ciphertext that cannot be inverted ends the process.
func rangeProofs(n, nTilde []byte) (out []hostile) {
	with := func(name, want string, f func(m *ecdsasigning.SignRound1Message1)) {
		out = append(out, hostile{name, on(f), want})
	}
	with("ciphertext is zero", "ciphertext", func(m *ecdsasigning.SignRound1Message1) { m.C = zero })
	with("ciphertext is N", "ciphertext", func(m *ecdsasigning.SignRound1Message1) { m.C = n })
	with("ciphertext is above N^2", "ciphertext", func(m *ecdsasigning.SignRound1Message1) { m.C = plus(m.C, square(integer(n))) })
	with("range proof is short", "lacks a part", func(m *ecdsasigning.SignRound1Message1) { m.RangeProofAlice = m.RangeProofAlice[1:] })
	with("s1 is s2", "must differ", func(m *ecdsasigning.SignRound1Message1) {
		set(m.RangeProofAlice, 5, append([]byte{0}, m.RangeProofAlice[4]...))
	})
	with("s1 above q^3", "s1", func(m *ecdsasigning.SignRound1Message1) { set(m.RangeProofAlice, 4, huge) })
	with("s2 is huge", "s2", func(m *ecdsasigning.SignRound1Message1) { set(m.RangeProofAlice, 5, huge) })
	for i, part := range []struct {
		name string
		n    []byte
	}{{"z", nTilde}, {"u", n}, {"w", nTilde}, {"s", n}} {
		for what, b := range map[string][]byte{"zero": zero, "one": {1}, "its modulus": part.n} {
			with(part.name+" is "+what, part.name+" must", func(m *ecdsasigning.SignRound1Message1) { set(m.RangeProofAlice, i, b) })
		}
	}
	return out
}

// bobProofs are of the second message, under the victim's own moduli.
func bobProofs(n, nTilde []byte) (out []hostile) {
	with := func(name, want string, f func(m *ecdsasigning.SignRound2Message)) {
		out = append(out, hostile{name, on(f), want})
	}
	with("first ciphertext is zero", "first ciphertext", func(m *ecdsasigning.SignRound2Message) { m.C1 = zero })
	with("second ciphertext is N", "second ciphertext", func(m *ecdsasigning.SignRound2Message) { m.C2 = n })
	with("Bob's proof is the longer one", "lacks a part", func(m *ecdsasigning.SignRound2Message) { m.ProofBob = m.ProofBobWc })
	for i, modulus := range map[int][]byte{0: nTilde, 1: nTilde, 2: nTilde, 3: n, 4: nTilde, 5: n} {
		for what, b := range map[string][]byte{"zero": zero, "one": {1}, "its modulus": modulus} {
			with("a residue of Bob's is "+what, "coprime", func(m *ecdsasigning.SignRound2Message) { set(m.ProofBob, i, b) })
			with("a residue of Bob's checked proof is "+what, "coprime", func(m *ecdsasigning.SignRound2Message) { set(m.ProofBobWc, i, b) })
		}
	}
	for i := 6; i < 10; i++ {
		with("a response of Bob's is huge", "out of its range", func(m *ecdsasigning.SignRound2Message) { set(m.ProofBob, i, huge) })
	}
	with("s1 is s2", "must differ", func(m *ecdsasigning.SignRound2Message) { set(m.ProofBob, 7, m.ProofBob[6]) })
	with("t1 is t2", "must differ", func(m *ecdsasigning.SignRound2Message) { set(m.ProofBob, 9, m.ProofBob[8]) })
	with("s1 is the order", "multiple of the group order", func(m *ecdsasigning.SignRound2Message) { set(m.ProofBobWc, 6, order.Bytes()) })
	with("s1 is a multiple of the order", "multiple of the group order", func(m *ecdsasigning.SignRound2Message) { set(m.ProofBobWc, 6, times(order.Bytes(), order)) })
	with("u is off the curve", "u must", func(m *ecdsasigning.SignRound2Message) { set(m.ProofBobWc, 10, zero) })
	return out
}
