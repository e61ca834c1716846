package engine

import (
	"bytes"
	"math/big"
	"testing"

	ecdsakeygen "github.com/bnb-chain/tss-lib/v2/ecdsa/keygen"
	"github.com/sallyport/sallyport/enclave/internal/keys"
	"github.com/sallyport/sallyport/enclave/internal/mpc/mpctest"
	"github.com/sallyport/sallyport/enclave/internal/mpc/preparams"
)

// Numbers that an honest party does not send.
var (
	order   = group(keys.Secp256k1).Params().N
	order25 = group(keys.Ed25519).Params().N
	field   = group(keys.Secp256k1).Params().P
	zero    = []byte{0}
	huge    = bytes.Repeat([]byte{0xff}, 1200)
)

func plus(b []byte, n *big.Int) []byte { return new(big.Int).Add(integer(b), n).Bytes() }

func times(b []byte, n *big.Int) []byte { return new(big.Int).Mul(integer(b), n).Bytes() }

// shorter drops the last point of an opening.
func shorter(parts [][]byte) [][]byte { return parts[:len(parts)-2] }

// longer repeats the last point of an opening.
func longer(parts [][]byte) [][]byte { return append(parts, parts[len(parts)-2:]...) }

// set replaces one number of a list.
func set(parts [][]byte, i int, b []byte) { parts[i] = b }

// moduliOf are the products of one of the committed sets, which the victim or the
// attacker of a recording has.
func moduliOf(t *testing.T, i int) (n, nTilde []byte) {
	t.Helper()
	s, err := preparams.Decode(mpctest.PreParams(i))
	if err != nil {
		t.Fatal(err)
	}
	p, err := preParams(mpctest.PreParams(i))
	if err != nil {
		t.Fatal(err)
	}
	return times(s.PaillierP, integer(s.PaillierQ)), p.NTildei.Bytes()
}

// squareOfPrime has 2048 bits.
func squareOfPrime(t *testing.T) []byte {
	t.Helper()
	s, err := preparams.Decode(mpctest.PreParams(5))
	if err != nil {
		t.Fatal(err)
	}
	return times(s.PaillierP, integer(s.PaillierP))
}

type hostile struct {
	name   string
	change change
	want   string
}

func TestHostileKeygenIsStopped(t *testing.T) {
	n, nTilde := moduliOf(t, victim)
	theirs, _ := moduliOf(t, attacker)
	squared := squareOfPrime(t)
	first := func(name, want string, f func(m *ecdsakeygen.KGRound1Message)) hostile {
		return hostile{name, on(f), want}
	}
	second := func(name, want string, f func(m *ecdsakeygen.KGRound2Message2)) hostile {
		return hostile{name, on(f), want}
	}
	direct := func(name, want string, f func(m *ecdsakeygen.KGRound2Message1)) hostile {
		return hostile{name, on(f), want}
	}
	run(t, "secp256k1 keygen", []hostile{
		first("N of 2047 bits", "2048 bits", func(m *ecdsakeygen.KGRound1Message) { m.PaillierN = new(big.Int).Rsh(integer(m.PaillierN), 1).Bytes() }),
		first("N of 2049 bits", "2048 bits", func(m *ecdsakeygen.KGRound1Message) { m.PaillierN = append([]byte{1}, m.PaillierN...) }),
		first("even N", "small factor", func(m *ecdsakeygen.KGRound1Message) { m.PaillierN[255] &= 0xfe }),
		first("N with a small factor", "small factor", func(m *ecdsakeygen.KGRound1Message) {
			n := integer(m.PaillierN)
			m.PaillierN = n.Sub(n, new(big.Int).Mod(n, big.NewInt(4093))).Bytes()
		}),
		first("square N", "square", func(m *ecdsakeygen.KGRound1Message) { m.PaillierN = squared }),
		first("prime N", "prime", func(m *ecdsakeygen.KGRound1Message) { m.PaillierN = primeAbove(m.PaillierN) }),
		first("N of the victim", "own", func(m *ecdsakeygen.KGRound1Message) { m.PaillierN = n }),
		first("N-tilde of the victim", "the member's own", func(m *ecdsakeygen.KGRound1Message) { m.NTilde = nTilde }),
		first("N-tilde is N", "in common", func(m *ecdsakeygen.KGRound1Message) { m.NTilde = m.PaillierN }),
		first("square N-tilde", "square", func(m *ecdsakeygen.KGRound1Message) { m.NTilde = squared }),
		first("h1 is h2", "must differ", func(m *ecdsakeygen.KGRound1Message) { m.H1 = m.H2 }),
		first("h1 is one", "h1", func(m *ecdsakeygen.KGRound1Message) { m.H1 = []byte{1} }),
		first("h2 is zero", "h2", func(m *ecdsakeygen.KGRound1Message) { m.H2 = zero }),
		first("h2 is N-tilde", "h2", func(m *ecdsakeygen.KGRound1Message) { m.H2 = m.NTilde }),
		first("h1 above N-tilde", "h1", func(m *ecdsakeygen.KGRound1Message) { m.H1 = plus(m.H1, integer(m.NTilde)) }),
		first("short proof of h2", "lacks a part", func(m *ecdsakeygen.KGRound1Message) { m.Dlnproof_1 = m.Dlnproof_1[1:] }),
		first("lengths in the proof of h2", "128 repetitions", func(m *ecdsakeygen.KGRound1Message) { set(m.Dlnproof_1, 0, []byte{127}) }),
		first("huge number in the proof of h1", "discrete logarithm", func(m *ecdsakeygen.KGRound1Message) { set(m.Dlnproof_2, 200, huge) }),
		first("long commitment", "32 bytes", func(m *ecdsakeygen.KGRound1Message) { m.Commitment = huge }),

		direct("no share", "lacks a part", func(m *ecdsakeygen.KGRound2Message1) { m.Share = nil }),
		direct("zero share", "share", func(m *ecdsakeygen.KGRound2Message1) { m.Share = zero }),
		direct("share is the order", "share", func(m *ecdsakeygen.KGRound2Message1) { m.Share = order.Bytes() }),
		direct("no proof of factors", "11 numbers", func(m *ecdsakeygen.KGRound2Message1) { m.FacProof = nil }),
		direct("proof of factors of zeros", "P must", func(m *ecdsakeygen.KGRound2Message1) {
			for i := range m.FacProof {
				m.FacProof[i] = zero
			}
		}),
		direct("huge number in the proof of factors", "out of its range", func(m *ecdsakeygen.KGRound2Message1) { set(m.FacProof, 10, huge) }),

		second("short commitment vector", "decommitment must have", func(m *ecdsakeygen.KGRound2Message2) { m.DeCommitment = shorter(m.DeCommitment) }),
		second("long commitment vector", "decommitment must have", func(m *ecdsakeygen.KGRound2Message2) { m.DeCommitment = longer(m.DeCommitment) }),
		second("point off the curve", "on the curve", func(m *ecdsakeygen.KGRound2Message2) { m.DeCommitment[1][5] ^= 1 }),
		second("point that is not canonical", "below the field", func(m *ecdsakeygen.KGRound2Message2) { set(m.DeCommitment, 1, plus(m.DeCommitment[1], field)) }),
		second("identity", "on the curve", func(m *ecdsakeygen.KGRound2Message2) { set(m.DeCommitment, 1, zero); set(m.DeCommitment, 2, zero) }),
		second("another polynomial", "that of the commitment", func(m *ecdsakeygen.KGRound2Message2) { copy(m.DeCommitment[3:], m.DeCommitment[1:3]) }),
		second("no proof of the modulus", "163 numbers", func(m *ecdsakeygen.KGRound2Message2) { m.ModProof = nil }),
		second("w is zero", "w must", func(m *ecdsakeygen.KGRound2Message2) { set(m.ModProof, 0, zero) }),
		second("w is a residue", "no residue", func(m *ecdsakeygen.KGRound2Message2) { set(m.ModProof, 0, []byte{4}) }),
		second("z is N", "proof of the Paillier modulus", func(m *ecdsakeygen.KGRound2Message2) { set(m.ModProof, 162, theirs) }),
		{"short proof of the key", on(func(m *ecdsakeygen.KGRound3Message) { m.PaillierProof = m.PaillierProof[1:] }), "lacks a part"},
		{"proof of the key has N", on(func(m *ecdsakeygen.KGRound3Message) { set(m.PaillierProof, 3, theirs) }), "coprime"},
	})
}

// run replays the attacker's messages to a gate, with one changed.
func run(t *testing.T, operation string, cases []hostile) {
	t.Helper()
	r := record(t, operation)
	for _, h := range cases {
		t.Run(operation+" "+h.name, func(t *testing.T) {
			f, changed := r.replay(t, h.change)
			if !changed {
				t.Fatal("there is no such message")
			}
			blames(t, r.setup, f, h.want)
		})
	}
}

func primeAbove(n []byte) []byte {
	p := integer(n)
	for p.SetBit(p, 0, 1); !p.ProbablyPrime(0); {
		p.Add(p, big.NewInt(2))
	}
	return p.Bytes()
}
