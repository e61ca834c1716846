package org

import (
	"context"

	"github.com/sallyport/sallyport/enclave/internal/codec"
	"github.com/sallyport/sallyport/enclave/wire"
)

// submitOrdered takes a stamped activity through the key group. It is judged here
// first, so that what is refused anyway is in nobody's way.
func (s *Service) submitOrdered(ctx context.Context, req *wire.Request, k *kind, env *envelope) ([]byte, error) {
	if err := checkSize(req.Body, maxOrdered); err != nil {
		return nil, err
	}
	if req.StampKind != wire.StampAPIKey {
		_, err := s.authenticate(req, env.OrganizationID)
		return nil, err
	}
	in := &stamped{Path: k.path, Body: req.Body, Stamp: req.Stamp}
	sub, known, err := s.foresee(in)
	if s.mayBeBehind(err) {
		if err := s.order.Refresh(ctx); err != nil {
			return nil, err
		}
		sub, known, err = s.foresee(in)
	}
	if err != nil {
		return nil, err
	}
	if known == nil {
		if known, err = s.putInOrder(ctx, order{Submit: in}); err != nil {
			return nil, err
		}
	}
	if err := s.carriedOut(ctx, flight{sub.org.id, known.fingerprint}); err != nil {
		return nil, err
	}
	if err := s.durable(ctx); err != nil {
		return nil, err
	}
	return s.activityReply(ctx, known, sub.caller, req.Nonce)
}

// foresee judges a request as the state is now. Known is the activity that answers
// it already.
func (s *Service) foresee(in *stamped) (sub *submission, known *activity, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := millis(s.Now())
	was := s.clockMs
	s.clockMs = max(was, now)
	defer func() { s.clockMs = was }()
	sub, st, err := s.judgeStamped(in, now, s.clockMs)
	return sub, st.known, err
}

// putInOrder has an order applied by all members, and returns what came of it here.
func (s *Service) putInOrder(ctx context.Context, in order) (*activity, error) {
	_, out, err := s.order.Submit(ctx, codec.Encode(in))
	if err != nil {
		return nil, err
	}
	o := out.(outcome)
	return o.activity, o.err
}

// foundOrdered makes an organization of the key group, or finds the one that the
// same body made.
func (s *Service) foundOrdered(ctx context.Context, in *foundRequest) ([]byte, error) {
	f := &founding{Body: []byte(in.FoundingBody)}
	for _, text := range in.Stamps {
		f.Stamps = append(f.Stamps, []byte(text))
	}
	if err := s.judgeFounding(f); err != nil {
		return nil, err
	}
	oid := organizationID(f.Body)
	s.mu.RLock()
	there := s.orgs[oid] != nil
	s.mu.RUnlock()
	if !there {
		if _, err := s.putInOrder(ctx, order{Found: f}); err != nil {
			return nil, err
		}
	}
	if err := s.durable(ctx); err != nil {
		return nil, err
	}
	return s.foundReply(oid)
}

// judgeFounding verifies a founding of the key group.
func (s *Service) judgeFounding(f *founding) error {
	body, err := parseFounding(f.Body)
	if err != nil {
		return err
	}
	if err := s.Group.named(body); err != nil {
		return err
	}
	headers := make([]string, len(f.Stamps))
	for i := range f.Stamps {
		headers[i] = string(f.Stamps[i])
	}
	_, err = verifyFounders(f.Body, body, headers)
	return err
}
