package main

import "math/big"

// The curve of SEC 2 section 2.4.1, y^2 = x^3 + 7. The standard library does
// not have it, and this program links no other. Arithmetic is textbook and
// takes a time that depends on the key: it runs on the machine of whoever
// owns the key, once.
var (
	secpP = hexInt("fffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc2f")
	secpN = hexInt("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141")
	secpG = secpPoint{
		hexInt("79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"),
		hexInt("483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8"),
	}
)

func hexInt(s string) *big.Int {
	n, ok := new(big.Int).SetString(s, 16)
	if !ok {
		panic("internal error: not hex: " + s)
	}
	return n
}

// secpPoint is a point in affine coordinates; nil is the point at infinity.
type secpPoint struct{ x, y *big.Int }

// secpPublic returns the compressed public key of a 32-byte scalar, 33 bytes,
// and nil when it is not in [1, n-1].
func secpPublic(scalar []byte) []byte {
	k := new(big.Int).SetBytes(scalar)
	if k.Sign() == 0 || k.Cmp(secpN) >= 0 {
		return nil
	}
	var sum *secpPoint
	for i := k.BitLen() - 1; i >= 0; i-- {
		sum = sum.add(sum)
		if k.Bit(i) == 1 {
			sum = sum.add(&secpG)
		}
	}
	out := make([]byte, 33)
	out[0] = 2 + byte(sum.y.Bit(0))
	sum.x.FillBytes(out[1:])
	return out
}

func (p *secpPoint) add(q *secpPoint) *secpPoint {
	if p == nil || q == nil {
		if p == nil {
			return q
		}
		return p
	}
	slope := new(big.Int)
	switch {
	case p.x.Cmp(q.x) != 0: // (y2-y1) / (x2-x1)
		slope.Sub(q.x, p.x).ModInverse(slope.Mod(slope, secpP), secpP)
		slope.Mul(slope, new(big.Int).Sub(q.y, p.y))
	case p.y.Cmp(q.y) != 0: // opposite points; y is never 0, the order is odd
		return nil
	default: // 3x^2 / 2y
		slope.Lsh(p.y, 1).ModInverse(slope, secpP)
		slope.Mul(slope, new(big.Int).Mul(big.NewInt(3), new(big.Int).Mul(p.x, p.x)))
	}
	slope.Mod(slope, secpP)
	x := new(big.Int).Mul(slope, slope)
	x.Sub(x, p.x).Sub(x, q.x).Mod(x, secpP)
	y := new(big.Int).Sub(p.x, x)
	y.Mul(y, slope).Sub(y, p.y).Mod(y, secpP)
	return &secpPoint{x, y}
}
