package org

import (
	"context"
	"errors"
	"slices"

	"github.com/sallyport/sallyport/enclave/internal/codec"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
	"github.com/sallyport/sallyport/enclave/wire"
)

// handleMember answers a method, for members only.
func handleMember[Q, A any](s *Service, method string, f func(ctx context.Context, from mpc.NodeID, q *Q) (*A, error)) {
	s.Group.Caller.Handle(method, func(ctx context.Context, from mpc.NodeID, body []byte) ([]byte, error) {
		if from == s.Group.self || !slices.Contains(s.Group.members, from) {
			return nil, wire.Errorf(wire.PermissionDenied, "", "node %s is no member of this key group", from)
		}
		q := new(Q)
		if codec.Decode(body, q) != nil {
			return nil, wire.Errorf(wire.InvalidArgument, "", "%s: the call is not well formed", method)
		}
		a, err := f(ctx, from, q)
		if err != nil {
			return nil, err
		}
		return codec.Encode(a), nil
	})
}

// callMember asks another member, within a time.
func callMember[A any](ctx context.Context, s *Service, node mpc.NodeID, method string, q any) (*A, error) {
	ctx, cancel := context.WithTimeout(ctx, memberTimeout)
	defer cancel()
	raw, err := s.Group.Caller.Call(ctx, node, method, codec.Encode(q))
	if err != nil {
		return nil, err
	}
	a := new(A)
	if codec.Decode(raw, a) != nil {
		return nil, wire.Errorf(wire.Unavailable, "", "%s: node %s gave an answer that is not well formed", method, node)
	}
	return a, nil
}

// muster finds members that would do a task with this one: need of them, beside those
// that are not wanted. Without enough it says why.
func (s *Service) muster(ctx context.Context, t task, need int, without map[mpc.NodeID]bool) ([]mpc.NodeID, error) {
	type answer struct {
		node mpc.NodeID
		err  error
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	answers, asked := make(chan answer, len(s.Group.members)), 0
	for _, n := range s.Group.members {
		if n == s.Group.self || without[n] {
			continue
		}
		asked++
		go func() {
			_, err := callMember[empty](ctx, s, n, methodReady, t)
			answers <- answer{n, err}
		}()
	}
	var crew []mpc.NodeID
	var why error
	for range asked {
		if len(crew) == need {
			break
		}
		if a := <-answers; a.err == nil {
			crew = append(crew, a.node)
		} else if e, ok := errors.AsType[*wire.Error](a.err); why == nil || ok && e.Code != wire.Unavailable {
			why = a.err
		}
	}
	if len(crew) < need {
		if e, ok := errors.AsType[*wire.Error](why); ok && e.Code != wire.Unavailable {
			return nil, e
		}
		return nil, wire.Errorf(wire.Unavailable, "", "%d other members of the key group are ready and %d are needed; repeat the same request", len(crew), need)
	}
	return crew, nil
}
