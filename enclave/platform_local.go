//go:build local

package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/sallyport/sallyport/attestation"
	"github.com/sallyport/sallyport/enclave/internal/ceremony"
	"github.com/sallyport/sallyport/enclave/internal/platform"
	"github.com/sallyport/sallyport/enclave/internal/simulator"
	"github.com/sallyport/sallyport/enclave/wire"
)

// options are the flags of the local build. The production build has none.
type options struct {
	listen, host, root, manifest, attestationRoot, name string
}

func parseOptions(args []string) (*options, error) {
	var o options
	set := flag.NewFlagSet("sallyport-enclave-local", flag.ExitOnError)
	set.StringVar(&o.listen, "listen", "", "door of the enclave, unix:PATH or vsock:CID:PORT")
	set.StringVar(&o.host, "host", "", "door of the host, unix:PATH or vsock:CID:PORT")
	set.StringVar(&o.root, "root", "", "where the root secret is kept: file:PATH, a PKCS#11 URI and ;wrapped=PATH, or ceremony")
	set.StringVar(&o.manifest, "manifest", "", "manifest file, made at the first start; or host: ask the host for it")
	set.StringVar(&o.attestationRoot, "attestation-root", "", "certificate file of the simulated attestation root, PEM; its key lies beside it")
	set.StringVar(&o.name, "name", "local", "name in the manifest")
	if err := set.Parse(args); err != nil {
		return nil, err
	}
	for _, need := range []struct{ flag, value string }{
		{"listen", o.listen}, {"host", o.host}, {"root", o.root}, {"manifest", o.manifest}, {"attestation-root", o.attestationRoot},
	} {
		if need.value == "" {
			return nil, fmt.Errorf("-%s is needed", need.flag)
		}
	}
	return &o, nil
}

func newMachine(args []string, log *slog.Logger) (*machine, error) {
	o, err := parseOptions(args)
	if err != nil {
		return nil, err
	}
	log.Warn("local platform: simulated attestation under a root of this machine; it protects nothing")
	rootKey := strings.TrimSuffix(o.attestationRoot, ".pem") + ".key"
	if err := simulator.Create(o.attestationRoot, rootKey); err != nil {
		return nil, err
	}
	module, err := simulator.Load(o.attestationRoot, rootKey)
	if err != nil {
		return nil, err
	}
	root, err := openRoot(o.root)
	if err != nil {
		return nil, err
	}
	log.Warn("root", "root", root.Describe())
	host := wire.NewHostClient(o.host)
	own, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &platform.Platform{
		Assurance:  platform.Local,
		Attester:   module,
		Root:       root,
		Listen:     func() (net.Listener, error) { return wire.Listen(o.listen) },
		Host:       host,
		Network:    host,
		KeyService: host,
		EnginePath: filepath.Join(filepath.Dir(own), "sallyport-engine"),
		Trust:      func(*attestation.Manifest) (attestation.Trust, error) { return attestation.TrustLocal(module.Root()) },
		Now:        time.Now, // the host's clock: it is as trusted as the rest of this platform
	}
	if o.manifest == "host" {
		return &machine{p, func(ctx context.Context) ([]byte, error) { return ceremony.AskManifest(ctx, host) }}, nil
	}
	return &machine{p, func(ctx context.Context) ([]byte, error) { return localManifest(ctx, p, o) }}, nil
}

// localManifest reads the manifest of an earlier start. At the first start it
// goes through genesis: the local platform does both manifests in one step. A
// manifest counts when it lies under its own name; until the journal records
// it, it lies beside that as pending, so that a crash between the two is
// mended at the next start and an emptied store is never taken for a new one.
func localManifest(ctx context.Context, p *platform.Platform, o *options) ([]byte, error) {
	manifest, err := os.ReadFile(o.manifest)
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return manifest, err
	}
	pending := o.manifest + ".pending"
	if kept, err := os.ReadFile(pending); err == nil {
		done, err := ceremony.Recorded(ctx, p, kept)
		if err != nil {
			return nil, err
		}
		if done {
			return kept, os.Rename(pending, o.manifest)
		}
	}
	first := &attestation.Manifest{
		Name: o.name, Assurance: string(platform.Local),
		Measurements: []attestation.Measurements{attestation.LocalMeasurements()},
		Flags:        attestation.Flags{Unsigned: true, OpenOrganizations: true, SingleCustodian: true, PlaintextExport: true},
	}
	manifest, err = ceremony.Genesis(ctx, p, first.Encode(), func(m []byte) error {
		return writeFile(pending, m, 0o644)
	})
	if err != nil {
		return nil, err
	}
	return manifest, os.Rename(pending, o.manifest)
}

// writeFile writes a file whole and durably under its final name.
func writeFile(path string, content []byte, mode os.FileMode) error {
	tmp := path + ".tmp"
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode)
	if err != nil {
		return err
	}
	_, err = bytes.NewReader(content).WriteTo(f)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}
