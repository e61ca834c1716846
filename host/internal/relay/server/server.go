// Package server is the relay: an embedded NATS server that carries sealed
// messages between enclaves. It is not trusted: it can lose, delay and repeat
// messages and see who is in which room, and nothing else.
//
// A party may connect to rooms that were created here, and to inboxes. What it
// may publish and receive is bound to its name in the room:
//
//	room.<room>.<to>.<from>      publish: any to, its own from; subscribe: its own to
package server

import (
	"crypto/subtle"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	nats "github.com/nats-io/nats-server/v2/server"
	client "github.com/nats-io/nats.go"
)

// Limits of a relay.
const (
	maxPayload = 257 << 10 // a message of 256 KiB
	maxRooms   = 4096
	maxConns   = 4096
	maxTTL     = 15 * time.Minute
)

// Names that clients of a relay use.
const (
	// Control is the user that creates rooms, and Create the subject.
	Control = "control"
	Create  = "control.create"
	// Room and Inbox begin the user names of parties: "room.<room>.<party>".
	Room  = "room"
	Inbox = "inbox"
)

// CreateRequest is the body of a request to create a room, JSON.
type CreateRequest struct {
	Room  string `json:"room"` // 32 hex digits
	TTLMs int64  `json:"ttlMs"`
}

// Config is how a relay listens.
type Config struct {
	Listen string // HOST:PORT, port 0 for a free one
	Token  string // that every client must show; empty: none
	TLS    *tls.Config
}

// A Server is a running relay.
type Server struct {
	nats    *nats.Server
	control *client.Conn
	token   string
	secret  string // of the relay's own connection

	mu    sync.Mutex
	rooms map[string]time.Time // until when they live
}

// Start starts a relay.
func Start(c Config) (*Server, error) {
	host, text, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return nil, fmt.Errorf("relay: listen: %w", err)
	}
	port, err := strconv.Atoi(text)
	if err != nil || port < 0 || port > 65535 {
		return nil, errors.New("relay: listen: port must be 0 to 65535")
	}
	if port == 0 {
		port = nats.RANDOM_PORT
	}
	s := &Server{token: c.Token, secret: client.NewInbox(), rooms: map[string]time.Time{}}
	s.nats, err = nats.NewServer(&nats.Options{
		ServerName: "sallyport-relay", Host: host, Port: port, NoLog: true, NoSigs: true, MaxPayload: maxPayload, MaxConn: maxConns,
		MaxControlLine: 1024, MaxSubs: 8, WriteDeadline: 10 * time.Second, AuthTimeout: 5, TLSConfig: c.TLS, TLS: c.TLS != nil,
		TLSTimeout: 5, CustomClientAuthentication: s, DisableShortFirstPing: true,
	})
	if err != nil {
		return nil, fmt.Errorf("relay: %w", err)
	}
	s.nats.Start()
	if !s.nats.ReadyForConnections(10 * time.Second) {
		s.nats.Shutdown()
		return nil, fmt.Errorf("relay: cannot listen on %s", c.Listen)
	}
	options := []client.Option{client.InProcessServer(s.nats), client.UserInfo("service", s.secret)}
	if c.TLS != nil {
		options = append(options, client.TLSHandshakeFirst(), client.Secure(&tls.Config{InsecureSkipVerify: true})) //nolint:gosec // within this process
	}
	if s.control, err = client.Connect("", options...); err == nil {
		_, err = s.control.Subscribe(Create, s.create)
	}
	if err != nil {
		s.Close()
		return nil, fmt.Errorf("relay: %w", err)
	}
	return s, nil
}

// Addr is where the relay listens.
func (s *Server) Addr() string { return s.nats.Addr().String() }

// Close ends the relay and all connections.
func (s *Server) Close() {
	if s.control != nil {
		s.control.Close()
	}
	s.nats.Shutdown()
	s.nats.WaitForShutdown()
}

// create answers a request for a room: "+OK" or why not.
func (s *Server) create(m *client.Msg) {
	var q CreateRequest
	answer := "+OK"
	if err := json.Unmarshal(m.Data, &q); err != nil || !hexName(q.Room, 32) {
		answer = "the room must have 32 hex digits"
	} else if !s.keep(q.Room, time.Duration(q.TTLMs)*time.Millisecond) {
		answer = "the relay holds as many rooms as it may"
	}
	_ = m.Respond([]byte(answer)) // who asked asks again
}

func (s *Server) keep(room string, ttl time.Duration) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	for r, until := range s.rooms {
		if now.After(until) {
			delete(s.rooms, r)
		}
	}
	if _, ok := s.rooms[room]; !ok && len(s.rooms) >= maxRooms {
		return false
	}
	if ttl <= 0 || ttl > maxTTL {
		ttl = maxTTL
	}
	s.rooms[room] = now.Add(ttl)
	return true
}

// Check implements the server's authentication of a connection.
func (s *Server) Check(c nats.ClientAuthentication) bool {
	o := c.GetOpts()
	if o.Username == "service" && subtle.ConstantTimeCompare([]byte(o.Password), []byte(s.secret)) == 1 {
		c.RegisterUser(&nats.User{Username: o.Username})
		return true
	}
	if subtle.ConstantTimeCompare([]byte(o.Token), []byte(s.token)) != 1 {
		return false
	}
	if o.Username == Control {
		c.RegisterUser(&nats.User{Username: Control, Permissions: allow([]string{Create}, []string{"_INBOX.>"})})
		return true
	}
	kind, room, party, ok := parseUser(o.Username)
	if !ok {
		return false
	}
	user := &nats.User{Username: o.Username, Permissions: allow(
		[]string{kind + "." + room + ".*." + party}, []string{kind + "." + room + "." + party + ".>"},
	)}
	if kind == Room {
		s.mu.Lock()
		until, known := s.rooms[room]
		s.mu.Unlock()
		if !known || time.Now().After(until) {
			return false
		}
		user.ConnectionDeadline = until
	}
	c.RegisterUser(user)
	return true
}

func allow(publish, subscribe []string) *nats.Permissions {
	return &nats.Permissions{
		Publish: &nats.SubjectPermission{Allow: publish}, Subscribe: &nats.SubjectPermission{Allow: subscribe},
	}
}

func parseUser(name string) (kind, room, party string, ok bool) {
	parts := strings.Split(name, ".")
	if len(parts) != 3 || (parts[0] != Room && parts[0] != Inbox) || !hexName(parts[1], 32) || !hexName(parts[2], 0) {
		return "", "", "", false
	}
	return parts[0], parts[1], parts[2], true
}

// hexName is lower-case hex of a length; 0 is any up to 64.
func hexName(s string, length int) bool {
	if len(s) == 0 || len(s) > 64 || (length != 0 && len(s) != length) {
		return false
	}
	return strings.Trim(s, "0123456789abcdef") == ""
}

// RoomName is a room's id as it stands in subjects.
func RoomName(room []byte) string { return hex.EncodeToString(room) }
