package node

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"slices"

	"github.com/sallyport/sallyport/enclave/wire"
)

// A who is what kind of caller an endpoint is for.
type who uint8

const (
	anybody who = iota // with any credential
	admin
	owner // a user
)

// A caller is who sent a request.
type caller struct {
	admin bool
	user  uid
	keys  func(stampKey) bool // which keys its stamps may have
}

// authenticate finds the caller by its bearer key, and wants a stamp for an operation
// that the bearer key alone may not ask for. A stamp that is there is always checked.
func (s *Service) authenticate(ctx context.Context, req *wire.Request, e *endpoint) (*caller, error) {
	c := s.bearer(req.Authorization)
	switch {
	case c == nil && req.Authorization == "":
		return nil, denied("the header AUTHORIZATION is missing")
	case c == nil:
		return nil, denied("AUTHORIZATION: no such API key")
	case e.who == admin && !c.admin:
		return nil, refuse(typeNotAdmin, "AUTHORIZATION: an API key of a user does not open this path")
	case e.who == owner && c.admin:
		return nil, denied("AUTHORIZATION: this path is for users, and the admin has no keys")
	}
	if req.StampKind == wire.StampNone {
		if e.op != "" && !slices.Contains(s.Rules.BearerMay, e.op) {
			return nil, denied("this needs a stamp (X-Stamp) beside the API key: the manifest does not let a bearer key alone ask for %q", e.op)
		}
		return c, nil
	}
	return c, s.checkStamp(ctx, req, c.keys)
}

// bearer knows a caller by the hash of its key, so that comparing says nothing of it.
func (s *Service) bearer(token string) *caller {
	if token == "" {
		return nil
	}
	hash := sha256.Sum256([]byte(token))
	if subtle.ConstantTimeCompare(hash[:], s.Rules.AdminTokenSHA256) == 1 {
		return &caller{admin: true, keys: s.adminKey}
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	u := s.state.apiKeys[hash]
	if u == nil {
		return nil
	}
	enrolled := u.stampKey
	return &caller{user: u.id, keys: func(k stampKey) bool { return enrolled != nil && *enrolled == k }}
}

func (s *Service) adminKey(k stampKey) bool {
	return slices.ContainsFunc(s.Rules.AdminKeys, func(b []byte) bool {
		own, ok := compressKey(b)
		return ok && own == k
	})
}
