package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// A load sends requests over keep-alive connections, one at a time on each.
type load struct {
	address string
	pids    []int
	clients int
	request func() []byte // the next request as it goes over the wire
}

// batchSize is how many requests are made ready before the clock starts.
const batchSize = 512

func (l *load) run(b budget) (sample, error) {
	conns := make([]net.Conn, l.clients)
	for i := range conns {
		c, err := net.Dial("tcp", l.address)
		if err != nil {
			return sample{}, err
		}
		defer c.Close()
		conns[i] = c
	}
	if _, err := l.burst(conns, l.clients*2); err != nil { // warm connections
		return sample{}, err
	}
	var all burst
	deadline := time.Now().Add(b.time)
	for all.wall == 0 || (b.count == 0 && time.Now().Before(deadline)) || (b.count > 0 && len(all.latencies) < b.count) {
		one, err := l.burst(conns, batchSize)
		if err != nil {
			return sample{}, err
		}
		all.cpu += one.cpu
		all.wall += one.wall
		all.latencies = append(all.latencies, one.latencies...)
	}
	n := float64(len(all.latencies))
	s := sample{cpu: float64(all.cpu.Nanoseconds()) / 1e3 / n, rate: n / all.wall.Seconds()}
	s.p50, s.p99 = percentiles(all.latencies)
	return s, nil
}

type burst struct {
	cpu, wall time.Duration
	latencies []time.Duration
}

// burst prepares requests, and then sends them while CPU and time are taken.
func (l *load) burst(conns []net.Conn, count int) (burst, error) {
	requests := make([][]byte, count)
	for i := range requests {
		requests[i] = l.request()
	}
	before, err := cpuOf(l.pids...)
	if err != nil {
		return burst{}, err
	}
	start := time.Now()
	var next atomic.Int64
	var wg sync.WaitGroup
	out := burst{latencies: make([]time.Duration, count)}
	errs := make(chan error, len(conns))
	for _, conn := range conns {
		wg.Go(func() {
			r := bufio.NewReaderSize(conn, 64<<10)
			for {
				i := int(next.Add(1)) - 1
				if i >= count {
					return
				}
				sent := time.Now()
				if err := exchange(conn, r, requests[i]); err != nil {
					errs <- err
					return
				}
				out.latencies[i] = time.Since(sent)
			}
		})
	}
	wg.Wait()
	out.wall = time.Since(start)
	after, err := cpuOf(l.pids...)
	out.cpu = after - before
	select {
	case err = <-errs:
	default:
	}
	return out, err
}

// exchange sends one request and wants 200 and no failure inside.
func exchange(conn net.Conn, r *bufio.Reader, request []byte) error {
	if _, err := conn.Write(request); err != nil {
		return err
	}
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		return err
	}
	body, err := io.ReadAll(resp.Body)
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d: %s", resp.StatusCode, body)
	}
	if bytes.Contains(body, []byte(`ACTIVITY_STATUS_FAILED`)) {
		return fmt.Errorf("an activity failed: %s", body)
	}
	return nil
}

// post frames a POST as clients send it.
func post(path string, body []byte, headers ...string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "POST %s HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: %d\r\n", path, len(body))
	for _, h := range headers {
		b.WriteString(h)
		b.WriteString("\r\n")
	}
	b.WriteString("\r\n")
	b.Write(body)
	return b.Bytes()
}
