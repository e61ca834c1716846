// Command mpcfaults plays a malicious party and a malicious relay, and prints a
// table of what became of each case. It ends with 1 if any case did not end as
// it must.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"os"

	"github.com/sallyport/sallyport/enclave/enclavetest/faults"
)

func main() {
	short := flag.Bool("short", false, "few cases of slow operations")
	seed := flag.Uint64("seed", 1, "chooses cases and places")
	only := flag.String("only", "", "only operations whose name begins so")
	flag.Parse()
	out := bufio.NewWriter(os.Stdout)
	cases, expected, err := faults.Run(out, faults.Options{Short: *short, Seed: *seed, Only: *only})
	if err != nil {
		_, _ = fmt.Fprintln(out, "mpcfaults:", err)
	}
	_, _ = fmt.Fprintf(out, "cases: %d, as expected: %d\n", cases, expected)
	_ = out.Flush()
	if err != nil || cases != expected {
		os.Exit(1)
	}
}
