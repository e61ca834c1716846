package engine

import (
	"slices"

	"github.com/bnb-chain/tss-lib/v2/tss"
	"github.com/sallyport/sallyport/enclave/internal/codec"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
)

// deliver hands letters to the roles that they are for.
func (e *session) deliver(letters []*letter) bool {
	for _, l := range letters {
		for _, r := range e.local {
			if r.index == l.from || !e.concerns(l, r.index) {
				continue
			}
			e.round = max(e.round, l.kind.round)
			if _, err := r.party.Update(l.msg); err != nil {
				e.fail(e.blame(err))
				return true
			}
		}
		if e.progress() {
			return true
		}
	}
	return false
}

// concerns tells whether a letter is for a role.
func (e *session) concerns(l *letter, role int) bool {
	if l.to >= 0 {
		return l.to == role
	}
	if e.setup.Roles[role].Old {
		return l.kind.toOld
	}
	return l.kind.toNew
}

// progress sends what the library has to say, and takes its results.
func (e *session) progress() (over bool) {
	for again := true; again; {
		again = false
		for _, r := range e.local {
			select {
			case m := <-r.out:
				if e.send(r, m) {
					return true
				}
				again = true
			default:
			}
		}
	}
	if e.presign && !e.told.Load() && e.said == presignRound && len(e.held) == len(e.setup.Parties)-1 {
		e.told.Store(true)
		return !e.emit(mpc.Event{Presigned: true})
	}
	return e.results()
}

// send gives a message of the library to the other parties, and to the other
// roles of this one.
func (e *session) send(r *role, m tss.Message) (over bool) {
	wire, routing, err := m.WireBytes()
	if err != nil {
		e.fail(mpc.Failf(mpc.CauseEngine, nil, "a message that cannot be encoded"))
		return true
	}
	l := &letter{from: r.index, to: -1, msg: m.(tss.ParsedMessage), kind: kindOf(m.(tss.ParsedMessage))}
	if l.kind == nil {
		e.fail(mpc.Failf(mpc.CauseEngine, nil, "the library sends a message of an unknown type"))
		return true
	}
	e.round, e.said = max(e.round, l.kind.round), max(e.said, l.kind.round)
	e.gate.leaves(l)
	party := -1
	if !routing.IsBroadcast {
		l.to = slices.Index(e.roles, routing.To[0])
		party = e.setup.Roles[l.to].Party
	}
	body := codec.Encode(frame{From: l.from, To: l.to, Wire: wire})
	if party != e.setup.Self {
		out := &mpc.Message{To: party, Broadcast: routing.IsBroadcast, Round: uint8(l.kind.round), Body: body}
		if !e.emit(mpc.Event{Message: out}) {
			return true
		}
	}
	return e.deliverHere(l)
}

// deliverHere hands a message of one of our roles to the others.
func (e *session) deliverHere(l *letter) bool {
	for _, r := range e.local {
		if r.index != l.from && e.concerns(l, r.index) {
			if _, err := r.party.Update(l.msg); err != nil {
				e.fail(e.blame(err))
				return true
			}
		}
	}
	return false
}
