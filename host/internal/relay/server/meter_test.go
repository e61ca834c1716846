package server

import (
	"testing"
	"time"

	client "github.com/nats-io/nats.go"
)

// spend has a party send n messages of 1 KiB, and the relay read them.
func spend(t *testing.T, c *client.Conn, subject string, n int) {
	t.Helper()
	for range n {
		if err := c.Publish(subject, make([]byte, 1<<10)); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Flush(); err != nil {
		t.Fatal(err)
	}
}

// spent waits until a room was charged for some bytes.
func spent(t *testing.T, s *Server, want int64) {
	t.Helper()
	var got int64
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		s.measure(time.Now())
		s.mu.Lock()
		got = s.rooms[name].spent
		s.mu.Unlock()
		if got == want {
			return
		}
	}
	t.Errorf("charged for %d bytes, not %d", got, want)
}

func TestRoomEndsWithItsShare(t *testing.T) {
	s := start(t, Config{})
	s.keep(name, 60_000)
	s.keep(big3, 60_000)
	s.mu.Lock()
	s.roomBytes = 10 << 10
	s.mu.Unlock()
	a, b := in(t, s, "room."+name+".0a", client.Name("a")), in(t, s, "room."+name+".0b")
	other := in(t, s, "room."+big3+".0a")
	spend(t, a, "room."+name+".0b.0a", 3)
	spent(t, s, 3<<10)
	spend(t, b, "room."+name+".0a.0b", 2)
	spend(t, other, "room."+big3+".0b.0a", 8)
	spent(t, s, 5<<10)
	// What was sent on a connection that ended counts, and counts once.
	spend(t, a, "room."+name+".0b.0a", 4)
	a = in(t, s, "room."+name+".0a", client.Name("a"))
	spent(t, s, 9<<10)
	spent(t, s, 9<<10)
	spend(t, a, "room."+name+".0b.0a", 2)
	spent(t, s, 11<<10)
	for _, c := range []*client.Conn{a, b} {
		for end := time.Now().Add(5 * time.Second); !c.IsClosed(); time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("a party speaks in a room that has had its share")
			}
		}
	}
	out(t, s, "room."+name+".0a")
	if s.keep(name, 60_000); !s.exhausted(name) {
		t.Error("a room has its share again when it is created again")
	}
	out(t, s, "room."+name+".0a")
	spend(t, other, "room."+big3+".0b.0a", 1)
}

func TestInboxesAreNotCharged(t *testing.T) {
	s := start(t, Config{})
	s.mu.Lock()
	s.roomBytes = 0
	s.mu.Unlock()
	c := in(t, s, "inbox."+name+".0a")
	spend(t, c, "inbox."+name+".0b.0a", 3)
	s.measure(time.Now())
	spend(t, c, "inbox."+name+".0b.0a", 3)
}
