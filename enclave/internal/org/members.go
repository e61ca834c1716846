package org

import (
	"context"
	"errors"
	"slices"
	"time"

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

// preferTime is how much longer than for anybody a preferred member is waited for.
const preferTime = 30 * time.Millisecond

// muster finds members that would do a task with this one: need of them, beside those
// that are not wanted. The first in order are preferred, so that most signatures have
// the same quorum: what is made ahead is made for one. Without enough it says why.
func (s *Service) muster(ctx context.Context, t task, need int, without map[mpc.NodeID]bool) ([]mpc.NodeID, error) {
	type answer struct {
		node mpc.NodeID
		err  error
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var asked []mpc.NodeID
	for _, n := range s.Group.members {
		if n != s.Group.self && !without[n] {
			asked = append(asked, n)
		}
	}
	answers := make(chan answer, len(asked))
	for _, n := range asked {
		go func() {
			_, err := callMember[empty](ctx, s, n, methodReady, t)
			answers <- answer{n, err}
		}()
	}
	m := mustered{need: need, preferred: asked[:min(need, len(asked))], ready: map[mpc.NodeID]bool{}}
	var enough <-chan time.Time
	for left := len(asked); left > 0 && !m.complete(); left-- {
		select {
		case a := <-answers:
			m.take(a.node, a.err)
		case <-enough:
			left = 1
		}
		if m.count == need && enough == nil {
			enough = time.After(preferTime)
		}
	}
	return m.crew(asked)
}

// A mustered is who has answered so far.
type mustered struct {
	need      int
	preferred []mpc.NodeID
	ready     map[mpc.NodeID]bool // false: refused, or did not answer
	count     int                 // of those that are ready
	why       error               // one is not
}

func (m *mustered) take(n mpc.NodeID, err error) {
	m.ready[n] = err == nil
	if err == nil {
		m.count++
		return
	}
	if e, ok := errors.AsType[*wire.Error](err); m.why == nil || ok && e.Code != wire.Unavailable {
		m.why = err
	}
}

// complete tells whether there are enough, and no preferred one may still answer.
func (m *mustered) complete() bool {
	for _, n := range m.preferred {
		if _, answered := m.ready[n]; !answered {
			return false
		}
	}
	return m.count >= m.need
}

func (m *mustered) crew(asked []mpc.NodeID) (crew []mpc.NodeID, err error) {
	for _, n := range asked {
		if m.ready[n] && len(crew) < m.need {
			crew = append(crew, n)
		}
	}
	if len(crew) == m.need {
		return crew, nil
	}
	if e, ok := errors.AsType[*wire.Error](m.why); ok && e.Code != wire.Unavailable {
		return nil, e
	}
	return nil, wire.Errorf(wire.Unavailable, "", "%d other members of the key group are ready and %d are needed; repeat the same request", len(crew), m.need)
}
