package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// A sample is one measurement of a figure.
type sample struct {
	cpu      float64 // microseconds of CPU per request, all serving processes
	rate     float64 // requests per second
	p50, p99 float64 // microseconds
}

// A figure is one row of the table.
type figure struct {
	name    string
	run     func(budget) (sample, error)
	samples []sample
}

func (f *figure) measure(b budget) error {
	s, err := f.run(b)
	if err == nil {
		f.samples = append(f.samples, s)
	}
	return err
}

// median is the sample in the middle by CPU.
func (f *figure) median() sample {
	sorted := slices.Clone(f.samples)
	slices.SortFunc(sorted, func(a, b sample) int {
		switch {
		case a.cpu < b.cpu:
			return -1
		case a.cpu > b.cpu:
			return 1
		}
		return 0
	})
	return sorted[len(sorted)/2]
}

// table is the whole run.
type table struct {
	figures []*figure
	byName  map[string]*figure
	closers []func()
}

func (t *table) add(name string, run func(budget) (sample, error)) {
	f := &figure{name: name, run: run}
	t.figures = append(t.figures, f)
	if t.byName == nil {
		t.byName = map[string]*figure{}
	}
	t.byName[name] = f
}

// keep drops the figures whose names do not contain only.
func (t *table) keep(only string) {
	t.figures = slices.DeleteFunc(t.figures, func(f *figure) bool { return !strings.Contains(f.name, only) })
	maps.DeleteFunc(t.byName, func(name string, _ *figure) bool { return !strings.Contains(name, only) })
}

func (t *table) close() {
	for _, f := range slices.Backward(t.closers) {
		f()
	}
}

// print writes every figure, with its ratio to the floor of its operation:
// the bare cryptography, and over HTTP the transport with as many clients.
func (t *table) print() {
	fmt.Printf("%-34s %10s %8s %10s %9s %9s\n", "", "CPU us/req", "x floor", "req/s", "p50 us", "p99 us")
	for _, f := range t.figures {
		s := f.median()
		ratio := ""
		if floor := t.floor(f); floor > 0 {
			ratio = fmt.Sprintf("%.2f", s.cpu/floor)
		}
		fmt.Printf("%-34s %10.1f %8s %10s %9s %9s\n", f.name, s.cpu, ratio, number(s.rate), number(s.p50), number(s.p99))
	}
	fmt.Println("\nfloor: the bare cryptography; over HTTP, plus the transport with as many clients")
}

// floor is what a figure is measured against, or 0 when that was not measured.
func (t *table) floor(f *figure) float64 {
	operation, clients, overHTTP := strings.Cut(f.name, " over HTTP, ")
	bare := t.byName["bare "+strings.TrimPrefix(strings.TrimPrefix(operation, "in process "), "bare ")]
	if bare == nil {
		return 0
	}
	floor := bare.median().cpu
	if overHTTP {
		transport := t.byName["transport, "+clients]
		if transport == nil {
			return 0
		}
		floor += transport.median().cpu
	}
	return floor
}

func number(v float64) string {
	if v == 0 {
		return "-"
	}
	return fmt.Sprintf("%.0f", v)
}

// percentiles gives the median and the 99th percentile in microseconds.
func percentiles(latencies []time.Duration) (p50, p99 float64) {
	slices.Sort(latencies)
	at := func(q float64) float64 {
		return float64(latencies[int(q*float64(len(latencies)-1))].Nanoseconds()) / 1e3
	}
	return at(0.50), at(0.99)
}
