// Command sallyport-engine computes MPC protocols for the enclave that started
// it. It holds shares while an operation runs, speaks on standard input and
// output only, and may die at any time without harm.
//
// An attacker who controls this code controls every MPC key that is used.
package main

import (
	"bufio"
	"fmt"
	"os"

	"github.com/sallyport/sallyport/enclave/internal/harden"
	"github.com/sallyport/sallyport/enclave/internal/mpc/engine"
	"github.com/sallyport/sallyport/enclave/internal/mpc/engineproc"
)

func main() {
	if err := harden.Process(); err != nil {
		fail(err)
	}
	if err := engineproc.Serve(engine.New(), bufio.NewReader(os.Stdin), os.Stdout); err != nil {
		fail(err)
	}
}

func fail(err error) {
	_, _ = fmt.Fprintln(os.Stderr, "sallyport-engine:", err)
	os.Exit(1)
}
