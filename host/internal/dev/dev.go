// Package dev is `sallyport dev`: an appliance on one machine in one command.
// It starts the local build of the enclave and a host as children, founds an
// organization through the public API, and prints the credentials.
//
// Nothing it starts protects anything: the root secret, the attestation root
// and the users' private keys lie in one folder of this machine. It runs the
// same code as production and can never be taken for it, because every
// document and proof says "local".
package dev

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// Command holds the flags of `sallyport dev`.
type Command struct {
	Listen    string `default:"127.0.0.1:0" placeholder:"HOST:PORT" help:"Where clients reach the HTTP API; port 0 picks a free one."`
	RootUsers *int   `placeholder:"N" help:"Number of root users, each with an API key (default 1)."`
	Quorum    *int   `placeholder:"K" help:"How many root users must approve together (default 1)."`
	Nodes     *int   `placeholder:"N" help:"Run N appliances that hold one organization and its MPC keys together, with one relay (2 to 5)."`
	Threshold *int   `placeholder:"T" help:"How many of the nodes sign, in their key group (2 to --nodes; default 2)."`
	Data      string `type:"path" placeholder:"DIR" help:"Keep everything here and continue from it. Default: a temporary folder, removed at the end."`
	JSON      bool   `name:"json" help:"Print one line of JSON on standard output, and nothing else there."`
	Root      string `placeholder:"pkcs11:URI" help:"Keep the root secret wrapped by a PKCS#11 token (RFC 7512 URI) rather than in a file."`
	Verbose   bool   `help:"Show everything that the children log."`
}

// startTimeout covers key generation and a slow token. Past it something hangs.
const startTimeout = 60 * time.Second

// oneSignal is how long signals count as one. A terminal, make and timeout(1)
// signal the process and its group, and so each process twice.
const oneSignal = time.Second

// Run starts everything, prints the credentials and waits. It returns nil
// after SIGINT, SIGTERM or SIGHUP, and an error when a child ends by itself. Either
// way no child and no temporary file is left. A second signal, a second
// later or more, ends dev at once, and its children with it.
func (c *Command) Run(ctx context.Context) error {
	ctx, stop := signal.NotifyContext(ctx, endings()...)
	defer stop()
	context.AfterFunc(ctx, func() { time.AfterFunc(oneSignal, stop) })

	if err := c.run(ctx, os.Stdout, os.Stderr); err != nil && ctx.Err() == nil {
		return err
	}
	return nil
}

// endings are the signals that end dev: also the end of its terminal, unless
// it was started to outlive that, as by nohup.
func endings() []os.Signal {
	s := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		s = append(s, syscall.SIGHUP)
	}
	return s
}

func (c *Command) run(ctx context.Context, stdout, stderr io.Writer) (err error) {
	binaries, err := findBinaries()
	if err != nil {
		return err
	}
	folder, err := openFolder(c.Data)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, folder.Close()) }()
	kept, err := folder.load()
	if err != nil {
		return err
	}
	shape, err := c.shape(kept)
	if err != nil {
		return err
	}

	keeper := newKeeper(stderr, c.Verbose, folder.lock)
	defer keeper.stop() // before the folder goes
	a := &appliance{command: c, binaries: binaries, folder: folder, shape: shape, kept: kept, keeper: keeper}
	begin := a.launch
	if shape.Nodes > 1 {
		begin = (&cluster{appliance: a}).launch
	}
	credentials, err := a.start(ctx, begin)
	if err != nil {
		return err
	}
	if err := c.print(stdout, credentials, shape, folder); err != nil {
		return fmt.Errorf("printing the credentials: %w", err)
	}
	select {
	case <-ctx.Done():
		return nil
	case <-keeper.died:
		return keeper.cause()
	}
}
