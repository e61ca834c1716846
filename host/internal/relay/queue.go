package relay

import (
	"sync"
	"sync/atomic"

	"github.com/sallyport/sallyport/enclave/wire"
)

// Bounds of what waits for the enclave: whoever may publish at a relay decides
// how much arrives. Beyond them messages are lost, and their senders repeat them.
const (
	maxQueue      = 2048
	maxQueueBytes = 16 << 20
	maxHeldBytes  = 256 << 20 // of all ports
)

// A queue holds the messages of a port that the enclave has not received.
type queue struct {
	some chan struct{} // says that there may be messages
	held *atomic.Int64 // bytes of all queues

	mu    sync.Mutex
	list  []wire.RelayMessage
	bytes int
	ended bool
}

func newQueue(held *atomic.Int64) *queue {
	return &queue{some: make(chan struct{}, 1), held: held}
}

// push keeps a message, or drops it.
func (q *queue) push(m wire.RelayMessage) {
	q.mu.Lock()
	defer q.mu.Unlock()
	size := len(m.Body)
	if q.ended || len(q.list) >= maxQueue || q.bytes+size > maxQueueBytes || q.held.Load()+int64(size) > maxHeldBytes {
		return
	}
	q.list = append(q.list, m)
	q.count(size)
	q.signal()
}

// pop takes as many as fit one answer.
func (q *queue) pop() (out []wire.RelayMessage) {
	q.mu.Lock()
	defer q.mu.Unlock()
	n, size := 0, 0
	for n < len(q.list) && n < wire.MaxRelayMessages && size+len(q.list[n].Body) <= wire.MaxRelayBatch {
		size += len(q.list[n].Body)
		n++
	}
	out = q.list[:n:n]
	if q.list = q.list[n:]; len(q.list) == 0 {
		q.list = nil // do not keep what was received
	} else {
		q.signal()
	}
	q.count(-size)
	return out
}

func (q *queue) count(size int) {
	q.bytes += size
	q.held.Add(int64(size))
}

func (q *queue) signal() {
	select {
	case q.some <- struct{}{}:
	default:
	}
}

// close drops what is left.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ended, q.list = true, nil
	q.count(-q.bytes)
}
