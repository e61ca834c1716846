package wire

import (
	"errors"
	"sync"
	"time"
)

var errOver = errors.New("the call is over")

// watch notices that the peer hangs up while a call is under way, and cancels
// the call.
//
// It reads only when a call has lasted for a while. A goroutine that always
// reads ahead was measured to double the processor time of a round trip (14 of
// 25 microseconds, in handing over), and a call that is over before anybody
// would have looked has no use for it.
type watch struct {
	in     *frameReader
	after  time.Duration
	cancel func() // ends the call under way, and any later one
	timer  *time.Timer
	ended  chan struct{} // gets one token from each look

	mu   sync.Mutex
	over bool // the call has ended: no look may begin
	lost bool // the connection has
}

func newWatch(in *frameReader, after time.Duration, cancel func()) *watch {
	w := &watch{in: in, after: after, cancel: cancel, ended: make(chan struct{}, 1)}
	w.timer = time.AfterFunc(after, w.look)
	w.timer.Stop()
	return w
}

// start begins to watch. The frame reader is the watch's until stop.
func (w *watch) start() {
	w.over = false // nobody else looks at it before the timer runs
	w.timer.Reset(w.after)
}

// stop gives the frame reader back and tells whether the connection stands.
func (w *watch) stop() bool {
	if w.timer.Stop() {
		return true
	}
	w.mu.Lock()
	w.over = true
	_ = w.in.conn.SetReadDeadline(time.Unix(1, 0)) // interrupts the look
	w.mu.Unlock()
	<-w.ended
	return !w.lost && w.in.start() == nil
}

func (w *watch) look() {
	defer func() { w.ended <- struct{}{} }()
	err := w.unhurried()
	if err == nil {
		err = w.in.peek()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil && !w.over {
		w.lost = true
		w.cancel()
	}
}

// unhurried takes the deadline away, unless stop has set its own.
func (w *watch) unhurried() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.over {
		return errOver
	}
	return w.in.conn.SetReadDeadline(time.Time{})
}
