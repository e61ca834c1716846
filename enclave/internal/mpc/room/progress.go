package room

import (
	"sync/atomic"
	"time"
)

// Operations that take longer than this tell the log that they go on, and what they do.
const (
	firstReport = time.Second
	reportEvery = 2 * time.Second
)

// A progress tells how an operation goes on.
type progress struct {
	stage atomic.Pointer[string]
	done  chan struct{}
}

// follow reports on an operation until end is called.
func (r *Rooms) follow(operation string) *progress {
	p := &progress{done: make(chan struct{})}
	p.now("waiting for all parties to come to the room")
	started := time.Now()
	go func() {
		for wait := firstReport; ; wait = reportEvery {
			select {
			case <-p.done:
				if took := time.Since(started); took > firstReport {
					r.Log.Info("ended", "operation", operation, "after", took.Round(time.Millisecond).String())
				}
				return
			case <-time.After(wait):
				r.Log.Info("under way", "operation", operation, "for", time.Since(started).Round(time.Second).String(), "stage", *p.stage.Load())
			}
		}
	}()
	return p
}

// now says what the operation does from now on.
func (p *progress) now(stage string) { p.stage.Store(&stage) }

func (p *progress) end() { close(p.done) }
