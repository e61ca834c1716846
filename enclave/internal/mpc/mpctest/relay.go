package mpctest

import (
	"bytes"
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/sallyport/sallyport/enclave/wire"
)

// A Relay is a relay in memory. A test sets how bad it is.
// It implements [wire.Network].
type Relay struct {
	mu    sync.Mutex
	ports map[uint64]*relayPort
	names map[string]uint64
	last  uint64
	rand  *rand.Rand
	Loss  float64 // chance that a message is lost; the same that it is repeated
	// Delay is how long each message is on its way.
	Delay time.Duration
	// Touch, when set, may change or drop what is sent.
	Touch func(from, to string, body []byte) [][]byte
}

type relayPort struct {
	room, party string
	queue       []wire.RelayMessage
	came        chan struct{}
}

// NewRelay makes a relay that loses nothing.
func NewRelay() *Relay {
	return &Relay{ports: map[uint64]*relayPort{}, names: map[string]uint64{}, rand: rand.New(rand.NewPCG(1, 2))}
}

// CreateRoom implements [wire.Network].
func (n *Relay) CreateRoom(context.Context, *wire.RelayPort, uint64) error { return nil }

// OpenPort implements [wire.Network].
func (n *Relay) OpenPort(_ context.Context, p *wire.RelayPort) (uint64, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.last++
	n.ports[n.last] = &relayPort{room: string(p.Room), party: p.Party, came: make(chan struct{}, 1)}
	n.names[string(p.Room)+p.Party] = n.last
	return n.last, nil
}

// SendPort implements [wire.Network].
func (n *Relay) SendPort(_ context.Context, number uint64, out []wire.RelayMessage) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	from := n.ports[number]
	if from == nil {
		return wire.Errorf(wire.NotFound, "", "no such port")
	}
	if n.Delay == 0 {
		n.deliver(from, out)
		return nil
	}
	copied := make([]wire.RelayMessage, len(out))
	for i, m := range out {
		copied[i] = wire.RelayMessage{Party: m.Party, Body: bytes.Clone(m.Body)}
	}
	time.AfterFunc(n.Delay, func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.deliver(from, copied)
	})
	return nil
}

// deliver queues messages at the ports that are open now.
func (n *Relay) deliver(from *relayPort, out []wire.RelayMessage) {
	for _, m := range out {
		bodies := [][]byte{m.Body}
		if n.Touch != nil {
			bodies = n.Touch(from.party, m.Party, m.Body)
		}
		to := n.ports[n.names[from.room+m.Party]]
		if to == nil {
			continue
		}
		for _, b := range bodies {
			if n.rand.Float64() < n.Loss {
				continue
			}
			to.queue = append(to.queue, wire.RelayMessage{Party: from.party, Body: append([]byte{}, b...)})
			if n.rand.Float64() < n.Loss {
				to.queue = append(to.queue, wire.RelayMessage{Party: from.party, Body: append([]byte{}, b...)})
				n.rand.Shuffle(len(to.queue), func(i, j int) { to.queue[i], to.queue[j] = to.queue[j], to.queue[i] })
			}
		}
		select {
		case to.came <- struct{}{}:
		default:
		}
	}
}

// ReceivePort implements [wire.Network].
func (n *Relay) ReceivePort(ctx context.Context, number, wait uint64) ([]wire.RelayMessage, error) {
	n.mu.Lock()
	p := n.ports[number]
	n.mu.Unlock()
	if p == nil {
		return nil, wire.Errorf(wire.NotFound, "", "no such port")
	}
	timer := time.NewTimer(time.Duration(wait) * time.Millisecond)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-timer.C:
	case <-p.came:
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	out := p.queue
	p.queue = nil
	return out, nil
}

// ClosePort implements [wire.Network].
func (n *Relay) ClosePort(_ context.Context, number uint64) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if p := n.ports[number]; p != nil && n.names[p.room+p.party] == number {
		delete(n.names, p.room+p.party)
	}
	delete(n.ports, number)
	return nil
}

// AskRule implements [wire.Network].
func (n *Relay) AskRule(context.Context, *wire.RuleQuestion) (*wire.RuleAnswer, error) {
	return nil, wire.Errorf(wire.Unavailable, "", "no rule server")
}

// Edit changes how bad the relay is, while it runs.
func (n *Relay) Edit(f func(n *Relay)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f(n)
}
