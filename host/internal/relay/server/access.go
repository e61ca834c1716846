package server

import (
	"crypto/subtle"
	"strings"

	nats "github.com/nats-io/nats-server/v2/server"
	client "github.com/nats-io/nats.go"
)

// roomDigits is the length of a room's name, maxParty the longest of a party's.
const (
	roomDigits = 32
	maxParty   = 64
)

// Check implements the server's authentication of a connection.
func (s *Server) Check(c nats.ClientAuthentication) bool {
	o := c.GetOpts()
	if o.Username == service && same(o.Password, s.secret) {
		c.RegisterUser(&nats.User{Username: o.Username, Permissions: allow(client.InboxPrefix+">", Create)})
		return true
	}
	// Clients show the token alone, or as the password of their user.
	if s.token != "" && !same(o.Token, s.token) && !same(o.Password, s.token) {
		return false
	}
	if o.Username == Control {
		c.RegisterUser(&nats.User{Username: Control, Permissions: allow(Create, client.InboxPrefix+">")})
		return true
	}
	who, ok := parseUser(o.Username)
	if !ok {
		return false
	}
	until, ok := s.sit(who, seat{connection: c.GetID(), name: o.Name})
	if !ok {
		return false
	}
	c.RegisterUser(&nats.User{
		Username: o.Username, ConnectionDeadline: until,
		Permissions: allow(who.kind+"."+who.room+".*."+who.party, who.kind+"."+who.room+"."+who.party+".>"),
	})
	return true
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// allow is one subject to publish and one to subscribe, and nothing else.
func allow(publish, subscribe string) *nats.Permissions {
	return &nats.Permissions{
		Publish:   &nats.SubjectPermission{Allow: []string{publish}},
		Subscribe: &nats.SubjectPermission{Allow: []string{subscribe}},
	}
}

// A user is a party in a room or inbox.
type user struct{ kind, room, party string }

func (u user) String() string { return u.kind + "." + u.room + "." + u.party }

func parseUser(name string) (u user, ok bool) {
	parts := strings.Split(name, ".")
	if len(parts) != 3 || (parts[0] != Room && parts[0] != Inbox) || !hexName(parts[1], roomDigits) || !hexName(parts[2], 0) {
		return user{}, false
	}
	return user{parts[0], parts[1], parts[2]}, true
}

// hexName is lower-case hex of a length; 0 is any up to [maxParty].
func hexName(s string, length int) bool {
	if len(s) == 0 || len(s) > maxParty || (length != 0 && len(s) != length) {
		return false
	}
	return strings.Trim(s, "0123456789abcdef") == ""
}
