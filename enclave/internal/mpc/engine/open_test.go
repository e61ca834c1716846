package engine

import (
	"testing"

	"github.com/sallyport/sallyport/enclave/internal/codec"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
)

func TestMisplacedMessagesAreStopped(t *testing.T) {
	sign, keygen := record(t, "ed25519 sign"), record(t, "ed25519 keygen")
	direct := func(r *recording) (m mail) {
		for _, m = range r.mail {
			if !m.broadcast {
				return m
			}
		}
		t.Fatal("there is no message to one")
		return m
	}
	changed := func(m mail, f func(fr *frame)) mail {
		var fr frame
		if err := codec.Decode(m.body, &fr); err != nil {
			t.Fatal(err)
		}
		f(&fr)
		return mail{m.broadcast, codec.Encode(fr)}
	}
	for _, c := range []struct {
		name string
		m    mail
		want string
	}{
		{"nothing", mail{true, nil}, "not one"},
		{"no encoding", mail{true, []byte("hello")}, "not one"},
		{"too long", mail{true, make([]byte, maxBody+1)}, "not one"},
		{"something after it", mail{true, append([]byte{}, append(keygen.mail[0].body, 0)...)}, "not one"},
		{"of another protocol", sign.mail[0], "another protocol"},
		{"of the other curve", record(t, "secp256k1 sign").mail[1], "another protocol"},
		{"all's to one", mail{false, keygen.mail[0].body}, "to all that was sent to one"},
		{"one's to all", mail{true, direct(keygen).body}, "to all that was sent to one"},
		{"in the name of the victim", changed(keygen.mail[0], func(fr *frame) { fr.From = victim }), "another party speaks"},
		{"in the name of nobody", changed(keygen.mail[0], func(fr *frame) { fr.From = 77 }), "another party speaks"},
		{"from below", changed(keygen.mail[0], func(fr *frame) { fr.From = -1 }), "another party speaks"},
		{"to all with a name", changed(keygen.mail[0], func(fr *frame) { fr.To = victim }), "names a receiver"},
		{"to another", changed(direct(keygen), func(fr *frame) { fr.To = attacker }), "for another party"},
		{"to nobody", changed(direct(keygen), func(fr *frame) { fr.To = 9 }), "for another party"},
		{"no type", changed(keygen.mail[0], func(fr *frame) { fr.Wire = nil }), "unknown type"},
		{"garbage", changed(keygen.mail[0], func(fr *frame) { fr.Wire[0] ^= 0x55 }), "unknown type"},
	} {
		t.Run(c.name, func(t *testing.T) {
			e, err := newSession(keygen.setup)
			if err != nil {
				t.Fatal(err)
			}
			l, f := e.gate.open(input{from: attacker, broadcast: c.m.broadcast, body: c.m.body})
			if l != nil {
				t.Fatal("it was read")
			}
			blames(t, keygen.setup, f, c.want)
		})
	}
}

func TestFirstMessageCounts(t *testing.T) {
	r := record(t, "ed25519 keygen")
	e, err := newSession(r.setup)
	if err != nil {
		t.Fatal(err)
	}
	in := input{from: attacker, broadcast: r.mail[0].broadcast, body: r.mail[0].body}
	if l, f := e.gate.open(in); l == nil || f != nil {
		t.Fatal(f)
	}
	if l, f := e.gate.open(in); l != nil || f != nil {
		t.Error("a repetition was read again, or blamed")
	}
	for _, from := range []int{-1, victim, 2} {
		in.from = from
		if l, f := e.gate.open(in); l != nil || f == nil || len(f.Culprits) != 0 {
			t.Errorf("a message of %d: got %v", from, f)
		}
	}
}

func TestMembersOfAReshareStayInTheirCommittee(t *testing.T) {
	r := record(t, "ed25519 reshare")
	e, err := newSession(r.setup)
	if err != nil {
		t.Fatal(err)
	}
	var fr frame
	if err := codec.Decode(r.mail[0].body, &fr); err != nil {
		t.Fatal(err)
	}
	for i, role := range r.setup.Roles {
		if role.Party == attacker && !role.Old {
			fr.From = i
		}
	}
	_, f := e.gate.open(input{from: attacker, broadcast: true, body: codec.Encode(fr)})
	blames(t, r.setup, f, "other committee")
}

func FuzzGate(f *testing.F) {
	for _, name := range []string{"ed25519 sign", "ed25519 keygen"} {
		for _, m := range record(f, name).mail {
			f.Add(m.broadcast, m.body)
		}
	}
	setup := record(f, "ed25519 keygen").setup
	f.Fuzz(func(t *testing.T, broadcast bool, body []byte) {
		e, err := newSession(setup)
		if err != nil {
			t.Fatal(err)
		}
		l, failed := e.gate.open(input{from: attacker, broadcast: broadcast, body: body})
		if l != nil && e.gate.ready(l) {
			failed = e.gate.judge(l)
		}
		if failed != nil && failed.Cause != mpc.CauseMessage {
			t.Errorf("got %v", failed)
		}
	})
}
