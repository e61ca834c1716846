package shares

import (
	"bytes"
	"fmt"
	"math/big"
	"slices"
)

// Error says why shares were refused, and whose share it was where one alone is
// at fault. It holds nothing of a share.
type Error struct {
	Party   string // "" when no single party is to blame
	Message string
	Missing int // how many more are needed, when nothing else is wrong
}

// Error returns the message.
func (e *Error) Error() string {
	if e.Party == "" {
		return "shares: " + e.Message
	}
	return fmt.Sprintf("shares: party %s: %s", e.Party, e.Message)
}

// Verify checks that the share belongs to its party's public share. The error
// is an [*Error].
func (s *Share) Verify() error {
	if err := s.check(); err != nil {
		return &Error{Party: s.Party, Message: err.Error()}
	}
	public, err := groups[s.Curve].public(s.Secret)
	if err != nil || !bytes.Equal(public, s.member(s.Party).Public) {
		return &Error{Party: s.Party, Message: "its share does not belong to its public share"}
	}
	return nil
}

// Combine makes the private key of at least a threshold of shares: the scalar,
// 32 bytes big endian, also for Ed25519. All shares must be of the same version
// of the same key, each of another party, and belong to their public shares;
// what is combined must be the private key of the public key. The error is an
// [*Error].
func Combine(list []*Share) ([]byte, error) {
	if len(list) == 0 {
		return nil, &Error{Message: "there are none"}
	}
	for i, s := range list {
		if err := s.Verify(); err != nil {
			return nil, err
		}
		if !s.sameKey(list[0]) {
			return nil, &Error{Party: s.Party, Message: "its share is of another key, or of another version of it, than the first"}
		}
		if slices.ContainsFunc(list[:i], func(o *Share) bool { return o.Party == s.Party }) {
			return nil, &Error{Party: s.Party, Message: "its share was given twice"}
		}
	}
	if n, t := len(list), list[0].Threshold; n < t {
		return nil, &Error{Message: fmt.Sprintf("the key needs %d, only %d are there", t, n), Missing: t - n}
	}
	g := groups[list[0].Curve]
	key, err := g.interpolate(list[:list[0].Threshold])
	if err != nil {
		return nil, err
	}
	if public, err := g.public(key); err != nil || !bytes.Equal(public, list[0].Public) {
		clear(key)
		return nil, &Error{Message: "they do not make the key of the public key"}
	}
	return key, nil
}

// sameKey compares all that is public but the party.
func (s *Share) sameKey(o *Share) bool {
	return s.Curve == o.Curve && s.Threshold == o.Threshold && bytes.Equal(s.Public, o.Public) && bytes.Equal(s.ChainCode, o.ChainCode) &&
		slices.EqualFunc(s.Members, o.Members, func(a, b Member) bool {
			return a.Party == b.Party && bytes.Equal(a.X, b.X) && bytes.Equal(a.Public, b.Public)
		})
}

func (g *group) interpolate(list []*Share) ([]byte, error) {
	xs := make([]*big.Int, len(list))
	for i, s := range list {
		xs[i] = new(big.Int).SetBytes(s.member(s.Party).X)
		if xs[i].Sign() == 0 || xs[i].Cmp(g.order) >= 0 {
			return nil, &Error{Party: s.Party, Message: "its x coordinate must be above zero and below the group order"}
		}
	}
	sum, term := new(big.Int), new(big.Int)
	defer func() { clear(sum.Bits()); clear(term.Bits()) }()
	for i, s := range list {
		w := g.weight(xs, i)
		if w == nil {
			return nil, &Error{Party: s.Party, Message: "its x coordinate appears twice"}
		}
		sum.Add(sum, term.Mul(term.SetBytes(s.Secret), w)).Mod(sum, g.order)
	}
	return sum.FillBytes(make([]byte, scalarSize)), nil
}
