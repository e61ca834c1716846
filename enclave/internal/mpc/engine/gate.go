package engine

import (
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/bnb-chain/tss-lib/v2/crypto"
	ecdsaresharing "github.com/bnb-chain/tss-lib/v2/ecdsa/resharing"
	ecdsasigning "github.com/bnb-chain/tss-lib/v2/ecdsa/signing"
	"github.com/bnb-chain/tss-lib/v2/tss"
	"github.com/sallyport/sallyport/enclave/internal/codec"
	"github.com/sallyport/sallyport/enclave/internal/keys"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
)

// A gate lets through what an honest party could have sent: the right type for
// this protocol and sender, sent in the right way, once, with as many numbers
// as it has, each in its range, and every point on its curve.
type gate struct {
	e       *session
	seen    map[seenKey]bool
	own     *ownModuli          // of ECDSA; nil for a party of the old committee only
	peers   map[int]*peerModuli // by role; in keygen and reshare as they come
	ssid    []byte              // of a reshare, from whichever old member came first
	first   int                 // that member
	commits map[commitKey][]byte
	thetas  map[int]*big.Int        // of signing, by role
	old     map[int]*crypto.ECPoint // of a reshare, by role: what an old member shares out
}

type seenKey struct {
	from, to int
	name     string
}

type commitKey struct{ role, round int }

// ownModuli are those under which others prove to us. In signing h1 and h2 are
// not used.
type ownModuli struct{ n, nTilde, h1, h2 *big.Int }

// peerModuli are another role's; in signing only n is used.
type peerModuli struct{ n, nTilde, h1, h2 *big.Int }

func newGate(e *session) *gate {
	return &gate{
		e: e, seen: map[seenKey]bool{}, peers: map[int]*peerModuli{}, commits: map[commitKey][]byte{}, thetas: map[int]*big.Int{},
	}
}

// refuse blames the party of a role.
func (g *gate) refuse(role int, why string) *mpc.Failure {
	return g.refuseParty(g.e.setup.Roles[role].Party, why)
}

func (g *gate) refuseParty(party int, why string) *mpc.Failure {
	return mpc.Failf(mpc.CauseMessage, []mpc.PartyID{g.e.setup.Parties[party]}, "%s", why)
}

// open reads an input and checks who may send it, how, and to whom. It returns
// neither a letter nor a failure for a repetition: the first one counts.
func (g *gate) open(in input) (l *letter, f *mpc.Failure) {
	defer func() {
		if r := recover(); r != nil {
			l, f = nil, g.refuseParty(in.from, "a message that cannot be read")
		}
	}()
	s := g.e.setup
	if in.from < 0 || in.from >= len(s.Parties) || in.from == s.Self {
		return nil, mpc.Failf(mpc.CauseMessage, nil, "a message of nobody in the room")
	}
	var fr frame
	if len(in.body) > maxBody || codec.Decode(in.body, &fr) != nil {
		return nil, g.refuseParty(in.from, "a message that is not one")
	}
	if fr.From < 0 || fr.From >= len(s.Roles) || s.Roles[fr.From].Party != in.from {
		return nil, g.refuseParty(in.from, "a message for which another party speaks")
	}
	msg, err := tss.ParseWireMessage(fr.Wire, g.e.roles[fr.From], in.broadcast)
	if err != nil || msg.Content() == nil {
		return nil, g.refuseParty(in.from, "a message of an unknown type")
	}
	l = &letter{from: fr.From, to: fr.To, msg: msg, kind: kindOf(msg)}
	if why := g.misplaced(l, in.broadcast); why != "" {
		return nil, g.refuseParty(in.from, why)
	}
	if !msg.ValidateBasic() {
		return nil, g.refuseParty(in.from, "a message that lacks a part")
	}
	at := seenKey{l.from, l.to, l.kind.name}
	if g.seen[at] {
		return nil, nil
	}
	g.seen[at] = true
	return l, nil
}

// misplaced says why a message does not belong here.
func (g *gate) misplaced(l *letter, broadcast bool) string {
	s, k := g.e.setup, l.kind
	switch {
	case k == nil || k.curve != s.Curve || !slices.Contains(k.ops, s.Op):
		return "a message of another protocol"
	case k.fromOld != s.Roles[l.from].Old:
		return "a message of the other committee"
	case k.broadcast != broadcast:
		return "a message to all that was sent to one, or the reverse"
	case broadcast && l.to != -1:
		return "a message to all that names a receiver"
	case broadcast:
		return ""
	case l.to < 0 || l.to >= len(s.Roles) || s.Roles[l.to].Party != s.Self || s.Roles[l.to].Old:
		return "a message for another party"
	}
	return ""
}

// ready tells whether what the message is judged by is known: messages come in any
// order.
func (g *gate) ready(l *letter) bool {
	if l.kind.opens > 0 && g.commits[commitKey{l.from, l.kind.opens}] == nil {
		return false
	}
	if g.e.setup.Curve != keys.Secp256k1 || l.kind.first || l.kind.fromOld || g.own == nil {
		return true
	}
	return g.peers[l.from] != nil
}

// leaves notes what this party says that others' messages must go with.
func (g *gate) leaves(l *letter) {
	switch m := l.msg.Content().(type) {
	case *ecdsasigning.SignRound3Message:
		g.thetas[l.from] = integer(m.Theta)
	case *ecdsaresharing.DGRound1Message: // before any other's: roles start first
		g.ssid, g.first = m.Ssid, l.from
	}
}

// judge checks what is in a message, and blames its sender for what is wrong.
func (g *gate) judge(l *letter) *mpc.Failure {
	c := &checker{order: group(g.e.setup.Curve).Params().N, curve: g.e.setup.Curve}
	if g.e.setup.Curve == keys.Ed25519 {
		g.judgeEDDSA(c, l)
	} else {
		g.judgeECDSA(c, l)
	}
	if c.err == nil {
		return nil
	}
	f := g.refuse(l.from, fmt.Sprintf("%s: %v", l.kind.name[strings.LastIndex(l.kind.name, ".")+1:], c.err))
	f.Round = l.kind.round
	if c.other != nil {
		if p := g.e.setup.Parties[g.e.setup.Roles[*c.other].Party]; g.e.setup.Roles[*c.other].Party != g.e.setup.Self && p != f.Culprits[0] {
			f.Culprits = append(f.Culprits, p)
			slices.SortFunc(f.Culprits, mpc.PartyID.Compare)
		}
	}
	return f
}
