package org

import (
	"context"

	"github.com/sallyport/sallyport/enclave/wire"
)

// A question is one query: it decodes its body, and answers for the caller.
// A query changes nothing, and its stamp covers neither path nor time, so it
// can be replayed, to another query too, by whoever has seen it: nothing that
// a query answers is a secret from one who may read the organization.
type question interface {
	organization() string
	answer(ctx context.Context, s *Service, c *caller, nonce []byte) (any, error)
}

// queries are all queries that are served, by the last element of
// /public/v1/query/.
var queries = map[string]func() question{
	"whoami":            func() question { return &whoami{} },
	"get_activity":      func() question { return &getActivity{} },
	"list_activities":   func() question { return &listActivities{} },
	"get_private_key":   func() question { return &getPrivateKey{} },
	"list_private_keys": func() question { return &listPrivateKeys{} },
	"get_user":          func() question { return &getUser{} },
	"list_users":        func() question { return &listUsers{} },
}

func (s *Service) query(ctx context.Context, req *wire.Request, path string) ([]byte, error) {
	ask := queries[path]
	if ask == nil {
		return nil, notFound("no such query: %q", path)
	}
	if req.StampKind == wire.StampNone {
		_, err := s.authenticate(req, "")
		return nil, err
	}
	q := ask()
	if err := decodeBody(req.Body, q); err != nil {
		return nil, err
	}
	view, err := s.lookFor(ctx, req, q)
	if s.mayBeBehind(err) && s.order.Refresh(ctx) == nil {
		view, err = s.lookFor(ctx, req, q)
	}
	if err != nil {
		return nil, err
	}
	out, err := marshal(view)
	if err != nil {
		return nil, err
	}
	return out, s.durable(ctx)
}

func (s *Service) lookFor(ctx context.Context, req *wire.Request, q question) (any, error) {
	c, err := s.authenticate(req, q.organization())
	if err != nil {
		return nil, err
	}
	return q.answer(ctx, s, c, req.Nonce)
}

// inOrganization is the member that every query has.
type inOrganization struct {
	OrganizationID string `json:"organizationId" strict:"required"`
}

func (q inOrganization) organization() string { return q.OrganizationID }

type whoami struct{ inOrganization }

func (q *whoami) answer(_ context.Context, _ *Service, c *caller, _ []byte) (any, error) {
	return map[string]any{
		"organizationId": c.org.id, "organizationName": c.org.name,
		"userId": c.user.id, "username": c.user.name,
	}, nil
}

type getPrivateKey struct {
	inOrganization
	PrivateKeyID string `json:"privateKeyId" strict:"required"`
}

func (q *getPrivateKey) answer(_ context.Context, s *Service, c *caller, _ []byte) (any, error) {
	kid, ok := parseID(q.PrivateKeyID)
	if !ok {
		return nil, bad("bad request body: privateKeyId must be a lower-case UUID")
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	k := c.org.keys[kid]
	if k == nil {
		return nil, notFound("privateKeyId: no such private key")
	}
	return map[string]any{"privateKey": k.view()}, nil
}

type listPrivateKeys struct{ inOrganization }

func (q *listPrivateKeys) answer(_ context.Context, s *Service, c *caller, _ []byte) (any, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	views := make([]*privateKeyView, 0, len(c.org.keyOrder))
	for _, k := range c.org.keyOrder {
		views = append(views, k.view())
	}
	return map[string]any{"privateKeys": views}, nil
}

type getUser struct {
	inOrganization
	UserID string `json:"userId" strict:"required"`
}

func (q *getUser) answer(_ context.Context, s *Service, c *caller, _ []byte) (any, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	u, err := c.org.findUser("userId", q.UserID)
	if err != nil {
		return nil, err
	}
	return map[string]any{"user": u.view()}, nil
}

type listUsers struct{ inOrganization }

func (q *listUsers) answer(_ context.Context, s *Service, c *caller, _ []byte) (any, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	views := make([]*userView, 0, len(c.org.userOrder))
	for _, u := range c.org.userOrder {
		views = append(views, u.view())
	}
	return map[string]any{"users": views}, nil
}

type getActivity struct {
	inOrganization
	ActivityID string `json:"activityId" strict:"required"`
}

func (q *getActivity) answer(ctx context.Context, s *Service, c *caller, nonce []byte) (any, error) {
	aid, ok := parseID(q.ActivityID)
	if !ok {
		return nil, bad("bad request body: activityId must be a lower-case UUID")
	}
	s.mu.RLock()
	a := c.org.byID[aid]
	s.mu.RUnlock()
	if a == nil {
		return nil, notFound("activityId: no such activity")
	}
	snap, err := s.look(ctx, a)
	if err != nil {
		return nil, err
	}
	view, err := s.activityView(ctx, snap, c, nonce)
	if err != nil {
		return nil, err
	}
	return map[string]any{"activity": view}, nil
}
