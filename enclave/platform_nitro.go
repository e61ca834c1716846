//go:build !local

package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"

	"golang.org/x/sys/unix"

	"github.com/sallyport/sallyport/attestation"
	"github.com/sallyport/sallyport/enclave/internal/ceremony"
	"github.com/sallyport/sallyport/enclave/internal/nsm"
	"github.com/sallyport/sallyport/enclave/internal/platform"
	"github.com/sallyport/sallyport/enclave/wire"
)

// What configures the production build is measured with it, in these constants, or
// signed: the manifest, which the host brings. There are no flags.
const (
	nsmDevice   = "/dev/nsm"
	doorAddress = "vsock:3:5000" // only the parent instance is heard
	hostAddress = "vsock:3:5001" // CID 3 is the parent instance
	engineFile  = "/sallyport-engine"
)

func newMachine(args []string, _ *slog.Logger) (*machine, error) {
	if len(args) > 0 {
		return nil, fmt.Errorf("the production enclave takes no arguments, not %q", args[0])
	}
	device, err := nsm.Open(nsmDevice)
	if err != nil {
		return nil, fmt.Errorf("this is the production build and runs only inside a Nitro enclave: %w", err)
	}
	// Nothing of an enclave is ever swapped; locking keeps that true wherever
	// it runs.
	if err := unix.Mlockall(unix.MCL_CURRENT | unix.MCL_FUTURE | unix.MCL_ONFAULT); err != nil {
		return nil, fmt.Errorf("locking memory: %w", err)
	}
	clock, err := platform.NewClock(device.Time)
	if err != nil {
		return nil, fmt.Errorf("trusted time: %w", err)
	}
	host := wire.NewHostClient(hostAddress)
	return &machine{
		Platform: &platform.Platform{
			Assurance:  platform.Nitro,
			Attester:   device,
			Root:       noRoot{},
			Listen:     func() (net.Listener, error) { return wire.Listen(doorAddress) },
			Host:       host,
			Network:    host,
			KeyService: host,
			EnginePath: engineFile,
			Trust: func(m *attestation.Manifest) (attestation.Trust, error) {
				return attestation.TrustAWS(m.Measurements...)
			},
			Now: clock.Now,
		},
		manifest: func(ctx context.Context) ([]byte, error) { return ceremony.AskManifest(ctx, host) },
	}, nil
}

// noRoot is the root of a manifest that names none, which the production build does
// not accept: the manifest says how the root comes.
type noRoot struct{}

func (noRoot) Create(context.Context, []byte) error { return platform.ErrNoRoot }

func (noRoot) Secret(context.Context) ([]byte, error) { return nil, platform.ErrNoRoot }

func (noRoot) Describe() string { return "the manifest names no holders" }
