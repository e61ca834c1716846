// Command sallyport is the untrusted half of Sallyport, in one program: the
// host of an enclave, and a whole appliance for development.
//
// An attacker who controls the host can stop the service and see who asks what
// and when. It cannot sign, read a key or open an export.
package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/alecthomas/kong"

	"github.com/sallyport/sallyport/host/internal/cli"
	"github.com/sallyport/sallyport/host/internal/dev"
	"github.com/sallyport/sallyport/host/internal/serve"
)

// Exit codes of serve and dev: the command was wrong, or it went wrong. The
// client verbs have more, see package cli.
const (
	exitUsage   = 2
	exitFailure = 1
)

// commands are the verbs of the program, one field each.
type commands struct {
	Serve serve.Command `cmd:"" help:"Serve the HTTP API in front of an enclave."`
	Dev   dev.Command   `cmd:"" help:"Run a whole appliance on this machine, for development. It protects nothing."`
	Relay serve.Relay   `cmd:"" help:"Carry sealed messages between enclaves that hold MPC keys."`
	cli.Verbs
}

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) (code int) {
	exited := false
	var c commands
	parser, err := kong.New(&c,
		kong.Name("sallyport"),
		kong.Description("A signer whose keys live in an enclave. See host/README.md. "+cli.Exits),
		kong.UsageOnError(),
		kong.Writers(stdout, stderr),
		kong.Exit(func(n int) { exited, code = true, n }),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(&cli.Streams{Out: stdout, Err: stderr}),
	)
	if err != nil {
		panic("internal error: " + err.Error()) // a wrong struct tag
	}
	verb, err := parser.Parse(args)
	if exited { // --help
		return code
	}
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "sallyport:", err)
		_, _ = fmt.Fprintln(stderr, "hint: sallyport --help, or --help after a command")
		return exitUsage
	}
	if err := verb.Run(); err != nil {
		if code, ok := cli.Report(stderr, err); ok {
			return code
		}
		_, _ = fmt.Fprintln(stderr, "sallyport:", err)
		return exitFailure
	}
	return 0
}
