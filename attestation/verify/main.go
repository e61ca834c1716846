// Command sallyport-verify checks an export bundle or an attestation document,
// without network and without trusting any host.
//
//	sallyport-verify [flags] bundle FILE
//	sallyport-verify [flags] document FILE
//
// It links the standard library and the packages under attestation, and
// nothing else that could have an opinion. Everything that it believes comes
// from flags: a root with measurements, the appliance's quorum key, the
// organization. It prints what it checked and, as plainly, what it did not.
//
// Exit status: 0 verified, 1 refused, 2 the call was wrong.
package main

import (
	"errors"
	"io"
	"os"
	"time"

	"github.com/sallyport/sallyport/attestation"
	"github.com/sallyport/sallyport/attestation/bundle"
)

// The exit statuses.
const (
	exitVerified = 0
	exitRefused  = 1
	exitUsage    = 2
)

func main() {
	os.Exit(run(os.Args[1:], console{in: os.Stdin, out: os.Stdout, err: os.Stderr, now: time.Now}))
}

// console is what the program touches beside files.
type console struct {
	in  io.Reader
	out io.Writer
	err io.Writer
	now func() time.Time
}

// run is the program; it returns the exit status.
func run(args []string, c console) int {
	o, err := parseArgs(args)
	if errors.Is(err, errHelp) {
		_, _ = io.WriteString(c.out, help())
		return exitVerified
	}
	if err != nil {
		return c.refuse(o, err)
	}
	check := checkBundle
	if o.command == "document" {
		check = checkDocument
	}
	r, err := check(o, c)
	if err != nil {
		return c.refuse(o, err)
	}
	if err := r.write(c.out, o.json); err != nil {
		return c.refuse(o, err)
	}
	return exitVerified
}

// usageError is a mistake in the call, or a file that cannot be read: nothing
// was verified, and nothing is known to be wrong with the subject.
type usageError struct{ message string }

func (e *usageError) Error() string { return e.message }

// refusal is a check that only this program makes.
type refusal struct{ reason, message string }

func (e *refusal) Error() string { return e.message }

// refuse says why, once, and returns the exit status.
func (c console) refuse(o *options, err error) int {
	f := describe(err)
	if o.json {
		f.writeJSON(c.out)
	} else {
		f.writeText(c.err)
	}
	if f.Reason == "usage" {
		return exitUsage
	}
	return exitRefused
}

// describe finds the stable reason of an error. Errors without one are ours
// or the system's, and count as wrong calls.
func describe(err error) failure {
	f := failure{Reason: "usage", Message: err.Error()}
	if b, ok := errors.AsType[*bundle.Error](err); ok {
		f.Reason, f.Message = b.Reason, b.Message
	}
	if a, ok := errors.AsType[*attestation.Error](err); ok {
		f.Cause, f.Message = a.Reason, a.Message
		if f.Reason == "usage" {
			f.Reason, f.Cause = a.Reason, ""
		}
	}
	if r, ok := errors.AsType[*refusal](err); ok {
		f.Reason = r.reason
	}
	return f
}
