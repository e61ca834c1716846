package engine

import "sync"

// Limits of what waits of one sender while the session computes. An honest party
// sends at most some ten messages of some 300 KiB before it needs an answer.
const (
	maxPending      = 256
	maxPendingBytes = 2 << 20
)

// An input is a message, or what Finish brings.
type input struct {
	from      int
	broadcast bool
	body      []byte
	digest    []byte // of Finish
}

// An inbox takes what comes while the session computes. It never makes who
// delivers wait: that may be the one who reads the session's events.
type inbox struct {
	mu      sync.Mutex
	queue   []input
	pending map[int]load // by sender
	flooder *int         // a sender that went over its limit
	closed  bool
	kick    chan struct{} // tells that there is something
}

type load struct{ messages, bytes int }

func newInbox() *inbox { return &inbox{pending: map[int]load{}, kick: make(chan struct{}, 1)} }

// put reports false once the session has ended.
func (b *inbox) put(in input) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return false
	}
	if in.digest == nil {
		l := b.pending[in.from]
		l.messages++
		l.bytes += len(in.body)
		if l.messages > maxPending || l.bytes > maxPendingBytes {
			if b.flooder == nil {
				b.flooder = &in.from
			}
			b.tell()
			return true
		}
		b.pending[in.from] = l
	}
	b.queue = append(b.queue, in)
	b.tell()
	return true
}

func (b *inbox) tell() {
	select {
	case b.kick <- struct{}{}:
	default:
	}
}

// take returns all that has come, and who sent too much, or -1.
func (b *inbox) take() (queue []input, flooder int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	queue, b.queue = b.queue, nil
	clear(b.pending)
	if b.flooder != nil {
		return queue, *b.flooder
	}
	return queue, -1
}

func (b *inbox) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed, b.queue = true, nil
}
