package node

import (
	"bytes"
	"context"
	"net/url"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/attestation/strictjson"
	"github.com/sallyport/sallyport/enclave/internal/keys"
	"github.com/sallyport/sallyport/enclave/wire"
)

// An endpoint is a path of the API. One that ends in a slash is followed by a key id.
type endpoint struct {
	methods string
	who     who
	op      string   // see Operations; "" needs no stamp
	query   []string // the parameters that it takes
	do      func(*Service, context.Context, *call) (any, error)
}

// A call is one request on its way to its endpoint.
type call struct {
	*caller
	req    *wire.Request
	scheme *scheme
	query  map[string]string
	id     string // the key id at the end of the path
}

// A scheme is a signature scheme, by its name in paths.
type scheme struct {
	name  string
	curve keys.Curve
}

var schemes = map[string]*scheme{
	"ecdsa":   {"ecdsa", keys.Secp256k1},
	"ed25519": {"ed25519", keys.Ed25519},
	"bip340":  {name: "bip340"}, // known, and refused
}

const (
	get       = "GET"
	post      = "POST"
	del       = "DELETE"
	getOrPost = "GET POST" // what is published as GET and changes state
)

// None is the body of an answer that says only that it is done.
type none struct{}

// common and ofScheme are the endpoints; the latter stand below each scheme.
var common, ofScheme map[string]*endpoint

// find returns the endpoint of a request, without authenticating anybody.
func find(req *wire.Request) (*endpoint, *scheme, string, error) {
	e, sch, id := common[req.Path], (*scheme)(nil), ""
	if e == nil {
		name, rest, _ := strings.Cut(strings.TrimPrefix(req.Path, "/"), "/")
		if sch = schemes[name]; sch != nil {
			rest = "/" + rest
			at := strings.LastIndexByte(rest, '/') + 1
			if e = ofScheme[rest]; e == nil && at < len(rest) {
				e, id = ofScheme[rest[:at]], rest[at:]
			} else if at == len(rest) {
				e = nil // the id is missing
			}
		}
	}
	if e == nil {
		return nil, nil, "", notFound("there is no such path: %q", req.Path)
	}
	if !slices.Contains(strings.Fields(e.methods), req.Method) {
		return nil, nil, "", notFound("%s takes %s", req.Path, e.methods)
	}
	return e, sch, id, nil
}

// answer takes a request to its result. What that says stands in the journal
// already, or is in flight to it.
func (s *Service) answer(ctx context.Context, req *wire.Request) (any, error) {
	e, sch, id, err := find(req)
	if err != nil {
		return nil, err
	}
	c := &call{req: req, scheme: sch, id: id}
	if c.query, err = parseQuery(req.Query, e.query); err != nil {
		return nil, err
	}
	if c.caller, err = s.authenticate(ctx, req, e); err != nil {
		return nil, err
	}
	if sch != nil && sch.curve == 0 {
		return nil, bad("%s: there is no sound threshold engine for BIP-340 here: the one behind this API signs ECDSA and Ed25519 only; use ecdsa or ed25519", sch.name)
	}
	return e.do(s, ctx, c)
}

// parseQuery takes each parameter once, and none that the endpoint does not have.
func parseQuery(raw string, known []string) (map[string]string, error) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return nil, bad("query: must be percent-encoded parameters")
	}
	out := map[string]string{}
	for name, list := range values {
		if !slices.Contains(known, name) {
			return nil, bad("query: %.64q is not a parameter of this path", name)
		}
		if len(list) != 1 {
			return nil, bad("query: %s stands there more than once", name)
		}
		out[name] = list[0]
	}
	return out, nil
}

// read decodes the body, strictly: what was stamped has one reading.
func (c *call) read(v any) error {
	if err := strictjson.DecodeRequest(c.req.Body, v); err != nil {
		return bad("body: %v", err)
	}
	return nil
}

// empty wants no body, or an empty object.
func (c *call) empty() error {
	if b := bytes.TrimSpace(c.req.Body); len(b) != 0 && string(b) != "{}" {
		return bad("body: must be empty: this path takes its parameters from the query")
	}
	return nil
}

func mustID(field, text string) (uid, error) {
	id, ok := parseID(text)
	if !ok {
		return id, bad("%s: must be a lower-case UUID", field)
	}
	return id, nil
}
