package engine

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/bnb-chain/tss-lib/v2/tss"
	"github.com/sallyport/sallyport/enclave/internal/codec"
	"github.com/sallyport/sallyport/enclave/internal/keys"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
	"github.com/sallyport/sallyport/enclave/internal/mpc/mpctest"
)

// victim receives, and attacker is whose messages are changed.
const (
	victim   = 0
	attacker = 1
)

// A recording is what the attacker honestly sent to the victim in one operation.
type recording struct {
	setup  *mpc.Setup // the victim's
	mail   []mail
	shares []*mpc.Share // of all parties, if it made any
}

type mail struct {
	broadcast bool
	body      []byte
}

var digest = sha256.Sum256([]byte("a message"))

// setups of two parties, by the name of an operation.
func setups(t testing.TB, name string) []*mpc.Setup {
	c := keys.Secp256k1
	if strings.HasPrefix(name, "ed25519") {
		c = keys.Ed25519
	}
	shares := mpctest.Key(t, c)
	switch name[strings.Index(name, " ")+1:] {
	case "keygen":
		return mpctest.KeygenSetups(c, 2, 2)
	case "sign":
		return mpctest.SignSetups(mpc.OpSign, shares, []int{0, 1}, digest[:], nil)
	case "reshare":
		return mpctest.ReshareSetups(shares[:2], 2, 2, true)
	}
	t.Fatalf("there is no operation %q", name)
	return nil
}

var operations = []string{
	"ed25519 keygen", "ed25519 sign", "ed25519 reshare", "secp256k1 sign", "secp256k1 keygen", "secp256k1 reshare",
}

var recordings struct {
	mu   sync.Mutex
	done map[string]*recording
}

// record runs an operation once, for all tests.
func record(t testing.TB, name string) *recording {
	t.Helper()
	recordings.mu.Lock()
	defer recordings.mu.Unlock()
	if r := recordings.done[name]; r != nil {
		return r
	}
	all := setups(t, name)
	r := &recording{setup: setups(t, name)[victim]}
	var mu sync.Mutex
	for i, o := range mpctest.Run(t.Context(), mpctest.Start(t, New(), all), nil, func(from, to int, m *mpc.Message) [][]byte {
		if from == attacker && to == victim {
			mu.Lock()
			r.mail = append(r.mail, mail{m.Broadcast, m.Body})
			mu.Unlock()
		}
		return [][]byte{m.Body}
	}) {
		if err := o.Err(); err != nil {
			t.Fatalf("%s: party %d: %v", name, i, err)
		}
		if o.Result.Share != nil {
			r.shares = append(r.shares, o.Result.Share)
		}
	}
	if recordings.done == nil {
		recordings.done = map[string]*recording{}
	}
	recordings.done[name] = r
	return r
}

// A change alters the content of messages of one type, and says whether it was
// of that type.
type change func(content any) bool

// on changes messages of type M.
func on[M any](f func(m M)) change {
	return func(content any) bool {
		m, ok := content.(M)
		if ok {
			f(m)
		}
		return ok
	}
}

// tamper applies a change to the body of a message of the attacker.
func tamper(t testing.TB, body []byte, f change) (out []byte, changed bool) {
	t.Helper()
	var fr frame
	if err := codec.Decode(body, &fr); err != nil {
		t.Fatal(err)
	}
	id := tss.NewPartyID("0", "0", integer([]byte{1}))
	id.Index = 0
	msg, err := tss.ParseWireMessage(fr.Wire, id, true)
	if err != nil {
		t.Fatal(err)
	}
	if !f(msg.Content()) {
		return body, false
	}
	wrapped := tss.NewMessageWrapper(tss.MessageRouting{From: id}, msg.Content())
	if fr.Wire, _, err = tss.NewMessage(tss.MessageRouting{From: id}, msg.Content(), wrapped).WireBytes(); err != nil {
		t.Fatal(err)
	}
	return codec.Encode(fr), true
}

// replay gives a recording to a gate, as a session would.
func (r *recording) replay(t testing.TB, f change) (failed *mpc.Failure, changed bool) {
	t.Helper()
	e, err := newSession(r.setup)
	if err != nil {
		t.Fatal(err)
	}
	var letters []*letter
	for _, m := range r.mail {
		body := m.body
		if f != nil {
			var is bool
			body, is = tamper(t, m.body, f)
			changed = changed || is
		}
		l, bad := e.gate.open(input{from: attacker, broadcast: m.broadcast, body: body})
		if bad != nil {
			return bad, changed
		}
		letters = append(letters, l)
		for i := 0; i < len(letters); i++ {
			if e.gate.ready(letters[i]) {
				if bad := e.gate.judge(letters[i]); bad != nil {
					return bad, changed
				}
				letters = append(letters[:i], letters[i+1:]...)
				i = -1
			}
		}
	}
	if len(letters) > 0 {
		t.Error("a message is never ready to be judged")
	}
	return nil, changed
}

// blames wants a failure that names the attacker alone.
func blames(t testing.TB, s *mpc.Setup, f *mpc.Failure, want string) {
	t.Helper()
	switch {
	case f == nil:
		t.Error("it was let through")
	case f.Cause != mpc.CauseMessage || !strings.Contains(f.Reason, want):
		t.Errorf("got %v, want %q", f, want)
	case fmt.Sprint(f.Culprits) != fmt.Sprint([]mpc.PartyID{s.Parties[attacker]}):
		t.Errorf("%d culprits, or another than the attacker", len(f.Culprits))
	}
}
