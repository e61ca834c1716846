package journal

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
)

// BenchmarkAppend proposes and waits, as every signature does, over a host in
// memory: what is left is the journal's own work.
func BenchmarkAppend(b *testing.B) {
	for _, callers := range []int{1, 8, 64} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			j := mustOpen(b, new(memoryStore))
			make600 := func(uint64, int64) ([]byte, error) { return make([]byte, 600), nil }
			b.ReportAllocs()
			b.ResetTimer()
			var group sync.WaitGroup
			var left atomic.Int64
			left.Store(int64(b.N))
			for range callers {
				group.Go(func() {
					for left.Add(-1) >= 0 {
						ticket, err := j.Propose(1, make600)
						if err == nil {
							err = j.Wait(b.Context(), ticket)
						}
						if err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			group.Wait()
		})
	}
}

func BenchmarkReplay(b *testing.B) {
	const entries = 1000
	s := new(memoryStore)
	j := mustOpen(b, s)
	for range entries {
		if _, err := j.Propose(1, func(uint64, int64) ([]byte, error) { return make([]byte, 600), nil }); err != nil {
			b.Fatal(err)
		}
	}
	if err := j.Barrier(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		mustOpen(b, s).Close()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/entries, "ns/entry")
}
