package store

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"syscall"
	"testing"
)

// cpu returns the CPU time of this process in microseconds.
func cpu() float64 {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		panic(err)
	}
	return float64(r.Utime.Nano()+r.Stime.Nano()) / 1e3
}

// measured runs f b.N times and reports CPU time, which is what an append costs
// beside the wait for the disk.
func measured(b *testing.B, f func()) {
	for range 300 { // past the growth of the first log
		f()
	}
	b.ReportAllocs()
	before := cpu()
	for b.Loop() {
		f()
	}
	b.ReportMetric((cpu()-before)/float64(b.N), "cpu-us/op")
}

func BenchmarkAppend(b *testing.B) {
	for _, n := range []int{1, 64} {
		b.Run(fmt.Sprintf("records=%d", n), func(b *testing.B) {
			s := mustOpen(b, b.TempDir())
			batch := make([][]byte, n)
			for i := range batch {
				batch[i] = make([]byte, 950) // a signature's entry
			}
			measured(b, func() {
				if err := s.Append(b.Context(), s.length, batch); err != nil {
					b.Fatal(err)
				}
			})
		})
	}
}

func BenchmarkGetBlob(b *testing.B) {
	s := mustOpen(b, b.TempDir())
	const blobs = 10_000
	names := make([][]byte, blobs)
	for i := range blobs / 100 {
		batch := make([][]byte, 100)
		for k := range batch {
			batch[k] = binary.BigEndian.AppendUint64(make([]byte, 300), uint64(i*100+k))
			name := sha256.Sum256(batch[k])
			names[i*100+k] = name[:]
		}
		if err := s.PutBlobs(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
	}
	i := 0
	measured(b, func() {
		i = (i + 7919) % blobs
		if _, err := s.GetBlobs(b.Context(), names[i:i+1]); err != nil {
			b.Fatal(err)
		}
	})
}
