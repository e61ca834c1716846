package dev

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/sallyport/sallyport/host/internal/serve"
)

// binaries are the two programs that dev starts.
type binaries struct{ host, enclave string }

// enclaveBinary is the local build of the enclave.
const enclaveBinary = "sallyport-enclave-local"

func findBinaries() (binaries, error) {
	self, err := os.Executable()
	if err != nil {
		return binaries{}, fmt.Errorf("finding this program: %w", err)
	}
	if self, err = filepath.EvalSymlinks(self); err != nil {
		return binaries{}, fmt.Errorf("finding this program: %w", err)
	}
	b := binaries{host: self, enclave: filepath.Join(filepath.Dir(self), enclaveBinary)}
	if _, err := os.Stat(b.enclave); err != nil {
		return b, fmt.Errorf("%s: must lie beside %s; build it with: go build -tags local -o %s ./enclave", b.enclave, filepath.Base(self), b.enclave)
	}
	return b, nil
}

// The sockets of the two sides of the door.
const (
	enclaveSocket = "enclave.sock"
	hostSocket    = "host.sock"
)

// appliance is one start of both children up to the credentials.
type appliance struct {
	command  *Command
	binaries binaries
	folder   *folder
	shape    shape
	kept     *kept // what the folder remembers, nil when new
	keeper   *keeper

	name        string   // before the names of its children, for one of several
	relay       []string // flags of the host about its relay
	enclave     *child
	hostAddress serve.Ready
}

// start returns once clients can use the credentials.
func (a *appliance) start(ctx context.Context, begin func(context.Context) (*Credentials, error)) (*Credentials, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, startTimeout, fmt.Errorf("the appliance was not ready within %v", startTimeout))
	defer cancel()
	// A child that ends ends the start, whatever it is waiting for.
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	go func() {
		select {
		case <-a.keeper.died:
			end(a.keeper.cause())
		case <-ctx.Done():
		}
	}()
	c, err := begin(ctx)
	if err != nil && ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return c, err
}

func (a *appliance) launch(ctx context.Context) (*Credentials, error) {
	running, api, err := a.boot(ctx)
	if err != nil {
		return nil, err
	}
	return a.credentials(ctx, []founder{api}, []string{running.QuorumPublicKey}, *running)
}

// boot starts both children and waits until the enclave is ready.
func (a *appliance) boot(ctx context.Context) (*Credentials, *api, error) {
	host, err := a.keeper.start(a.name+"host", a.binaries.host, append(a.hostArgs(), a.relay...)...)
	if err != nil {
		return nil, nil, err
	}
	base, err := a.awaitHost(ctx)
	if err != nil {
		return nil, nil, err
	}
	api := newAPI(base)
	quorumKey, err := a.bootEnclave(ctx, api)
	if err != nil {
		return nil, nil, err
	}
	return &Credentials{
		BaseURL:         base,
		QuorumPublicKey: quorumKey,
		AttestationRoot: a.folder.path("attestation-root.pem"),
		EnclavePID:      a.enclave.cmd.Process.Pid,
		HostPID:         host.cmd.Process.Pid,
	}, api, nil
}

func (a *appliance) bootEnclave(ctx context.Context, api *api) (quorumKey string, err error) {
	if a.enclave, err = a.keeper.start(a.name+"enclave", a.binaries.enclave, a.enclaveArgs()...); err != nil {
		return "", err
	}
	// Asking before the enclave listens would only fill the host's log.
	if err := await(ctx, filepath.Join(a.folder.sockets, enclaveSocket)); err != nil {
		return "", err
	}
	return api.awaitReady(ctx)
}

func (a *appliance) hostArgs() []string {
	level := "WARN"
	if a.command.Verbose {
		level = "INFO"
	}
	return []string{
		"serve",
		"--enclave", a.folder.socket(enclaveSocket),
		"--door", a.folder.socket(hostSocket),
		"--store", a.folder.path("store"),
		"--listen", a.command.Listen,
		"--ready-file", a.hostReady(),
		"--stop-timeout", hostStopTime.String(),
		"--log-level", level,
	}
}

func (a *appliance) enclaveArgs() []string {
	root := "file:" + a.folder.path("root.key")
	if a.shape.Root == "pkcs11" {
		root = a.command.Root
		if !strings.Contains(root, ";wrapped=") {
			root += ";wrapped=" + a.folder.path("root.wrapped")
		}
	}
	return []string{
		"--listen", a.folder.socket(enclaveSocket),
		"--host", a.folder.socket(hostSocket),
		"--root", root,
		"--manifest", a.folder.path("manifest.json"),
		"--attestation-root", a.folder.path("attestation-root.pem"),
	}
}

func (a *appliance) hostReady() string { return filepath.Join(a.folder.sockets, "host.json") }

// awaitHost returns the base URL once the host listens.
func (a *appliance) awaitHost(ctx context.Context) (string, error) {
	if err := await(ctx, a.hostReady()); err != nil {
		return "", err
	}
	b, err := os.ReadFile(a.hostReady())
	if err != nil {
		return "", err
	}
	if err := json.Unmarshal(b, &a.hostAddress); err != nil {
		return "", fmt.Errorf("the host's ready file: %w", err)
	}
	return baseURL(a.hostAddress.Listen)
}

// await returns once a file is there. Both files that are waited for appear
// whole: one by a rename, the other is a socket.
func await(ctx context.Context, path string) error {
	for {
		_, err := os.Stat(path)
		if err == nil || !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := pause(ctx, 2*time.Millisecond); err != nil {
			return err
		}
	}
}

// baseURL turns a listening address into one to connect to.
func baseURL(listen string) (string, error) {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return "", fmt.Errorf("the host's address: %w", err)
	}
	if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, port), nil
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
