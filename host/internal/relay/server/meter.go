package server

import (
	"time"

	nats "github.com/nats-io/nats-server/v2/server"
)

const (
	// maxRoomBytes bounds what the parties of a room send, all together, in
	// its life. The largest operation, a reshare among 32 parties, takes under
	// 100 MiB, and what is sent again comes on top.
	maxRoomBytes = 512 << 20
	// meterEvery is how often that is looked at: a room may pass its bound by
	// what it sends meanwhile.
	meterEvery = time.Second
	// maxLeft bounds the connections that ended since, and must be counted.
	maxLeft = 4 * maxConns
)

// left is a connection that was in a room and has ended.
type left struct {
	room string
	seat seat
}

// meter measures until the relay ends.
func (s *Server) meter() {
	tick := time.NewTicker(meterEvery)
	defer tick.Stop()
	for {
		select {
		case <-s.done:
			return
		case now := <-tick.C:
			s.measure(now)
		}
	}
}

// measure charges rooms for what was sent in them, and ends those that have had
// their share.
func (s *Server) measure(now time.Time) {
	sent := s.sent(nats.ConnzOptions{State: nats.ConnOpen, Limit: maxConns})
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, at := range s.seats {
		if who, ok := parseUser(name); ok && who.kind == Room {
			s.seats[name] = s.charge(who.room, at, sent)
		}
	}
	s.forget(now)
	for _, l := range s.left {
		s.charge(l.room, l.seat, s.sent(nats.ConnzOptions{State: nats.ConnClosed, CID: l.seat.connection}))
	}
	s.left = nil
	for name, at := range s.seats {
		if who, ok := parseUser(name); ok && who.kind == Room && s.exhausted(who.room) {
			_ = s.nats.DisconnectClientByID(at.connection) // it may have gone meanwhile
		}
	}
}

// charge adds what a connection has sent since it was measured last. s.mu is held.
func (s *Server) charge(name string, at seat, sent map[uint64]int64) seat {
	bytes, known := sent[at.connection]
	if r := s.rooms[name]; r != nil && known {
		r.spent += bytes - at.charged
		at.charged = bytes
	}
	return at
}

// exhausted says whether a room has had its share. s.mu is held.
func (s *Server) exhausted(name string) bool {
	r := s.rooms[name]
	return r != nil && r.spent > s.roomBytes
}

// sent is how many bytes connections have sent, by number.
func (s *Server) sent(which nats.ConnzOptions) map[uint64]int64 {
	out := map[uint64]int64{}
	list, err := s.nats.Connz(&which)
	if err != nil {
		return out // an option is wrong, or the connection is known no more
	}
	for _, c := range list.Conns {
		out[c.Cid] = c.InBytes
	}
	return out
}

// leave takes a seat off the table. s.mu is held.
func (s *Server) leave(name string, at seat) {
	delete(s.seats, name)
	if who, ok := parseUser(name); ok && who.kind == Room && len(s.left) < maxLeft {
		s.left = append(s.left, left{who.room, at})
	}
}
