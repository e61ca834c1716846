// Command sallyport-enclave is the trusted half of Sallyport: it holds the
// shares of every key, decides over requests, signs, and seals exports.
//
// An attacker who controls this code controls every key.
//
// The plain build is for a Nitro enclave and refuses to start anywhere else.
// Built with the tag local it simulates one, protects nothing, and says so.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/sallyport/sallyport/enclave/internal/ceremony"
	"github.com/sallyport/sallyport/enclave/internal/harden"
	"github.com/sallyport/sallyport/enclave/internal/platform"
	"github.com/sallyport/sallyport/enclave/wire"
)

// version is set by the build.
var version = "dev"

// A machine is what a build tag chose: the platform, and where the manifest
// of this boot comes from.
type machine struct {
	*platform.Platform
	// manifest returns the manifest of this boot, once the host can be reached.
	manifest func(context.Context) ([]byte, error)
}

func main() {
	log := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	if err := run(log, os.Args[1:]); err != nil {
		log.Error("stopped", "error", err)
		os.Exit(1)
	}
}

func run(log *slog.Logger, args []string) error {
	if err := harden.Process(); err != nil {
		return fmt.Errorf("hardening the process: %w", err)
	}
	// The live heap is small and each request leaves garbage: collecting at
	// five times the live heap saves CPU for some tens of MiB.
	debug.SetGCPercent(400)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	m, err := newMachine(args, log)
	if err != nil {
		return err
	}
	door, err := m.Listen()
	if err != nil {
		return fmt.Errorf("door: %w", err)
	}
	a := ceremony.New(m.Platform, version, log)
	served := make(chan error, 1)
	go func() { served <- wire.ServeEnclave(ctx, door, a, log) }()
	go boot(ctx, a, m)
	err = <-served
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// boot gets the manifest and takes the appliance through its phases.
func boot(ctx context.Context, a *ceremony.Appliance, m *machine) {
	manifest, err := m.manifest(ctx)
	if err != nil {
		if ctx.Err() == nil {
			a.Break(err)
		}
		return
	}
	a.Run(ctx, manifest)
}
