package platform

import (
	"sync"
	"time"
)

// A Clock is trusted time: read from the attester now and then, and carried
// between by the monotonic clock. The wall clock of the machine is never read.
type Clock struct {
	source func() (time.Time, error)

	mu   sync.Mutex
	base time.Time // trusted
	at   time.Time // monotonic reading when base was taken
}

// clockLife is how long the monotonic clock carries trusted time: clocks of
// enclaves were seen to drift by seconds a week.
const clockLife = time.Hour

// NewClock reads the source once and fails when that fails.
func NewClock(source func() (time.Time, error)) (*Clock, error) {
	c := &Clock{source: source}
	return c, c.read()
}

// read takes a new base. The caller holds mu or owns c.
func (c *Clock) read() error {
	base, err := c.source()
	if err == nil {
		c.base, c.at = base, time.Now()
	}
	return err
}

// Now returns trusted time. When the source does not answer, the monotonic
// clock goes on carrying the last answer.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.at) > clockLife && c.read() != nil {
		c.at, c.base = time.Now(), c.base.Add(time.Since(c.at))
	}
	return c.base.Add(time.Since(c.at))
}
