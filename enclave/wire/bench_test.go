package wire

import (
	"bytes"
	"context"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// echo answers every request with its own body.
type echo struct{}

func (echo) Status(context.Context) (*Status, error) {
	return &Status{Version: "test", Phase: PhaseReady, Assurance: "local"}, nil
}

func (echo) Do(_ context.Context, r *Request) (*Reply, error) {
	return &Reply{Status: 200, Body: r.Body}, nil
}

// BenchmarkDoor is a call of Do with 1 KB each way over a unix socket, both
// sides in this process. cpu-us/op is the processor time of both.
func BenchmarkDoor(b *testing.B) {
	client := benchClient(b)
	request := &Request{API: APIActivity, Path: "/public/v1/submit/sign_raw_payload", Body: bytes.Repeat([]byte("x"), 1024)}
	do := func(ctx context.Context) {
		if _, err := client.Do(ctx, request); err != nil {
			b.Error(err)
		}
	}
	b.Run("one", func(b *testing.B) {
		defer reportCPU(b)()
		b.ReportAllocs()
		for b.Loop() {
			do(b.Context())
		}
	})
	b.Run("many", func(b *testing.B) {
		defer reportCPU(b)()
		b.SetParallelism(8)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				do(b.Context())
			}
		})
	})
}

// benchClient serves echo until the benchmark ends.
func benchClient(b *testing.B) *EnclaveClient {
	address := "unix:" + filepath.Join(b.TempDir(), "door")
	ln, err := Listen(address)
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- ServeEnclave(ctx, ln, echo{}, nil) }()
	client := NewEnclaveClient(address)
	b.Cleanup(func() {
		_ = client.Close()
		stop()
		if err := <-done; err != nil {
			b.Error(err)
		}
	})
	return client
}

// reportCPU measures from now until the function that it returns is called.
func reportCPU(b *testing.B) func() {
	start := cpuTime(b)
	return func() {
		b.ReportMetric(float64((cpuTime(b)-start).Nanoseconds())/1e3/float64(b.N), "cpu-us/op")
	}
}

func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkCodec is one encoding and one strict decoding of a 1 KB request.
func BenchmarkCodec(b *testing.B) {
	request := &Request{API: APIActivity, Path: "/public/v1/submit/sign_raw_payload", Body: make([]byte, 1024)}
	b.ReportAllocs()
	for b.Loop() {
		frame, err := encode(requestHead(methodDo), request, weight(request))
		if err != nil {
			b.Fatal(err)
		}
		body := frame.Bytes()[headerSize : frame.Len()-trailerSize]
		_, params, refused := enclaveCodec.request(body)
		if refused != nil {
			b.Fatal(refused)
		}
		if err := enclaveCodec.decode(params, new(Request)); err != nil {
			b.Fatal(err)
		}
		recycle(frame)
	}
}
