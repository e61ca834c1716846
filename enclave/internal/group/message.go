package group

import (
	"context"
	"encoding/hex"
	"slices"
	"time"

	"github.com/sallyport/sallyport/enclave/internal/codec"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
	"github.com/sallyport/sallyport/enclave/wire"
)

// The calls between members.
const (
	methodPrepare = "group/prepare" // promise to help no lower ballot
	methodAccept  = "group/accept"  // have this value, durably
	methodReach   = "group/reach"   // how far are you, and this is how far I am
	methodFetch   = "group/fetch"   // values from a slot on
	methodList    = "group/list"    // digests from a slot on
)

// Bounds of what members say. A call between nodes carries at most 192 KiB.
const (
	MaxBody   = 144 << 10 // of one item
	maxValue  = 160 << 10
	maxItems  = 64
	maxFetch  = 170 << 10 // of values in one answer, when there is more than one
	maxSlots  = 256       // in one answer
	maxListed = 1024

	callTimeout = 5 * time.Second
)

// maxAhead is how far a member's clock may be ahead of another's, and maxWait is
// how old what it has first seen may be: values outside are not helped.
const (
	maxAhead = 2 * time.Minute
	maxWait  = 5 * time.Minute
)

// Reasons of refusals between members.
const (
	// ReasonDiffers: the copies of two members differ.
	ReasonDiffers = "GROUP_STATE_DIFFERS"
	// ReasonClock: the clocks of two members are too far apart.
	ReasonClock = "GROUP_CLOCK"
	// ReasonBehind: a member does not have what it must have, and cannot get it now.
	ReasonBehind = "GROUP_BEHIND"
)

// A value is what a slot holds.
type value struct {
	TimeMs int64  `cbor:"1,keyasint"` // of the proposer
	Items  []Item `cbor:"2,keyasint"`
}

func encodeValue(v *value) []byte { return codec.Encode(v) }

func decodeValue(raw []byte) (*value, error) {
	var v value
	if err := codec.Decode(raw, &v); err != nil || len(v.Items) == 0 || len(v.Items) > maxItems || len(raw) > maxValue {
		return nil, wire.Errorf(wire.InvalidArgument, "", "value: is not well formed")
	}
	return &v, nil
}

// A ballot message is a prepare, or with a value an accept.
type ballotMessage struct {
	Slot   uint64   `cbor:"1,keyasint"`
	Digest [32]byte `cbor:"2,keyasint"` // before the slot
	Ballot uint64   `cbor:"3,keyasint"`
	Value  []byte   `cbor:"4,keyasint,omitempty"`
	Fresh  bool     `cbor:"5,keyasint,omitempty"` // nobody can have accepted it before
}

// A vote answers it.
type vote struct {
	OK       bool   `cbor:"1,keyasint"`
	Applied  uint64 `cbor:"2,keyasint"` // slots
	Promised uint64 `cbor:"3,keyasint"`
	Ballot   uint64 `cbor:"4,keyasint,omitempty"` // of the value that was accepted before
	Value    []byte `cbor:"5,keyasint,omitempty"`
}

// A reach tells how far a member is.
type reach struct {
	Applied uint64    `cbor:"1,keyasint"`
	Digest  [32]byte  `cbor:"2,keyasint"` // after them
	Value   *[32]byte `cbor:"3,keyasint"` // SHA-256 of the last value
}

type reached struct {
	Applied uint64   `cbor:"1,keyasint"`
	Digest  [32]byte `cbor:"2,keyasint"`
	Seen    uint64   `cbor:"3,keyasint"` // one more than Applied if a value waits there to be chosen
}

type fetch struct {
	From   uint64   `cbor:"1,keyasint"`
	Digest [32]byte `cbor:"2,keyasint"` // before
}

type fetched struct {
	Values  [][]byte   `cbor:"1,keyasint"`
	Digests [][32]byte `cbor:"2,keyasint"` // after each
}

type list struct {
	From  uint64 `cbor:"1,keyasint"`
	Count int    `cbor:"2,keyasint"`
}

type listed struct {
	Digests [][32]byte `cbor:"1,keyasint"` // after so many slots: From, From+1, ...
}

// handle answers a method with values of one type each.
func handle[Q, A any](g *Group, method string, f func(ctx context.Context, from mpc.NodeID, q *Q) (*A, error)) {
	g.caller.Handle(method, func(ctx context.Context, from mpc.NodeID, body []byte) ([]byte, error) {
		if !slices.Contains(g.peers, from) {
			return nil, wire.Errorf(wire.PermissionDenied, "", "node %s is no member of this key group", from)
		}
		q := new(Q)
		if codec.Decode(body, q) != nil {
			return nil, wire.Errorf(wire.InvalidArgument, "", "%s: the call is not well formed", method)
		}
		a, err := f(ctx, from, q)
		if err != nil {
			return nil, err
		}
		return codec.Encode(a), nil
	})
}

// call asks one member, within [callTimeout].
func call[A any](ctx context.Context, g *Group, to mpc.NodeID, method string, q any) (*A, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	raw, err := g.caller.Call(ctx, to, method, codec.Encode(q))
	if err != nil {
		return nil, err
	}
	a := new(A)
	if codec.Decode(raw, a) != nil {
		return nil, wire.Errorf(wire.Internal, "", "%s: node %s gave an answer that is not well formed", method, to)
	}
	return a, nil
}

// differ is the refusal of a member whose copy differs. It has both digests.
func (g *Group) differ(slots uint64, own, theirs [32]byte, node mpc.NodeID) *wire.Error {
	return wire.Errorf(wire.FailedPrecondition, ReasonDiffers,
		"the copies of this key group's organizations differ after %d entries: the digest is %s at node %s and %s at node %s",
		slots, hex.EncodeToString(own[:]), g.Self, hex.EncodeToString(theirs[:]), node)
}

var errClosing = wire.Errorf(wire.Unavailable, "", "the enclave is stopping; repeat the same request")
