package faults

import (
	"errors"
	"fmt"

	"github.com/sallyport/sallyport/enclave/internal/mpc"
)

// judgeRoom says what is wrong with how a case ended for each node, if anything is.
func judgeRoom(nodes []*node, errs []error, want want) string {
	if want == wantResult {
		if err := errors.Join(errs...); err != nil {
			return err.Error()
		}
		return ""
	}
	named := false
	for i, err := range errs {
		if i == evil {
			continue
		}
		f, ok := errors.AsType[*mpc.Failure](err)
		switch {
		case err == nil:
			return "a result"
		case !ok || f.Cause != mpc.CauseTimeout:
			return err.Error()
		}
		for _, c := range f.Culprits {
			if named = true; c.Node != nodes[evil].id {
				return "an honest party is named"
			}
		}
	}
	if !named {
		return "nobody names the sender" // who hears it from another names nobody
	}
	return ""
}

// reportRoom prints how a case ended, and counts it.
func (r *run) reportRoom(op *roomOperation, name string, errs []error, why string) {
	r.cases++
	ended := "result"
	if f, ok := errors.AsType[*mpc.Failure](errs[0]); ok {
		who := "nobody named"
		if len(f.Culprits) > 0 {
			who = "sender named"
		}
		ended = string(f.Cause) + ", " + who
	}
	verdict := "as expected"
	if why != "" {
		verdict = "NOT AS EXPECTED: " + why
	} else {
		r.expected++
	}
	_, _ = fmt.Fprintf(r.out, "%-15s over a relay         %-58s %-32s %s\n", op.name, name, ended, verdict)
}
