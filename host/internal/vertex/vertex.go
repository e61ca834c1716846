// Package vertex is the face of the node API, shaped as that of Sodot's Vertex:
// its paths, what it takes from a request, and how it says no. The enclave reads
// bodies, queries and credentials; the host carries their exact bytes.
//
// Nothing here is trusted. An API key that passes through can be read here, as
// by whoever runs the host: on production platforms the enclave wants a stamp
// beside it for whatever could cost a key.
package vertex

import (
	"net/http"
	"strings"
	"time"

	"github.com/sallyport/sallyport/enclave/wire"
	"github.com/sallyport/sallyport/host/internal/front"
)

// Defaults of [Config].
const (
	// DefaultMaxInFlight bounds the calls that need no other machine. They
	// take milliseconds.
	DefaultMaxInFlight = 128
	// DefaultMaxOperations bounds the operations that wait for other parties.
	// Each holds a connection to the enclave, and as many may wait for the
	// rest of their rooms as work.
	DefaultMaxOperations = 256
	// DefaultCallTimeout and DefaultOperationTimeout bound one call. The
	// longest operation is a key generation, 240 s after 30 s of waiting for
	// its room to fill; the enclave ends it, and says why, before the host does.
	DefaultCallTimeout      = 30 * time.Second
	DefaultOperationTimeout = 300 * time.Second
)

// Config tunes the face. Of each field 0 is the default.
type Config struct {
	MaxInFlight, MaxOperations    int
	CallTimeout, OperationTimeout time.Duration
}

var voice = front.NewVoice(envelope, false)

// Face returns the face of the node API, for [front.New].
func Face(c Config) *front.Face {
	if c.MaxInFlight <= 0 {
		c.MaxInFlight = DefaultMaxInFlight
	}
	if c.MaxOperations <= 0 {
		c.MaxOperations = DefaultMaxOperations
	}
	if c.CallTimeout <= 0 {
		c.CallTimeout = DefaultCallTimeout
	}
	if c.OperationTimeout <= 0 {
		c.OperationTimeout = DefaultOperationTimeout
	}
	t := newTable(front.NewLane(c.MaxInFlight, c.CallTimeout), front.NewLane(c.MaxOperations, c.OperationTimeout))
	return &front.Face{Find: t.find, Voice: voice, Read: read}
}

// maxKey is more than any API key or admin token has.
const maxKey = 512

var (
	twoKeys = voice.Refuse(wire.InvalidArgument, "", "AUTHORIZATION: at most one such header is accepted")
	notAKey = voice.Refuse(wire.Unauthenticated, "", "AUTHORIZATION: must be an API key or the admin token, without any other word")
)

// read takes what the activity API does not have.
func read(r *http.Request, req *wire.Request) *front.Refusal {
	req.Method, req.Query = r.Method, r.URL.RawQuery
	switch values := r.Header["Authorization"]; len(values) {
	case 0:
	case 1:
		if len(values[0]) > maxKey || strings.ContainsFunc(values[0], func(c rune) bool { return c <= ' ' || c > '~' }) {
			return notAKey
		}
		req.Authorization = values[0]
	default:
		return twoKeys
	}
	if err := req.Valid(); err != nil {
		return voice.Refuse(wire.InvalidArgument, "", err.Error())
	}
	return nil
}
