package relay

import (
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/sallyport/sallyport/enclave/wire"
	"github.com/sallyport/sallyport/host/internal/relay/server"
	"github.com/sallyport/sallyport/tests/faults"
)

// say sends until a message arrives, as parties do: a relay may lose some.
func say(t *testing.T, from *Relay, a uint64, to *Relay, b uint64, name string) {
	t.Helper()
	for end := time.Now().Add(15 * time.Second); time.Now().Before(end); {
		_ = from.SendPort(t.Context(), a, []wire.RelayMessage{{Party: name, Body: []byte("again")}})
		if got, err := to.ReceivePort(t.Context(), b, 200); err == nil && len(got) > 0 {
			return
		}
	}
	t.Error("nothing arrives")
}

// A relay that starts anew knows no rooms: the host that made one says so
// again, and all parties find back.
func TestRelayStartsAgain(t *testing.T) {
	s := embedded(t, "")
	maker, other := newRelay(t, Config{Default: s.Addr()}), newRelay(t, Config{Default: s.Addr()})
	if err := maker.CreateRoom(t.Context(), spec('r', "0a"), 60_000); err != nil {
		t.Fatal(err)
	}
	a, b := open(t, maker, spec('r', "0a")), open(t, other, spec('r', "0b"))
	in, out := spec('i', "0a"), spec('i', "0b")
	in.Inbox, out.Inbox = true, true
	ia, ib := open(t, maker, in), open(t, other, out)
	say(t, maker, a, other, b, "0b")
	s.Close()
	again, err := server.Start(server.Config{Listen: s.Addr()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(again.Close)
	say(t, other, b, maker, a, "0a")
	say(t, maker, a, other, b, "0b")
	say(t, other, ib, maker, ia, "0a")
}

// Connections that break are made again, by themselves.
func TestNetworkBreaksAndHeals(t *testing.T) {
	s := embedded(t, "")
	p := faults.New(t, s.Addr())
	far, near := newRelay(t, Config{Default: p.Addr()}), newRelay(t, Config{Default: s.Addr()})
	if err := near.CreateRoom(t.Context(), spec('r', "0a"), 60_000); err != nil {
		t.Fatal(err)
	}
	a, b := open(t, near, spec('r', "0a")), open(t, far, spec('r', "0b"))
	say(t, near, a, far, b, "0b")
	p.Cut()
	if _, err := far.OpenPort(t.Context(), spec('r', "0c")); !errors.Is(err, &wire.Error{Code: wire.Unavailable}) {
		t.Errorf("behind a broken network: %v", err)
	}
	p.Heal()
	say(t, near, a, far, b, "0b")
	say(t, far, b, near, a, "0a")
	p.Pause()
	if err := far.SendPort(t.Context(), b, []wire.RelayMessage{{Party: "0a", Body: []byte("later")}}); err != nil {
		t.Error(err)
	}
	if got, err := near.ReceivePort(t.Context(), a, 50); err != nil || len(got) != 0 {
		t.Errorf("through a silent network: %d messages, %v", len(got), err)
	}
	p.Resume()
	for end := time.Now().Add(10 * time.Second); ; {
		got, err := near.ReceivePort(t.Context(), a, 5000)
		if err != nil || len(got) == 0 || time.Now().After(end) {
			t.Fatalf("%d messages, %v", len(got), err)
		}
		if string(got[len(got)-1].Body) == "later" {
			return
		}
	}
}

func TestPortsOfOneParty(t *testing.T) {
	s := embedded(t, "")
	r, other := newRelay(t, Config{Default: s.Addr()}), newRelay(t, Config{Default: s.Addr()})
	p := spec('i', "0a")
	p.Inbox = true
	first := open(t, r, p)
	if _, err := r.OpenPort(t.Context(), p); !errors.Is(err, &wire.Error{Code: wire.Unavailable}) {
		t.Errorf("a second port beside one in use: %v", err)
	}
	if _, err := other.OpenPort(t.Context(), p); !errors.Is(err, &wire.Error{Code: wire.Unavailable}) {
		t.Errorf("another host takes the party's place: %v", err)
	}
	r.mu.Lock()
	r.ports[first].used = time.Now().Add(-2 * abandoned)
	r.mu.Unlock()
	second := open(t, r, p)
	if _, err := r.ReceivePort(t.Context(), first, 0); !errors.Is(err, &wire.Error{Code: wire.NotFound}) {
		t.Errorf("a port that was left behind: %v", err)
	}
	q := spec('i', "0b")
	q.Inbox = true
	say(t, other, open(t, other, q), r, second, "0a")
	r.forget(time.Now().Add(idlePort / 2))
	if _, err := r.ReceivePort(t.Context(), second, 0); err != nil {
		t.Errorf("a port in use is gone: %v", err)
	}
	r.forget(time.Now().Add(2 * idlePort))
	if err := r.SendPort(t.Context(), second, nil); !errors.Is(err, &wire.Error{Code: wire.NotFound}) {
		t.Errorf("a port that is not used: %v", err)
	}
}

// What others publish at a relay is measured before the enclave sees it.
func TestForeignMessages(t *testing.T) {
	p := &port{at: place{kind: server.Room, room: "00", party: "0a"}, in: newQueue(new(atomic.Int64))}
	for _, m := range []nats.Msg{
		{Subject: "room.00.0a.", Data: []byte("x")},
		{Subject: "room.00.0a.OB", Data: []byte("x")},
		{Subject: "room.00.0a.0b.0c", Data: []byte("x")},
		{Subject: "room.00.0a." + strings.Repeat("0", 65), Data: []byte("x")},
		{Subject: "room.00.0a.0b"},
		{Subject: "room.00.0a.0b", Data: make([]byte, wire.MaxRelayMessage+1)},
	} {
		p.take(&m)
		if got := p.in.pop(); len(got) != 0 {
			t.Errorf("%s with %d bytes is taken", m.Subject, len(m.Data))
		}
	}
}

func TestQueueIsBounded(t *testing.T) {
	var held atomic.Int64
	q := newQueue(&held)
	for range 2 * maxQueue {
		q.push(wire.RelayMessage{Body: []byte("x")})
	}
	if len(q.list) != maxQueue || held.Load() != maxQueue {
		t.Errorf("%d messages, %d bytes", len(q.list), held.Load())
	}
	if got := q.pop(); len(got) != wire.MaxRelayMessages {
		t.Errorf("%d messages at once", len(got))
	}
	q.close()
	q = newQueue(&held)
	for range maxQueueBytes/wire.MaxRelayMessage + 10 {
		q.push(wire.RelayMessage{Body: make([]byte, wire.MaxRelayMessage)})
	}
	if q.bytes != maxQueueBytes || held.Load() != maxQueueBytes {
		t.Errorf("%d and %d bytes", q.bytes, held.Load())
	}
	if got := q.pop(); len(got) != wire.MaxRelayBatch/wire.MaxRelayMessage {
		t.Errorf("%d messages at once", len(got))
	}
	held.Add(maxHeldBytes)
	if q.push(wire.RelayMessage{Body: []byte("x")}); q.bytes != maxQueueBytes-wire.MaxRelayBatch {
		t.Error("takes more than all may hold")
	}
	held.Add(-maxHeldBytes)
	q.close()
	q.push(wire.RelayMessage{Body: []byte("x")})
	if got := q.pop(); held.Load() != 0 || len(got) != 0 {
		t.Errorf("%d bytes after the end", held.Load())
	}
}

func TestPublicAddresses(t *testing.T) {
	for address, want := range map[string]bool{
		"1.1.1.1": true, "2606:4700::1111": true, "64:ff9b::101:101": true, "::ffff:1.1.1.1": true,
		"127.0.0.1": false, "10.0.0.1": false, "169.254.169.254": false, "0.0.0.0": false, "100.64.0.1": false, "224.0.0.1": false,
		"255.255.255.255": false, "::1": false, "::": false, "fe80::1": false, "fd00:ec2::254": false, "::ffff:127.0.0.1": false,
		"64:ff9b::7f00:1": false, "64:ff9b::a9fe:a9fe": false, "2002:7f00:1::": false, "::7f00:1": false,
	} {
		if got := public(net.ParseIP(address)); got != want {
			t.Errorf("%s is public: %v", address, got)
		}
	}
}
