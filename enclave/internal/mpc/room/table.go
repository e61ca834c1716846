package room

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/enclave/internal/codec"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
	"github.com/sallyport/sallyport/enclave/wire"
)

// A plan is what an operation wants of the room it is in.
type plan struct {
	where      mpc.Where
	self       mpc.PartyID
	claim      claim
	extra      []byte
	candidates []mpc.PartyID // who may come, self or not
	open       bool          // others of known nodes may come too
	timeout    time.Duration // from the complete room on
}

// A table is a room while its parties come, and afterwards the answers that
// those get who are not as far yet.
type table struct {
	rooms  *Rooms
	plan   plan
	size   int
	port   *port
	seats  map[string]*seat // by relay name
	mine   hello
	key    ed25519.PrivateKey
	opened map[string]Opener // of hellos, by pair and party
}

// A seat is one other party.
type seat struct {
	party mpc.PartyID
	name  string
	hello *hello // what it said
	raw   []byte // and its exact bytes
	pair  Pair   // by which it said it
	out   []byte // our hello to it, sealed under outBy
	outBy [8]byte
	began time.Time // of the last handshake that we began
	// refused is why a handshake with it failed, if one did.
	refused *mpc.Failure
}

// sit enters the room. The context ends the port.
func (r *Rooms) sit(ctx context.Context, p plan) (*table, error) {
	t := &table{rooms: r, plan: p, size: int(p.where.Room[0]), seats: map[string]*seat{}, opened: map[string]Opener{}}
	if t.size < 2 || t.size > mpc.MaxParties {
		return nil, mpc.Failf(mpc.CauseSetup, nil, "the room is for %d parties; it must be for 2 to %d", t.size, mpc.MaxParties)
	}
	if err := r.enter(p.where, p.self); err != nil {
		return nil, err
	}
	for _, c := range p.candidates {
		t.seat(c)
	}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	t.key = private
	t.mine = hello{
		Claim: p.claim.hash(p.where), Party: p.self.String(), Nonce: random(32), Time: r.Now().UnixMilli(),
		Key: public, X: freshX(), Extra: p.extra,
	}
	t.port, err = openPort(ctx, r.Network, wire.RelayPort{Relay: p.where.Relay, Room: p.where.Room[:], Party: relayName(p.self.String())})
	return t, failure(err)
}

// seat keeps a place for a party, if it is another one.
func (t *table) seat(p mpc.PartyID) *seat {
	if p == t.plan.self {
		return nil
	}
	name := relayName(p.String())
	if s, ok := t.seats[name]; ok {
		return s
	}
	s := &seat{party: p, name: name}
	t.seats[name] = s
	return s
}

func (c claim) hash(w mpc.Where) []byte {
	c.Label, c.Room = "sallyport room claim v1", w.Room[:]
	sum := sha256.Sum256(codec.Encode(c))
	return sum[:]
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b) // never fails
	return b
}

// freshX is below every group order: 31 random bytes, never zero.
func freshX() []byte {
	x := random(32)
	x[0] = 0
	x[31] |= 1
	return x
}

// gather waits until the room is complete and all agree.
func (t *table) gather(ctx context.Context) error {
	deadline := time.NewTimer(t.rooms.Times.Join)
	defer deadline.Stop()
	wait := t.rooms.Times.Knock
	again := time.NewTimer(0)
	defer again.Stop()
	for !t.complete() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-deadline.C:
			return t.absent()
		case <-again.C:
			t.knock()
			again.Reset(wait)
			wait = min(2*wait, 4*t.rooms.Times.Knock)
		case m, ok := <-t.port.in:
			if !ok {
				return ctx.Err()
			}
			t.take(ctx, m)
		}
	}
	return t.agree()
}

// complete tells whether as many have come as the room is for.
func (t *table) complete() bool { return len(t.present())+1 >= t.size }

func (t *table) present() (out []*seat) {
	for _, s := range t.seats {
		if s.hello != nil {
			out = append(out, s)
		}
	}
	slices.SortFunc(out, func(a, b *seat) int { return a.party.Compare(b.party) })
	return out
}

// absent blames those who must have come and did not.
func (t *table) absent() error {
	here := t.present()
	var missing []mpc.PartyID
	if len(t.seats)+1 == t.size && !t.plan.open {
		for _, s := range t.seats {
			if s.hello == nil {
				missing = append(missing, s.party)
			}
		}
	}
	slices.SortFunc(missing, mpc.PartyID.Compare)
	for _, s := range t.seats {
		if s.hello == nil && s.refused != nil {
			return mpc.Failf(s.refused.Cause, []mpc.PartyID{s.party}, "%s", s.refused.Reason)
		}
	}
	return mpc.Failf(mpc.CauseTimeout, missing, "%d of %d parties came to the room", len(here)+1, t.size)
}

// agree compares what the parties were asked to do.
func (t *table) agree() error {
	here := t.present()
	if len(here)+1 > t.size {
		return mpc.Failf(mpc.CauseSetup, nil, "more parties came than the room is for")
	}
	var other []string
	for _, s := range here {
		if string(s.hello.Claim) != string(t.mine.Claim) {
			other = append(other, s.party.Node.String())
		}
	}
	if len(other) > 0 {
		return mpc.Failf(mpc.CauseSetup, nil, "the nodes %s were asked for something else than this one", strings.Join(other, ", "))
	}
	return nil
}

// session is what everything afterwards is bound to: all hellos, in order.
func (t *table) session() [32]byte {
	type said struct {
		Label  string   `cbor:"1,keyasint"`
		Hellos [][]byte `cbor:"2,keyasint"`
	}
	all := map[string][]byte{t.mine.Party: codec.Encode(t.mine)}
	parties := []mpc.PartyID{t.plan.self}
	for _, s := range t.present() {
		all[s.hello.Party] = s.raw
		parties = append(parties, s.party)
	}
	slices.SortFunc(parties, mpc.PartyID.Compare)
	v := said{Label: "sallyport room session v1"}
	for _, p := range parties {
		v.Hellos = append(v.Hellos, all[p.String()])
	}
	return sha256.Sum256(codec.Encode(v))
}
