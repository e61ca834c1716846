// Package shares is what the plaintext of a bundle is when it carries one share
// of a key instead of a key: the format of a share, and the way to combine a
// threshold of them.
//
// Every node of the key seals its own share to the same target key, in a bundle
// of its own, so that the whole key exists only where the holder of the target
// key combines it. Shares come out of verified bundles, but of enclaves that
// need not know each other: nothing is taken that does not fit the others, and
// no share counts that does not belong to its public share.
package shares

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/fxamacker/cbor/v2"
)

// Version is the only version of the format.
const Version = 1

const (
	scalarSize = 32
	chainSize  = 32
	// MaxMembers bounds the members of a key. So many fit into a bundle.
	MaxMembers = 16
	// maxParty bounds the text of a party's id, which has 100 characters.
	maxParty = 128
)

// Curve is the group of a key.
type Curve uint8

// The curves, by the numbers that the format has for them.
const (
	Secp256k1 Curve = 1
	P256      Curve = 2
	Ed25519   Curve = 3
)

// Share is one party's share of one version of a key. All but Secret is public
// and the same in the shares of all parties, except Party.
type Share struct {
	Curve     Curve
	Threshold int      // shares needed
	Public    []byte   // public key: 33 bytes compressed, or 32 for Ed25519
	ChainCode []byte   // 32 bytes, for derivation (BIP-32)
	Members   []Member // all parties of the key
	Party     string   // whose share it is
	Secret    []byte   // the party's y coordinate: 32 bytes big endian, below the group order
}

// Member is what is public of a party.
type Member struct {
	_      struct{} `cbor:",toarray"`
	Party  string   // its id
	X      []byte   // x coordinate: 32 bytes big endian, not zero modulo the group order
	Public []byte   // its share times the base point, in the form of Share.Public
}

// wire is the CBOR of a share (RFC 8949, section 4.2.1).
type wire struct {
	Version   int      `cbor:"1,keyasint"`
	Curve     uint8    `cbor:"2,keyasint"`
	Threshold int      `cbor:"3,keyasint"`
	Public    []byte   `cbor:"4,keyasint"`
	ChainCode []byte   `cbor:"5,keyasint"`
	Members   []Member `cbor:"6,keyasint"`
	Party     string   `cbor:"7,keyasint"`
	Secret    []byte   `cbor:"8,keyasint"`
}

var (
	encMode = must(cbor.CoreDetEncOptions().EncMode())
	decMode = must(cbor.DecOptions{
		DupMapKey:         cbor.DupMapKeyEnforcedAPF,
		IndefLength:       cbor.IndefLengthForbidden,
		TagsMd:            cbor.TagsForbidden,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
		MaxNestedLevels:   4,
		MaxArrayElements:  MaxMembers,
		MaxMapPairs:       16,
	}.DecMode())
)

func must[T any](v T, err error) T {
	if err != nil {
		panic("internal error: " + err.Error())
	}
	return v
}

// Encode returns the plaintext to seal, which the caller wipes, or an error
// that names the field that has not its form.
func (s *Share) Encode() ([]byte, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	return encMode.Marshal(wire{Version, uint8(s.Curve), s.Threshold, s.Public, s.ChainCode, s.Members, s.Party, s.Secret})
}

// Parse reads a plaintext, strictly: what [Share.Encode] would not write in
// exactly these bytes is refused. Errors hold nothing of the share.
func Parse(b []byte) (*Share, error) {
	var w wire
	if decMode.Unmarshal(b, &w) != nil {
		return nil, errors.New("share: must be the CBOR of a share")
	}
	if w.Version != Version {
		return nil, fmt.Errorf("share: version: must be %d", Version)
	}
	s := &Share{Curve(w.Curve), w.Threshold, w.Public, w.ChainCode, w.Members, w.Party, w.Secret}
	again, err := s.Encode()
	if err != nil {
		clear(w.Secret)
		return nil, err
	}
	defer clear(again)
	if !bytes.Equal(again, b) {
		clear(w.Secret)
		return nil, errors.New("share: must be in its canonical form")
	}
	return s, nil
}

// Erase wipes the secret.
func (s *Share) Erase() { clear(s.Secret) }

// check is about form only; that the share belongs to its key is for [Share.Verify].
func (s *Share) check() error {
	g, err := groupOf(s.Curve)
	if err != nil {
		return err
	}
	switch n := len(s.Members); {
	case n < 1 || n > MaxMembers:
		return fmt.Errorf("share: members: must be 1 to %d", MaxMembers)
	case s.Threshold < 1 || s.Threshold > n:
		return errors.New("share: threshold: must be 1 to the number of members")
	case len(s.Public) != g.pointSize:
		return fmt.Errorf("share: public key: must be %d bytes", g.pointSize)
	case len(s.ChainCode) != chainSize:
		return fmt.Errorf("share: chain code: must be %d bytes", chainSize)
	case len(s.Secret) != scalarSize:
		return fmt.Errorf("share: secret: must be %d bytes", scalarSize)
	case s.member(s.Party) == nil:
		return errors.New("share: party: must be one of the members")
	}
	for i, m := range s.Members {
		if err := m.check(g); err != nil {
			return err
		}
		for _, other := range s.Members[:i] {
			if m.Party == other.Party || bytes.Equal(m.X, other.X) {
				return errors.New("share: members: no party and no x coordinate appears twice")
			}
		}
	}
	return nil
}

func (m *Member) check(g *group) error {
	switch {
	case m.Party == "" || len(m.Party) > maxParty:
		return fmt.Errorf("share: members: a party has 1 to %d characters", maxParty)
	case len(m.X) != scalarSize:
		return fmt.Errorf("share: members: an x coordinate must be %d bytes", scalarSize)
	case len(m.Public) != g.pointSize:
		return fmt.Errorf("share: members: a public share must be %d bytes", g.pointSize)
	}
	for _, c := range []byte(m.Party) {
		if c <= ' ' || c > '~' {
			return errors.New("share: members: a party must be printable ASCII")
		}
	}
	return nil
}

func (s *Share) member(party string) *Member {
	for i := range s.Members {
		if s.Members[i].Party == party {
			return &s.Members[i]
		}
	}
	return nil
}
