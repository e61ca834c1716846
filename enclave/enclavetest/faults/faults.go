// Package faults plays a malicious party against the MPC engine: for every
// operation, round and type of message, it sends what no honest party sends and
// looks at what becomes of the others. It plays a malicious relay between attested
// nodes as well. No case may crash, give a wrong result,
// or blame an honest party; whoever sent what is not well formed must be named.
package faults

import (
	"io"
	"math/rand/v2"
	"strings"

	"github.com/sallyport/sallyport/enclave/internal/mpc"
	"github.com/sallyport/sallyport/enclave/internal/mpc/engine"
)

// Options choose what is run.
type Options struct {
	// Short leaves out all but a few of the cases of slow operations.
	Short bool
	// Seed chooses among them, and where bytes are changed.
	Seed uint64
	// Only, if not empty, leaves out operations whose name does not begin so; "relay"
	// leaves out all but the faults of a relay.
	Only string
}

const relayed = "relay"

// A counter of cases, and of those that ended as they must.
type run struct {
	options  Options
	out      io.Writer
	rand     *rand.Rand
	engine   mpc.Engine
	cases    int
	expected int
}

// Run plays all cases and prints a line for each. It returns how many there
// were, and how many ended as they must.
func Run(out io.Writer, o Options) (cases, expected int, err error) {
	r := &run{options: o, out: out, rand: rand.New(rand.NewPCG(o.Seed, 1)), engine: engine.New()}
	if o.Only == "" || o.Only == relayed {
		if err := r.playRooms(); err != nil || o.Only != "" {
			return r.cases, r.expected, err
		}
	}
	operations, err := r.operations()
	if err != nil {
		return 0, 0, err
	}
	for _, op := range operations {
		if !strings.HasPrefix(op.name, o.Only) {
			continue
		}
		if err := r.play(&op); err != nil {
			return r.cases, r.expected, err
		}
	}
	return r.cases, r.expected, nil
}
