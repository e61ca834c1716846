// Package turnkey is the face of the activity API under /public/v1,
// wire-compatible with Turnkey, of the appliance's own API under /sallyport/v1,
// and of the health pages: their paths, and how they say no. Which activities
// and queries exist is the enclave's business. Nothing here is trusted.
package turnkey

import (
	"log/slog"
	"time"

	"github.com/sallyport/sallyport/enclave/wire"
	"github.com/sallyport/sallyport/host/internal/front"
)

// Defaults of [Config].
const (
	// DefaultMaxInFlight is how many calls wait at the door at once. Each
	// holds one connection to the enclave; with more, those waiting would
	// only wait longer.
	DefaultMaxInFlight = 128
	// DefaultCallTimeout bounds one call through the door. A call takes
	// milliseconds; this is the time after which nobody is still waiting.
	DefaultCallTimeout = 30 * time.Second
)

// Config tunes the face. The zero value is usable.
type Config struct {
	MaxInFlight int           // calls through the door at once; 0 is DefaultMaxInFlight
	CallTimeout time.Duration // of one call through the door; 0 is DefaultCallTimeout
	Log         *slog.Logger  // access and error log of [New]; nil discards
}

var voice = front.NewVoice(wire.TurnkeyEnvelope, true)

// Face returns the face of both APIs and the health pages, for [front.New].
// The enclave is whose readiness one of the pages tells.
func Face(enclave wire.Enclave, c Config) *front.Face {
	if c.MaxInFlight <= 0 {
		c.MaxInFlight = DefaultMaxInFlight
	}
	if c.CallTimeout <= 0 {
		c.CallTimeout = DefaultCallTimeout
	}
	t := newTable(front.NewLane(c.MaxInFlight, c.CallTimeout), &readiness{enclave: enclave})
	return &front.Face{Find: t.find, Voice: voice}
}

// New returns a handler with this face only.
func New(enclave wire.Enclave, c Config) *front.Handler {
	return front.New(enclave, front.Config{Log: c.Log}, Face(enclave, c))
}
