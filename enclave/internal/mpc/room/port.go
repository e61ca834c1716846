package room

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/sallyport/sallyport/enclave/wire"
)

// receiveWait is how long the host holds a question for messages.
const receiveWait = 10 * time.Second

// maxBatch bounds the bytes of one call to the host, far below a door's frame.
const maxBatch = 512 << 10

// maxQueued bounds what waits to be sent; more is dropped, as a relay might.
const maxQueued = 4096

// A port is this enclave's place in a room. What is sent may be lost.
type port struct {
	network wire.Network
	spec    wire.RelayPort
	in      chan wire.RelayMessage // closed when the port ends
	kick    chan struct{}
	running sync.WaitGroup

	mu     sync.Mutex
	number uint64
	queue  []wire.RelayMessage
}

// openPort joins a room; the port ends with the context.
func openPort(ctx context.Context, n wire.Network, spec wire.RelayPort) (*port, error) {
	number, err := n.OpenPort(ctx, &spec)
	if err != nil {
		return nil, err
	}
	p := &port{network: n, spec: spec, number: number, in: make(chan wire.RelayMessage, 1024), kick: make(chan struct{}, 1)}
	p.running.Go(func() { p.receive(ctx) })
	p.running.Go(func() { p.flush(ctx) })
	go func() {
		p.running.Wait()
		close(p.in)
		leave, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		_ = n.ClosePort(leave, p.current()) // the host forgets idle ports by itself
	}()
	return p, nil
}

func (p *port) current() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.number
}

// send queues a frame.
func (p *port) send(to string, body []byte) {
	if len(body) > wire.MaxRelayMessage {
		return // no honest message is longer, and the relay would refuse it
	}
	p.mu.Lock()
	if len(p.queue) < maxQueued {
		p.queue = append(p.queue, wire.RelayMessage{Party: to, Body: body})
	}
	p.mu.Unlock()
	select {
	case p.kick <- struct{}{}:
	default:
	}
}

// batch takes what may go in one call.
func (p *port) batch() (out []wire.RelayMessage) {
	p.mu.Lock()
	defer p.mu.Unlock()
	size := 0
	for len(p.queue) > 0 && len(out) < 64 {
		size += len(p.queue[0].Body)
		if len(out) > 0 && size > maxBatch {
			break
		}
		out = append(out, p.queue[0])
		p.queue = p.queue[1:]
	}
	return out
}

func (p *port) flush(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.kick:
		}
		for out := p.batch(); len(out) > 0 && ctx.Err() == nil; out = p.batch() {
			if err := p.network.SendPort(ctx, p.current(), out); err != nil {
				p.mend(ctx, err)
			}
		}
	}
}

func (p *port) receive(ctx context.Context) {
	for ctx.Err() == nil {
		got, err := p.network.ReceivePort(ctx, p.current(), uint64(receiveWait.Milliseconds()))
		if err != nil {
			p.mend(ctx, err)
			continue
		}
		for _, m := range got {
			select {
			case p.in <- m:
			case <-ctx.Done():
				return
			}
		}
	}
}

// mend waits a little, and opens the port again when the host has forgotten it.
// Messages are resent by their senders, so nothing else is to be done.
func (p *port) mend(ctx context.Context, err error) {
	was := p.current()
	select {
	case <-ctx.Done():
		return
	case <-time.After(100 * time.Millisecond):
	}
	if e, ok := errors.AsType[*wire.Error](err); !ok || e.Code != wire.NotFound {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.number != was {
		return
	}
	if number, err := p.network.OpenPort(ctx, &p.spec); err == nil {
		p.number = number
	}
}
