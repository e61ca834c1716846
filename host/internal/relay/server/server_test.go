package server

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
	"net"
	"testing"
	"time"

	client "github.com/nats-io/nats.go"
)

const (
	name = "02000000000000000000000000000000"
	big3 = "03000000000000000000000000000000"
)

func start(t *testing.T, c Config) *Server {
	t.Helper()
	c.Listen = "127.0.0.1:0"
	s, err := Start(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func dial(s *Server, user string, more ...client.Option) (*client.Conn, error) {
	quiet := client.ErrorHandler(func(*client.Conn, *client.Subscription, error) {})
	return client.Connect("nats://"+s.Addr(), append([]client.Option{client.UserInfo(user, ""), client.NoReconnect(), quiet}, more...)...)
}

// in dials and expects to get in.
func in(t *testing.T, s *Server, user string, more ...client.Option) *client.Conn {
	t.Helper()
	c, err := dial(s, user, more...)
	if err != nil {
		t.Fatalf("%s: %v", user, err)
	}
	t.Cleanup(c.Close)
	return c
}

// out dials and expects to be refused.
func out(t *testing.T, s *Server, user string, more ...client.Option) {
	t.Helper()
	c, err := dial(s, user, more...)
	if err == nil {
		c.Close()
	}
	if !errors.Is(err, client.ErrAuthorization) {
		t.Errorf("%s: %v", user, err)
	}
}

func TestWhoMayConnect(t *testing.T) {
	s := start(t, Config{Token: "token"})
	s.keep(name, 60_000)
	token := client.Token("token")
	for _, user := range []string{"", "room", "room." + name, "room." + name + ".0A", "room." + name + ".*", "room." + name + ".>", "service", "other." + name + ".0a", "room." + name + ".0a.0b", "room.02.0a", "room." + big3 + ".0a"} {
		out(t, s, user, token)
	}
	for _, user := range []string{Control, "room." + name + ".0a", "inbox." + big3 + ".0a"} {
		out(t, s, user)
		out(t, s, user, client.Token("Token"))
		in(t, s, user, token).Close()
		in(t, s, user, client.UserInfo(user, "token")).Close()
	}
}

func TestSeats(t *testing.T) {
	s := start(t, Config{})
	s.keep(name, 60_000)
	a := in(t, s, "room."+name+".0a", client.Name("a"))
	out(t, s, "room."+name+".0a")
	out(t, s, "room."+name+".0a", client.Name("b"))
	b := in(t, s, "room."+name+".0b")
	out(t, s, "room."+name+".0b") // without a name nobody is the same
	out(t, s, "room."+name+".0c")
	again := in(t, s, "room."+name+".0a", client.Name("a"))
	for end := time.Now().Add(5 * time.Second); !a.IsClosed(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("a party has two connections")
		}
	}
	again.Close()
	b.Close()
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		if c, err := dial(s, "room."+name+".0c"); err == nil {
			c.Close()
			return
		}
		if time.Now().After(end) {
			t.Fatal("seats stay taken")
		}
	}
}

func TestRoomsAreLimited(t *testing.T) {
	s := start(t, Config{})
	c := in(t, s, Control)
	for body, want := range map[string]string{
		`{"room":"` + name + `","ttlMs":1000}`:        "+OK",
		`{"room":"` + big3 + `","ttlMs":-1}`:          "+OK",
		`{"room":"02"}`:                               "the room must have 32 hex digits and begin with its size, 1 to 32",
		`{"room":"00000000000000000000000000000000"}`: "the room must have 32 hex digits and begin with its size, 1 to 32",
		`{"room":"0200000000000000000000000000000."}`: "the room must have 32 hex digits and begin with its size, 1 to 32",
		`{"room":"21000000000000000000000000000000"}`: "the room must have 32 hex digits and begin with its size, 1 to 32",
		`x`: "the room must have 32 hex digits and begin with its size, 1 to 32",
	} {
		if m, err := c.Request(Create, []byte(body), 5*time.Second); err != nil || string(m.Data) != want {
			t.Errorf("%s: %v", body, err)
		}
	}
	s.mu.Lock()
	until := s.rooms[name].until
	for i := range maxRooms - len(s.rooms) {
		s.rooms[string(rune(i))] = &room{until: time.Now().Add(time.Hour)}
	}
	s.mu.Unlock()
	if s.keep("04000000000000000000000000000000", 1) {
		t.Error("takes more rooms than it may")
	}
	if !s.keep(name, 1) || s.rooms[name].until != until {
		t.Error("a room's time can be shortened")
	}
	if left := time.Until(s.rooms[big3].until); left > maxTTL || left < maxTTL-time.Minute {
		t.Errorf("a room for %v", left)
	}
}

// Who creates rooms cannot speak in them, nor have the relay do so.
func TestControlStaysOutOfRooms(t *testing.T) {
	s := start(t, Config{})
	s.keep(name, 60_000)
	party := in(t, s, "room."+name+".0a")
	heard, err := party.SubscribeSync("room." + name + ".0a.>")
	if err == nil {
		err = party.Flush()
	}
	c := in(t, s, Control)
	if err == nil {
		err = errors.Join(c.Publish("room."+name+".0a.0b", []byte("x")), c.PublishRequest(Create, "room."+name+".0a.0b", []byte("{}")), c.Flush())
	}
	if err != nil {
		t.Fatal(err)
	}
	if m, err := heard.NextMsg(100 * time.Millisecond); err == nil {
		t.Errorf("heard %q", m.Data)
	}
}

func TestMessagesAreLimited(t *testing.T) {
	s := start(t, Config{})
	c := in(t, s, "inbox."+name+".0a")
	if err := c.Publish("inbox."+name+".0b.0a", make([]byte, maxPayload+1)); !errors.Is(err, client.ErrMaxPayload) {
		t.Errorf("a long message: %v", err)
	}
	if err := c.Publish("inbox."+name+".0b.0a", make([]byte, 256<<10)); err != nil {
		t.Error(err)
	}
}

func TestTLS(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots.AddCert(cert)
	s := start(t, Config{TLS: &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}})
	in(t, s, Control, client.Secure(&tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}))
	if c, err := dial(s, Control); err == nil {
		c.Close()
		t.Error("connects without trusting the certificate")
	}
}
