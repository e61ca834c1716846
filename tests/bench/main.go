// Command bench prints what a signature and an export cost: the bare
// cryptography, the same through an enclave in this process, and through host
// and door over HTTP with 1, 8 and 64 clients. All figures come from one
// interleaved run, so their ratios hold when the machine's speed drifts.
//
// Cost is CPU time per request, summed over the processes that serve it; the
// client's own is left out. The floor is the bare cryptography plus the
// transport: the same front and door before an enclave that only echoes.
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime/pprof"
	"strings"
	"time"
)

func main() {
	if role := os.Getenv(roleVariable); role != "" {
		exitOn(runRole(role))
		return
	}
	benchtime := flag.String("benchtime", "1s", "time for each figure and round, or a count as 200x")
	profile := flag.String("cpuprofile", "", "write a CPU profile of signing in process, and print no table")
	only := flag.String("only", "", "measure only figures whose names contain this, and print no ratios")
	rounds := flag.Int("rounds", 3, "interleaved rounds; the median is printed")
	flag.Parse()
	if *profile != "" {
		exitOn(profileSign(*profile, *benchtime))
		return
	}
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: bench [-benchtime 1s|200x] [-rounds N] BIN")
		os.Exit(2)
	}
	exitOn(run(flag.Arg(0), *benchtime, *rounds, *only))
}

func exitOn(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// A budget bounds one measurement by time or by count.
type budget struct {
	time  time.Duration
	count int
}

func parseBudget(s string) (budget, error) {
	var b budget
	if n, ok := strings.CutSuffix(s, "x"); ok {
		_, err := fmt.Sscan(n, &b.count)
		return b, err
	}
	var err error
	b.time, err = time.ParseDuration(s)
	return b, err
}

func run(bin, benchtime string, rounds int, only string) error {
	b, err := parseBudget(benchtime)
	if err != nil {
		return err
	}
	bench, err := setUp(bin)
	if err != nil {
		return err
	}
	defer bench.close()
	bench.keep(only)
	for range rounds {
		for _, f := range bench.figures {
			if err := f.measure(b); err != nil {
				return fmt.Errorf("%s: %w", f.name, err)
			}
		}
	}
	bench.print()
	return nil
}

// profileSign writes a CPU profile of an enclave in this process that signs.
func profileSign(path, benchtime string) error {
	b, err := parseBudget(benchtime)
	if err != nil {
		return err
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := pprof.StartCPUProfile(f); err != nil {
		return err
	}
	defer pprof.StopCPUProfile()
	s, err := inProcess("sign")(b)
	fmt.Printf("in process sign: %.1f us of CPU\n", s.cpu)
	return err
}
