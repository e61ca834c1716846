package keys

import (
	"crypto/rand"
	"sync"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
)

// blindingUses is how often one random blinding pair is stepped before a new
// one is drawn. A new one costs a base point multiplication, some 30
// microseconds; a step costs one.
const blindingUses = 64

// blinding is a random scalar r and the point r*G. The library's base point
// multiplication looks tables up by bytes of the scalar and skips zero
// bytes, so it is given k-r, and r*G is added to its result: it never sees
// the same value twice, nor one that is a secret.
type blinding struct {
	r    secp256k1.ModNScalar
	rG   secp256k1.JacobianPoint
	left int
}

var blindings = sync.Pool{New: func() any { return new(blinding) }}

// baseMult sets out = k*G, in Jacobian coordinates. k is not changed.
func baseMult(k *secp256k1.ModNScalar, out *secp256k1.JacobianPoint) {
	b := blindings.Get().(*blinding)
	defer blindings.Put(b)
	b.step()

	var t secp256k1.ModNScalar
	t.NegateVal(&b.r).Add(k)
	var p secp256k1.JacobianPoint
	secp256k1.ScalarBaseMultNonConst(&t, &p)
	secp256k1.AddNonConst(&p, &b.rG, out)
	t.Zero()
}

// step makes the pair a new one: fresh, or doubled.
func (b *blinding) step() {
	if b.left == 0 {
		randomScalar(&b.r)
		secp256k1.ScalarBaseMultNonConst(&b.r, &b.rG)
		b.left = blindingUses
		return
	}
	b.left--
	b.r.Add(&b.r)
	secp256k1.DoubleNonConst(&b.rG, &b.rG)
}

// randomScalar sets s to a uniform value in [1, n-1]. It only blinds: no key
// and no nonce is made of it, so the process's own source is good enough.
func randomScalar(s *secp256k1.ModNScalar) {
	var buf [Size]byte
	for {
		_, _ = rand.Read(buf[:]) // never fails: the runtime ends the process instead
		if s.SetBytes(&buf) == 0 && !s.IsZero() {
			clear(buf[:])
			return
		}
	}
}

// inverse sets out = 1/k. The library inverts with big integers in variable
// time; it is given k*b for a random b.
func inverse(k, out *secp256k1.ModNScalar) {
	var b secp256k1.ModNScalar
	randomScalar(&b)
	out.Mul2(k, &b).InverseNonConst().Mul(&b)
	b.Zero()
}
