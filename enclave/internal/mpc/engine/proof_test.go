package engine

import (
	"crypto/rand"
	"math/big"
	"slices"
	"testing"

	"github.com/bnb-chain/tss-lib/v2/common"
	"github.com/bnb-chain/tss-lib/v2/crypto/modproof"
	ecdsakeygen "github.com/bnb-chain/tss-lib/v2/ecdsa/keygen"
	ecdsasigning "github.com/bnb-chain/tss-lib/v2/ecdsa/signing"
	"github.com/sallyport/sallyport/enclave/internal/keys"
)

// forge proves of a product of eight primes that it is one of two. The library asks
// for a w that is no residue, which it takes from the Jacobi symbol: that is zero
// for a w that shares factors with N. With w zero modulo all primes but the
// first, w y has a fourth root whenever plus or minus w y has one modulo the
// first.
func forge(t *testing.T, session []byte) (n *big.Int, proof *modproof.ProofMod) {
	t.Helper()
	one := big.NewInt(1)
	var primes []*big.Int
	phi := big.NewInt(1)
	n = big.NewInt(1)
	for len(primes) < 8 {
		p, err := rand.Prime(rand.Reader, 256)
		if err != nil {
			t.Fatal(err)
		}
		if p.Bit(1) == 0 {
			continue // only 3 modulo 4: minus one is no residue
		}
		primes = append(primes, p)
		n.Mul(n, p)
		phi.Mul(phi, new(big.Int).Sub(p, one))
	}
	if n.BitLen() != modulusBits || !coprime(n, phi) {
		return forge(t, session)
	}
	first := primes[0]
	rest := new(big.Int).Div(n, first)
	proof = &modproof.ProofMod{W: new(big.Int).Set(rest), A: new(big.Int).Lsh(one, modParts), B: new(big.Int).Lsh(one, modParts)}
	inverse := new(big.Int).ModInverse(n, phi)
	var ys []*big.Int
	for i := range modParts {
		y := common.RejectionSample(n, common.SHA512_256i_TAGGED(session, append([]*big.Int{proof.W, n}, ys...)...))
		ys = append(ys, y)
		proof.Z[i] = new(big.Int).Exp(y, inverse, n)
		square := new(big.Int).Mul(proof.W, y)
		proof.B.SetBit(proof.B, i, 1)
		if big.Jacobi(new(big.Int).Mod(square, first), first) != 1 {
			square.Neg(square)
			proof.A.SetBit(proof.A, i, 1)
		}
		root := new(big.Int).ModSqrt(new(big.Int).Mod(square, first), first)
		if big.Jacobi(root, first) != 1 {
			root.Sub(first, root)
		}
		root.ModSqrt(root, first)
		// By the Chinese remainder theorem: root modulo the first prime, zero modulo
		// the others.
		lift := new(big.Int).Mul(rest, new(big.Int).ModInverse(rest, first))
		proof.X[i] = root.Mul(root, lift).Mod(root, n)
	}
	return n, proof
}

func TestForgedModulusProofIsStopped(t *testing.T) {
	session := []byte("session")
	n, proof := forge(t, session)
	if !proof.Verify(session, n) {
		t.Error("the library refuses the forged proof: then the gate's check is not needed")
	}
	r := record(t, "secp256k1 keygen")
	f, _ := r.replay(t, func(content any) bool {
		switch m := content.(type) {
		case *ecdsakeygen.KGRound1Message:
			m.PaillierN = n.Bytes()
		case *ecdsakeygen.KGRound2Message2:
			parts := proof.Bytes()
			m.ModProof = parts[:]
		default:
			return false
		}
		return true
	})
	blames(t, r.setup, f, "w must be above one, below its modulus and coprime to it")
}

func TestThetaThatCancelsIsStopped(t *testing.T) {
	r := record(t, "secp256k1 sign")
	e, err := newSession(r.setup)
	if err != nil {
		t.Fatal(err)
	}
	own := big.NewInt(12345)
	e.gate.thetas[victim] = own
	for _, m := range r.mail {
		body, changed := tamper(t, m.body, on(func(m *ecdsasigning.SignRound3Message) {
			m.Theta = new(big.Int).Sub(group(keys.Secp256k1).Params().N, own).Bytes()
		}))
		l, f := e.gate.open(input{from: attacker, broadcast: m.broadcast, body: body})
		if f == nil {
			f = e.gate.judge(l)
		}
		if changed {
			blames(t, r.setup, f, "must not be zero")
			return
		}
	}
	t.Error("there is no theta")
}

// Of two members with the same moduli, the one that came later may be the honest one.
func TestCopiedModuliBlameBoth(t *testing.T) {
	r := record(t, "secp256k1 keygen")
	s := *r.setup
	s.Parties = slices.Concat(s.Parties, s.Parties[1:])
	s.Parties[2].Random[0]++
	s.Roles = append(slices.Clone(s.Roles), s.Roles[1])
	s.Roles[2].Party, s.Roles[2].X[0] = 2, 1
	e, err := newSession(&s)
	if err != nil {
		t.Fatal(err)
	}
	l, f := e.gate.open(input{from: attacker, broadcast: true, body: r.mail[0].body})
	if f == nil {
		f = e.gate.judge(l)
	}
	if f != nil {
		t.Fatal(f)
	}
	f = e.gate.judge(&letter{from: 2, to: -1, msg: l.msg, kind: l.kind})
	if f == nil || len(f.Culprits) != 2 {
		t.Errorf("got %+v", f)
	}
}
