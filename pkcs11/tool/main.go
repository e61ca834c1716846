// Command sallyport-pkcs11 looks at a PKCS#11 token: whether it can be a root,
// sign, or hold an operator's key, and whether its keys are as they should be; and
// uses such a key. The client verbs of `sallyport` run it. It is a program of its
// own because it loads libraries of vendors, which the host must not.
//
// It exits with 0 if every role asked for works, or what was to be done is done,
// with 1 if a role does not work, and with 2 otherwise.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/sallyport/sallyport/pkcs11"
)

// The exit codes.
const (
	exitWorks   = 0
	exitFails   = 1
	exitNothing = 2
)

// timeout bounds all of the check: a token with many keys tries each.
const timeout = 5 * time.Minute

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

type options struct {
	uri   string
	roles []string
	json  bool
	do    string
	pkcs11.Options
}

func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	o, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return exitWorks
	}
	if err != nil {
		return fail(stderr, err)
	}
	if o.do != "" {
		if err := use(ctx, o, stdin, stdout); err != nil {
			return fail(stderr, err)
		}
		return exitWorks
	}
	report, err := pkcs11.Check(ctx, o.uri, o.roles, o.Options)
	if err != nil {
		return fail(stderr, err)
	}
	if o.json {
		err = json.NewEncoder(stdout).Encode(report)
	} else {
		err = show(stdout, report)
	}
	if err != nil {
		return fail(stderr, err)
	}
	if !report.Works {
		return exitFails
	}
	return exitWorks
}

func fail(stderr io.Writer, err error) int {
	_, _ = fmt.Fprintf(stderr, "sallyport-pkcs11: %s\n", safe(err.Error()))
	return exitNothing
}

func parse(args []string, stderr io.Writer) (*options, error) {
	o := &options{Options: pkcs11.Options{Timeout: timeout}}
	flags := flag.NewFlagSet("sallyport-pkcs11", flag.ContinueOnError)
	flags.SetOutput(stderr)
	roles := flags.String("role", "", "what must work, separated by commas: "+strings.Join(pkcs11.CheckRoles, ", "))
	flags.StringVar(&o.do, "do", "", "use a key instead: generate, public, sign or ecdh; hex on standard input")
	flags.BoolVar(&o.json, "json", false, "print one JSON document")
	flags.BoolVar(&o.TrustOrigin, "trust-origin", false, "accept keys with CKA_LOCAL false, for modules that never set it (NSS)")
	flags.BoolVar(&o.AllowFinalPINTry, "allow-final-pin-try", false, "log in although one more wrong PIN locks the token")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if flags.NArg() != 1 {
		return nil, errors.New("one PKCS#11 URI must be given, after the flags")
	}
	if o.uri = flags.Arg(0); strings.Contains(o.uri, "pin-value") {
		return nil, errors.New("URI: pin-value: must not stand in a command, where others see it: use pin-source")
	}
	if o.do != "" && uses[o.do] == nil {
		return nil, errors.New("-do: must be generate, public, sign or ecdh")
	}
	if *roles != "" {
		o.roles = strings.Split(*roles, ",")
	}
	return o, nil
}
