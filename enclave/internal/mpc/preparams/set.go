// Package preparams makes what each party of an ECDSA key needs before keygen:
// a Paillier key, and a modulus with two bases for range proofs (Fujisaki and
// Okamoto; ring-Pedersen parameters). Both moduli are products of two safe
// primes of 1024 bits, which takes seconds to find, so sets are made ahead of
// time and each is used for one key only.
package preparams

import (
	"errors"
	"math/big"

	"github.com/sallyport/sallyport/enclave/internal/codec"
	"github.com/sallyport/sallyport/enclave/internal/keys"
)

// A Set is one party's parameters for one key. All of it is secret but the
// products: numbers are big endian.
type Set struct {
	PaillierP []byte `cbor:"1,keyasint"` // safe prime, 1024 bits
	PaillierQ []byte `cbor:"2,keyasint"` // safe prime, 1024 bits
	P         []byte `cbor:"3,keyasint"` // prime of 1023 bits; 2P+1 is prime and divides NTilde
	Q         []byte `cbor:"4,keyasint"` // prime of 1023 bits; NTilde = (2P+1)(2Q+1)
	H1        []byte `cbor:"5,keyasint"` // a square modulo NTilde
	Alpha     []byte `cbor:"6,keyasint"` // h2 = h1^alpha modulo NTilde; invertible modulo P Q
}

// Encode returns the encoded set as one secret.
func (s *Set) Encode() *keys.Secret {
	b := codec.Encode(s)
	defer clear(b)
	return keys.NewSecret(b)
}

// Erase wipes the set; nil is an empty one.
func (s *Set) Erase() {
	if s == nil {
		return
	}
	for _, b := range [][]byte{s.PaillierP, s.PaillierQ, s.P, s.Q, s.H1, s.Alpha} {
		clear(b)
	}
	*s = Set{}
}

// Decode reads what [Set.Encode] wrote. It checks the sizes and not the primality.
func Decode(secret *keys.Secret) (*Set, error) {
	var s Set
	if err := codec.Decode(secret.Expose(), &s); err != nil {
		return nil, errors.New("preparams: not a set")
	}
	for _, n := range []struct {
		b    []byte
		bits int
	}{{s.PaillierP, 1024}, {s.PaillierQ, 1024}, {s.P, 1023}, {s.Q, 1023}} {
		if new(big.Int).SetBytes(n.b).BitLen() != n.bits {
			return nil, errors.New("preparams: a prime of another size")
		}
	}
	return &s, nil
}
