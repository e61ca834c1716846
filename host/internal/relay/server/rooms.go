package server

import (
	"encoding/hex"
	"encoding/json"
	"strings"
	"time"

	client "github.com/nats-io/nats.go"
)

// A room has as many seats as the first byte of its id says.
type room struct {
	until time.Time
	size  int
	spent int64 // bytes
}

// A seat is the connection of a party. What the connection calls itself is a
// random name that its host keeps, so that the same host may take its own seat
// again while the relay still believes in the connection that broke.
type seat struct {
	connection uint64
	name       string
	charged    int64 // bytes that its room was charged for
}

// RoomName is a room's id as it stands in subjects.
func RoomName(room []byte) string { return hex.EncodeToString(room) }

// create answers a request for a room: "+OK" or why not. The answer goes only
// to an inbox of the one who asked: it must not be a way into a room.
func (s *Server) create(m *client.Msg) {
	if !strings.HasPrefix(m.Reply, client.InboxPrefix) {
		return
	}
	var q CreateRequest
	answer := "+OK"
	if err := json.Unmarshal(m.Data, &q); err != nil || roomSize(q.Room) == 0 {
		answer = "the room must have 32 hex digits and begin with its size, 1 to 32"
	} else if !s.keep(q.Room, q.TTLMs) {
		answer = "the relay holds as many rooms as it may"
	}
	_ = m.Respond([]byte(answer)) // who asked asks again
}

// roomSize is how many parties a room is for, as its name begins; 0 is no name
// of a room.
func roomSize(name string) int {
	if !hexName(name, roomDigits) {
		return 0
	}
	size, err := hex.DecodeString(name[:2])
	if err != nil || size[0] > maxParties {
		return 0
	}
	return int(size[0])
}

// keep makes a room, or lets it live longer. Nobody can end one early.
func (s *Server) keep(name string, ttlMs int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	s.forget(now)
	ttl := maxTTL
	if ttlMs > 0 && ttlMs < maxTTL.Milliseconds() {
		ttl = time.Duration(ttlMs) * time.Millisecond
	}
	r := s.rooms[name]
	if r == nil {
		if len(s.rooms) >= maxRooms {
			return false
		}
		r = &room{size: roomSize(name)}
		s.rooms[name] = r
	}
	if until := now.Add(ttl); until.After(r.until) {
		r.until = until
	}
	return true
}

// forget drops rooms that are over and seats that were left. s.mu is held.
func (s *Server) forget(now time.Time) {
	for name, r := range s.rooms {
		if now.After(r.until) {
			delete(s.rooms, name)
		}
	}
	for user, at := range s.seats {
		if !s.connected(at) {
			s.leave(user, at)
		}
	}
}

func (s *Server) connected(at seat) bool { return s.nats.GetClient(at.connection) != nil }

// sit gives a connection the seat of its user, if that is free, and says until
// when; zero is without end.
func (s *Server) sit(who user, c seat) (until time.Time, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if who.kind == Room {
		r := s.rooms[who.room]
		if r == nil || time.Now().After(r.until) {
			return time.Time{}, false
		}
		until = r.until
		if s.others(who) >= r.size || s.exhausted(who.room) {
			return time.Time{}, false
		}
	}
	name := who.String()
	if old, taken := s.seats[name]; taken && old.connection != c.connection {
		if s.connected(old) {
			if c.name == "" || c.name != old.name {
				return time.Time{}, false
			}
			_ = s.nats.DisconnectClientByID(old.connection) // it may have gone meanwhile
		}
		s.leave(name, old)
	}
	if len(s.seats) > 2*maxConns {
		s.forget(time.Now())
	}
	s.seats[name] = c
	return until, true
}

// others counts the parties in a room besides one. s.mu is held.
func (s *Server) others(who user) (n int) {
	prefix := who.kind + "." + who.room + "."
	for name, at := range s.seats {
		if name != who.String() && strings.HasPrefix(name, prefix) && s.connected(at) {
			n++
		}
	}
	return n
}
