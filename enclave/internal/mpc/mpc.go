// Package mpc is what the parts of the MPC node agree on: parties, shares, the
// engine that computes with them, the protocol runner that carries an
// engine's messages between enclaves, and how either fails.
//
// A key is n shares of threshold t (t = signers needed) and a public key. It
// never exists in one place: each share is made in, and stays in, the enclave
// of one party. Below this package lie
//
//	engine      the computation: tss-lib, behind a gate, in a process of its own
//	preparams   Paillier and Pedersen parameters, made ahead of time
//	presign     half-done signatures, kept in memory and used exactly once
//	hd          BIP-32 derivation and extended keys
//	room        one operation between attested enclaves, over a relay
//
// None of them trusts a message of another party before it is checked.
package mpc

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/sallyport/sallyport/enclave/internal/codec"
	"github.com/sallyport/sallyport/enclave/internal/keys"
)

// Limits of one key. Keygen sends about 134 KiB per party, and every party
// proves to every other: beyond this an operation takes minutes.
const (
	MaxParties   = 16
	MinThreshold = 2
)

// NodeID is a node: its quorum key, SEC 1 compressed, 33 bytes.
type NodeID [33]byte

// String returns lower-case hex.
func (n NodeID) String() string { return hex.EncodeToString(n[:]) }

// ParseNodeID reads what [NodeID.String] writes.
func ParseNodeID(s string) (n NodeID, err error) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(n) || hex.EncodeToString(b) != s {
		return n, errors.New("must be 66 lower-case hex digits")
	}
	return NodeID(b), nil
}

// PartyID is one party of one key, and of one version of it: the node that holds
// the share, and 16 random bytes. Its text is what the node API calls a keygen
// id and, for a finished key, an export id.
type PartyID struct {
	Node   NodeID
	Random [16]byte
}

// partyVersion is the first byte of a party id's text: other forms may follow.
const partyVersion = 1

// String returns lower-case hex of version, node and random part: 100 digits.
func (p PartyID) String() string {
	b := append([]byte{partyVersion}, p.Node[:]...)
	return hex.EncodeToString(append(b, p.Random[:]...))
}

// ParsePartyID reads what [PartyID.String] writes.
func ParsePartyID(s string) (p PartyID, err error) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != 1+len(p.Node)+len(p.Random) || b[0] != partyVersion || hex.EncodeToString(b) != s {
		return p, fmt.Errorf("must be %d lower-case hex digits that begin with %02x", 2*(1+len(p.Node)+len(p.Random)), partyVersion)
	}
	copy(p.Node[:], b[1:])
	copy(p.Random[:], b[1+len(p.Node):])
	return p, nil
}

// Compare orders party ids; every list of parties is sorted so.
func (p PartyID) Compare(q PartyID) int {
	if c := bytes.Compare(p.Node[:], q.Node[:]); c != 0 {
		return c
	}
	return bytes.Compare(p.Random[:], q.Random[:])
}

// A Member is a party as a finished share knows it.
type Member struct {
	Party PartyID
	// X is the party's x coordinate in the polynomial that hides the key:
	// 32 bytes big endian, not zero modulo the group order.
	X [32]byte
	// Public is the party's share times the base point: compressed, 33 bytes
	// (SEC 1), or 32 bytes for Ed25519.
	Public []byte
}

// A Share is one party's share of one version of a key. Secret and State are
// secret; all else is public.
type Share struct {
	Curve     keys.Curve
	Threshold int      // signers needed
	Members   []Member // sorted by party id
	Self      PartyID
	Public    []byte // the key's public key, in the form of Member.Public
	ChainCode []byte // 32 bytes, made jointly; for derivation
	// Secret is the party's y coordinate: 32 bytes big endian, below the
	// group order, also for Ed25519.
	Secret *keys.Secret
	// State is what the engine keeps beside it (moduli, proofs); only the
	// engine reads it. It holds the party's Paillier key.
	State *keys.Secret
}

// KeyTag names one version of a key, the same on all its members: SHA-256 of a label, curve,
// threshold, public key, chain code and the members in order.
func (s *Share) KeyTag() [32]byte {
	type member struct {
		Party  string `cbor:"1,keyasint"`
		X      []byte `cbor:"2,keyasint"`
		Public []byte `cbor:"3,keyasint"`
	}
	v := struct {
		Label     string   `cbor:"1,keyasint"`
		Curve     uint8    `cbor:"2,keyasint"`
		Threshold int      `cbor:"3,keyasint"`
		Public    []byte   `cbor:"4,keyasint"`
		ChainCode []byte   `cbor:"5,keyasint"`
		Members   []member `cbor:"6,keyasint"`
	}{"sallyport mpc key v1", uint8(s.Curve), s.Threshold, s.Public, s.ChainCode, nil}
	for _, m := range s.Members {
		v.Members = append(v.Members, member{m.Party.String(), m.X[:], m.Public})
	}
	return sha256.Sum256(codec.Encode(v))
}

// Member returns the place of a party among the members, or -1.
func (s *Share) Member(p PartyID) int {
	for i := range s.Members {
		if s.Members[i].Party == p {
			return i
		}
	}
	return -1
}

// Erase wipes what is secret.
func (s *Share) Erase() {
	if s != nil {
		s.Secret.Erase()
		s.State.Erase()
	}
}
