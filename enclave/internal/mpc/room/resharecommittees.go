package room

import (
	"bytes"
	"slices"

	"github.com/sallyport/sallyport/enclave/internal/codec"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
)

// An oldExtra is what a party of the old committee says of it in its hello.
// New parties learn the key from it, and want all to say the same.
type oldExtra struct {
	Threshold int       `cbor:"1,keyasint"`
	Public    []byte    `cbor:"2,keyasint"`
	ChainCode []byte    `cbor:"3,keyasint"`
	Members   []oldRole `cbor:"4,keyasint"` // of the old committee, all of it
	Mine      []int     `cbor:"5,keyasint"` // indices of Members that this party speaks for
}

type oldRole struct {
	X      []byte `cbor:"1,keyasint"`
	Public []byte `cbor:"2,keyasint"`
}

// setup puts the committees together from what all have said, and checks it.
func (h *resharing) setup(s *talk) (*mpc.Setup, []byte, error) {
	old, mine, err := h.olden(s)
	if err != nil {
		return nil, nil, err
	}
	setup := &mpc.Setup{
		Op: mpc.OpReshare, Curve: h.req.Curve, Session: s.id, Parties: s.parties, Self: s.self,
		Threshold: h.req.NewThreshold, OldThreshold: old.Threshold, Public: old.Public,
	}
	for i, members := range mine {
		for _, m := range members {
			if i == s.self {
				for _, o := range h.olds {
					if o.member == m {
						setup.Old = append(setup.Old, mpc.OldShare{Role: len(setup.Roles), Secret: o.secret, State: o.state})
					}
				}
			}
			role := old.Members[m]
			setup.Roles = append(setup.Roles, mpc.Role{Party: i, X: [32]byte(role.X), Old: true, Public: role.Public})
		}
	}
	if n := len(setup.Roles); n < old.Threshold {
		return nil, nil, mpc.Failf(mpc.CauseSetup, nil, "%d old shares came and %d are needed", n, old.Threshold)
	}
	for _, n := range h.req.New {
		i := slices.Index(s.parties, n)
		if i < 0 {
			return nil, nil, mpc.Failf(mpc.CauseSetup, nil, "the room has no place for all new parties")
		}
	}
	for i, p := range s.parties {
		if slices.Contains(h.req.New, p) {
			setup.Roles = append(setup.Roles, mpc.Role{Party: i, X: s.x(i)})
		}
	}
	return setup, old.ChainCode, nil
}

// olden reads what the old parties say of the key: all must say the same, and
// speak for members of their own. It returns who speaks for which, by party.
func (h *resharing) olden(s *talk) (old *oldExtra, mine [][]int, err error) {
	old = h.own
	mine = make([][]int, len(s.parties))
	taken := map[int]bool{}
	for i := range s.parties {
		e := h.own
		if i != s.self {
			if e, err = s.oldExtraOf(i); err != nil {
				return nil, nil, err
			}
		}
		if e == nil {
			continue
		}
		if old == nil {
			old = e
		}
		if !old.same(e) {
			return nil, nil, mpc.Failf(mpc.CauseSetup, []mpc.PartyID{s.parties[i]}, "it has another version of the key")
		}
		for _, m := range e.Mine {
			if m < 0 || m >= len(e.Members) || taken[m] {
				return nil, nil, mpc.Failf(mpc.CauseMessage, []mpc.PartyID{s.parties[i]}, "it speaks for a member that is not its own")
			}
			taken[m] = true
		}
		mine[i] = e.Mine
	}
	if old == nil {
		return nil, nil, mpc.Failf(mpc.CauseSetup, nil, "nobody in the room has the key")
	}
	if h.req.Public != nil && !bytes.Equal(h.req.Public, old.Public) {
		return nil, nil, mpc.Failf(mpc.CauseSetup, nil, "the room is for another key")
	}
	return old, mine, nil
}

// oldExtraOf reads what another party has said, nil if it is a new one.
func (s *talk) oldExtraOf(i int) (*oldExtra, error) {
	extra := s.peers[i].seat.hello.Extra
	if len(extra) == 0 {
		return nil, nil
	}
	e := new(oldExtra)
	bad := codec.Decode(extra, e) != nil || len(e.ChainCode) != 32 || len(e.Members) > mpc.MaxParties || e.Threshold < 2 || e.Threshold > len(e.Members)
	for _, m := range e.Members {
		bad = bad || len(m.X) != 32
	}
	if bad {
		return nil, mpc.Failf(mpc.CauseMessage, []mpc.PartyID{s.parties[i]}, "what it says of the old committee is not well formed")
	}
	return e, nil
}

// same compares all but who speaks for whom.
func (e *oldExtra) same(f *oldExtra) bool {
	a, b := *e, *f
	a.Mine, b.Mine = nil, nil
	return bytes.Equal(codec.Encode(a), codec.Encode(b))
}
