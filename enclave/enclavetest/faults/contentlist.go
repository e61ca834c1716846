package faults

import (
	"math/big"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// contents are malicious contents of every type of message that has one.
func contents() []content {
	return slices.Concat(
		committed("eddsa.keygen.KGRound1Message", 1),
		scalar("eddsa.keygen.KGRound2Message1", 1, "share", orderEdDSA, wantNamed),
		points("eddsa.keygen.KGRound2Message2", fieldEdDSA),
		scalar("eddsa.keygen.KGRound2Message2", 4, "t", orderEdDSA, wantNamed),
		committed("eddsa.signing.SignRound1Message", 1),
		points("eddsa.signing.SignRound2Message", fieldEdDSA),
		scalar("eddsa.signing.SignRound2Message", 4, "t", orderEdDSA, wantNamed),
		scalar("eddsa.signing.SignRound3Message", 1, "s", orderEdDSA, wantNone),
		[]content{{"eddsa.resharing.DGRound1Message", 1, "another public key", wantNamed, another(0)}},
		committed("eddsa.resharing.DGRound1Message", 3),
		scalar("eddsa.resharing.DGRound3Message1", 1, "share", orderEdDSA, wantNamed),
		points("eddsa.resharing.DGRound3Message2", fieldEdDSA),
		signing(),
		modulus("ecdsa.keygen.KGRound1Message", 2, "N"),
		parameters("ecdsa.keygen.KGRound1Message"),
		scalar("ecdsa.keygen.KGRound2Message1", 1, "share", orderECDSA, wantNamed),
		proof("ecdsa.keygen.KGRound2Message1", 2, "proof of factors"),
		points("ecdsa.keygen.KGRound2Message2", fieldECDSA),
		proof("ecdsa.keygen.KGRound2Message2", 2, "proof of the modulus"),
		proof("ecdsa.keygen.KGRound3Message", 1, "proof of the key"),
		[]content{{"ecdsa.resharing.DGRound1Message", 1, "another public key", wantNamed, another(0)}},
		modulus("ecdsa.resharing.DGRound2Message1", 1, "N"),
		proof("ecdsa.resharing.DGRound2Message1", 2, "proof of the modulus"),
		parameters("ecdsa.resharing.DGRound2Message1"),
		scalar("ecdsa.resharing.DGRound3Message1", 1, "share", orderECDSA, wantNamed),
		points("ecdsa.resharing.DGRound3Message2", fieldECDSA),
		proof("ecdsa.resharing.DGRound4Message1", 1, "proof of factors"),
	)
}

// signing is ECDSA's. Of a number that only the signature shows to be wrong, nobody can
// tell whose it was.
func signing() []content {
	const first, second = "ecdsa.signing.SignRound1Message1", "ecdsa.signing.SignRound2Message"
	return slices.Concat(
		[]content{
			{first, 1, "ciphertext of zero", wantNamed, put(0, []byte{0})},
			{first, 1, "another ciphertext", wantNamed, another(0)},
			{first, 2, "z is one", wantNamed, put(0, []byte{1})},
			{first, 2, "s is one", wantNamed, put(3, []byte{1})},
			{first, 2, "s1 is s2", wantNamed, same(4, 5)},
			{second, 1, "ciphertext of zero", wantNamed, put(0, []byte{0})},
			{second, 2, "another ciphertext", wantNamed, another(0)},
			{second, 3, "t1 is t2", wantNamed, same(8, 9)},
			{second, 4, "s1 is the order", wantNamed, put(6, orderECDSA.Bytes())},
			{second, 4, "s1 is a multiple of it", wantNamed, put(6, new(big.Int).Lsh(orderECDSA, 77).Bytes())},
			{second, 4, "u off the curve", wantNamed, another(10)},
		},
		proof(first, 2, "range proof"),
		proof(second, 3, "proof of Bob"),
		proof(second, 4, "proof of Bob with a check"),
		committed("ecdsa.signing.SignRound1Message2", 1),
		scalar("ecdsa.signing.SignRound3Message", 1, "theta", orderECDSA, wantNone),
		points("ecdsa.signing.SignRound4Message", fieldECDSA),
		scalar("ecdsa.signing.SignRound4Message", 4, "t", orderECDSA, wantNamed),
		committed("ecdsa.signing.SignRound5Message", 1),
		points("ecdsa.signing.SignRound6Message", fieldECDSA),
		scalar("ecdsa.signing.SignRound6Message", 4, "t", orderECDSA, wantNamed),
		scalar("ecdsa.signing.SignRound6Message", 7, "t of v", orderECDSA, wantNamed),
		scalar("ecdsa.signing.SignRound6Message", 8, "u of v", orderECDSA, wantNamed),
		committed("ecdsa.signing.SignRound7Message", 1),
		points("ecdsa.signing.SignRound8Message", fieldECDSA),
		scalar("ecdsa.signing.SignRound9Message", 1, "s", orderECDSA, wantNone),
	)
}

// committed is a hash that a later message opens.
func committed(kind string, field protowire.Number) []content {
	return []content{
		{kind, field, "another commitment", wantNamed, another(0)},
		{kind, field, "long commitment", wantNamed, func(v [][]byte) [][]byte { return [][]byte{append([]byte{1}, v[0]...)} }},
	}
}

// scalar is above zero and below the order; another one ends as given.
func scalar(kind string, field protowire.Number, what string, order *big.Int, other want) []content {
	return []content{
		{kind, field, what + " is zero", wantNamed, put(0, []byte{0})},
		{kind, field, what + " is the order", wantNamed, put(0, order.Bytes())},
		{kind, field, what + " is above the order", wantNamed, alter(0, func(n *big.Int) *big.Int { return n.Add(n, order) })},
		{kind, field, "another " + what, other, another(0)},
	}
}

// decommitment is the field of the points in every message that has some.
const decommitment = 1

// points are a randomizer and coordinates.
func points(kind string, modulus *big.Int) []content {
	return []content{
		{kind, decommitment, "a point too few", wantNamed, fewer(2)},
		{kind, decommitment, "a point too many", wantNamed, more(2)},
		{kind, decommitment, "a point off the curve", wantNamed, another(1)},
		{kind, decommitment, "a point that is not canonical", wantNamed, alter(1, func(n *big.Int) *big.Int { return n.Add(n, modulus) })},
		{kind, decommitment, "a point of zeros", wantNamed, func(v [][]byte) [][]byte { v[1], v[2] = []byte{0}, []byte{0}; return v }},
		{kind, decommitment, "the identity", wantNamed, func(v [][]byte) [][]byte { v[1], v[2] = []byte{0}, []byte{1}; return v }},
		{kind, decommitment, "another opening", wantNamed, another(0)},
	}
}

// proof is a list of numbers.
func proof(kind string, field protowire.Number, what string) []content {
	return []content{
		{kind, field, "no " + what, wantNamed, none},
		{kind, field, what + " of zeros", wantNamed, zeros},
		{kind, field, what + " with a number too few", wantNamed, fewer(1)},
		{kind, field, "another " + what, wantNamed, another(1)},
	}
}

// modulus is a product of two primes of 2048 bits.
func modulus(kind string, field protowire.Number, what string) []content {
	return []content{
		{kind, field, what + " of 2047 bits", wantNamed, alter(0, func(n *big.Int) *big.Int { return n.Rsh(n, 1) })},
		{kind, field, what + " is even", wantNamed, alter(0, func(n *big.Int) *big.Int { return n.SetBit(n, 0, 0) })},
		{kind, field, what + " is one", wantNamed, put(0, []byte{1})},
		{kind, field, what + " is a square", wantNamed, alter(0, func(n *big.Int) *big.Int {
			root := n.Sqrt(n)
			return new(big.Int).Mul(root, root)
		})},
	}
}

// parameters are N-tilde, h1, h2 and the proofs of how they were made: in fields of
// the same numbers in both messages that carry them.
func parameters(kind string) []content {
	return slices.Concat(modulus(kind, 3, "N-tilde"), []content{
		{kind, 4, "h1 is zero", wantNamed, put(0, []byte{0})},
		{kind, 4, "h1 is one", wantNamed, put(0, []byte{1})},
		{kind, 5, "h2 is one", wantNamed, put(0, []byte{1})},
		{kind, 5, "another h2", wantNamed, another(0)},
	}, proof(kind, 6, "proof of h2"), proof(kind, 7, "proof of h1"))
}
