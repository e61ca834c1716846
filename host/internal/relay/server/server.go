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
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	nats "github.com/nats-io/nats-server/v2/server"
	client "github.com/nats-io/nats.go"
)

// Limits of a relay.
const (
	maxPayload = 257 << 10 // a message of 256 KiB
	maxPending = 16 << 20  // bytes that wait for one slow connection, which is then ended
	maxRooms   = 4096
	maxConns   = 4096
	maxParties = 32 // of a room: the old parties of a reshare and the new
	maxTTL     = 15 * time.Minute
	// A connection that answers no ping for two intervals is dead. Until then
	// its party is taken for all but the same host.
	pingEvery = 10 * time.Second
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

// service is the relay's own user, which creates rooms.
const service = "service"

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
	address string
	control *client.Conn
	token   string
	secret  string // of the relay's own connection
	done    chan struct{}
	end     sync.Once

	mu        sync.Mutex
	rooms     map[string]*room // by name
	seats     map[string]seat  // by user name
	left      []left           // to be measured
	roomBytes int64            // maxRoomBytes
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
	s := &Server{
		token: c.Token, secret: rand.Text() + rand.Text(), done: make(chan struct{}),
		rooms: map[string]*room{}, seats: map[string]seat{}, roomBytes: maxRoomBytes,
	}
	s.nats, err = nats.NewServer(&nats.Options{
		ServerName: "sallyport-relay", Host: host, Port: port, NoLog: true, NoSigs: true, MaxPayload: maxPayload, MaxConn: maxConns,
		MaxPending: maxPending, MaxControlLine: 2048, MaxSubs: 8, PingInterval: pingEvery, MaxPingsOut: 2, WriteDeadline: 10 * time.Second, AuthTimeout: 5, TLSConfig: c.TLS, TLS: c.TLS != nil,
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
	s.address = s.nats.Addr().String()
	if s.control, err = client.Connect("", client.InProcessServer(s.nats), client.UserInfo(service, s.secret)); err == nil {
		_, err = s.control.Subscribe(Create, s.create)
	}
	if err != nil {
		s.Close()
		return nil, fmt.Errorf("relay: %w", err)
	}
	go s.meter()
	return s, nil
}

// Addr is where the relay listens.
func (s *Server) Addr() string { return s.address }

// Close ends the relay and all connections.
func (s *Server) Close() {
	s.end.Do(func() { close(s.done) })
	if s.control != nil {
		s.control.Close()
	}
	s.nats.Shutdown()
	s.nats.WaitForShutdown()
}
