package wire

import (
	"io"
	"net"
	"path/filepath"
	"testing"
)

// BenchmarkFloor is what the sockets alone cost: 1 KB each way, one goroutine
// on each side, no framing, deadlines or cancelling.
func BenchmarkFloor(b *testing.B) {
	ln, err := net.Listen("unix", filepath.Join(b.TempDir(), "floor"))
	if err != nil {
		b.Fatal(err)
	}
	defer ln.Close()
	go func() {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		buf := make([]byte, 1024)
		for {
			if _, err := io.ReadFull(conn, buf); err != nil {
				return
			}
			if _, err := conn.Write(buf); err != nil {
				return
			}
		}
	}()
	conn, err := net.Dial("unix", ln.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	defer reportCPU(b)()
	buf := make([]byte, 1024)
	for b.Loop() {
		if _, err := conn.Write(buf); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(conn, buf); err != nil {
			b.Fatal(err)
		}
	}
}
