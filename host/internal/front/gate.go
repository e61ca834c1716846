package front

import "sync/atomic"

// gate bounds something countable. It never makes anyone wait: whoever does
// not fit is turned away at once, so that those inside keep their latency.
type gate struct {
	limit int64
	in    atomic.Int64
}

// enter reports whether n more fit, and counts them if so.
func (g *gate) enter(n int64) bool {
	if g.in.Add(n) <= g.limit {
		return true
	}
	g.in.Add(-n)
	return false
}

func (g *gate) leave(n int64) {
	if n != 0 {
		g.in.Add(-n)
	}
}
