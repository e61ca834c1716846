// Package serve is `sallyport serve`: the host of one enclave. It keeps the
// store open for the enclave's calls at the door, and the HTTP front open for
// clients. It holds no key and no secret; it can be killed and started again
// at any time while the enclave lives on.
package serve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/sallyport/sallyport/enclave/wire"
	"github.com/sallyport/sallyport/host/internal/front"
	"github.com/sallyport/sallyport/host/internal/kms"
	"github.com/sallyport/sallyport/host/internal/relay/server"
	"github.com/sallyport/sallyport/host/internal/store"
	"github.com/sallyport/sallyport/host/internal/turnkey"
	"github.com/sallyport/sallyport/host/internal/vertex"
)

// Command holds the flags of `sallyport serve`.
type Command struct {
	Enclave     string        `required:"" placeholder:"ADDR" help:"The enclave's side of the door: unix:PATH or vsock:CID:PORT."`
	Store       string        `required:"" placeholder:"DIR" help:"Folder of the journal; made when missing."`
	Door        string        `required:"" placeholder:"ADDR" help:"Where the enclave reaches the store: unix:PATH or vsock:CID:PORT."`
	Manifest    string        `type:"path" placeholder:"FILE" help:"Signed manifest that the enclave asks for when it boots."`
	Listen      string        `required:"" placeholder:"HOST:PORT" help:"Where clients reach the HTTP API."`
	KMSEndpoint string        `name:"kms-endpoint" placeholder:"URL" help:"Where AWS KMS is reached for an enclave whose root needs it (default: AWS's, of the key's region)."`
	NextEnclave string        `placeholder:"ADDR" help:"Another enclave on the same store, which awaits the root that the first one hands over."`
	NextListen  string        `placeholder:"HOST:PORT" help:"Where clients reach that one."`
	TLSCert     string        `name:"tls-cert" type:"path" placeholder:"FILE" help:"Certificate chain (PEM); with --tls-key the API speaks HTTPS."`
	TLSKey      string        `name:"tls-key" type:"path" placeholder:"FILE" help:"Key of the certificate (PEM)."`
	MaxInFlight int           `default:"128" help:"Requests taken to the enclave at once; more are answered 429."`
	StopTimeout time.Duration `default:"5s" help:"How long a stop waits for requests in flight."`
	ReadyFile   string        `type:"path" placeholder:"FILE" help:"Written once listening, as {\"listen\":\"HOST:PORT\"}; removed at the end."`
	LogLevel    slog.Level    `default:"INFO" help:"DEBUG, INFO, WARN or ERROR; each request is logged at INFO."`
	LogFormat   string        `default:"text" enum:"text,json" help:"text or json, on standard error."`
	Network     `embed:"" group:"Relay:"`
}

// Validate checks what the flags say together.
func (c *Command) Validate() error {
	if (c.TLSCert == "") != (c.TLSKey == "") {
		return errors.New("--tls-cert and --tls-key: only one is given")
	}
	if (c.NextEnclave == "") != (c.NextListen == "") {
		return errors.New("--next-enclave and --next-listen: only one is given")
	}
	if c.MaxInFlight < 1 {
		return fmt.Errorf("--max-in-flight: must be at least 1, is %d", c.MaxInFlight)
	}
	if c.StopTimeout < 0 {
		return fmt.Errorf("--stop-timeout: must not be negative, is %v", c.StopTimeout)
	}
	return c.validate()
}

// Run serves until ctx ends or SIGINT or SIGTERM arrives, and then returns nil
// once requests in flight have their answers. A second signal ends the process
// at once.
func (c *Command) Run(ctx context.Context) (err error) {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)

	log := c.logger()
	host, err := store.Open(c.Store)
	if err != nil {
		return fmt.Errorf("--store: %w", err)
	}
	defer func() { err = errors.Join(err, host.Close()) }()
	door, err := wire.Listen(c.Door)
	if err != nil {
		return fmt.Errorf("--door: %w", err)
	}
	defer door.Close()
	network, own, err := c.open(log)
	if err != nil {
		return err
	}
	defer func() { _ = network.Close() }() // never fails
	if own != nil {
		defer own.Close()
	}

	service, err := kms.New(ctx, kms.Options{Endpoint: c.KMSEndpoint})
	if err != nil {
		return err
	}
	var faces []face
	for _, at := range []struct{ enclave, listen string }{{c.Enclave, c.Listen}, {c.NextEnclave, c.NextListen}} {
		if at.enclave == "" {
			continue
		}
		f, done, err := c.face(at.enclave, at.listen, log)
		if err != nil {
			return err
		}
		defer done()
		faces = append(faces, f)
	}
	s := &session{
		log: log, faces: faces,
		serveDoor: func(ctx context.Context) error {
			return wire.ServeHost(ctx, door, keeper{host, network, c.Manifest, service}, log)
		},
		timeout:   c.StopTimeout,
		listening: func() error { return c.announce(log, faces, own) },
	}
	defer c.retract()
	return s.run(ctx)
}

// face makes the server of one enclave's clients, which done closes.
func (c *Command) face(address, listen string, log *slog.Logger) (f face, done func(), err error) {
	if f.ln, err = c.listen(listen, log); err != nil {
		return f, nil, err
	}
	enclave := wire.NewEnclaveClient(address)
	f.server = front.NewServer(front.New(enclave, front.Config{Log: log},
		turnkey.Face(enclave, turnkey.Config{MaxInFlight: c.MaxInFlight}),
		vertex.Face(vertex.Config{MaxInFlight: c.MaxInFlight})))
	return f, func() {
		_ = f.ln.Close()
		_ = enclave.Close() // never fails
	}, nil
}

func (c *Command) logger() *slog.Logger {
	options := &slog.HandlerOptions{Level: c.LogLevel}
	if c.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(os.Stderr, options))
	}
	return slog.New(slog.NewTextHandler(os.Stderr, options))
}

// announce says that clients can connect from now on.
func (c *Command) announce(log *slog.Logger, faces []face, own *server.Server) error {
	addr := faces[0].ln.Addr()
	log.Info("listening", "listen", addr.String(), "tls", c.TLSCert != "", "enclave", c.Enclave, "door", c.Door)
	if c.ReadyFile == "" {
		return nil
	}
	ready := Ready{Listen: addr.String()}
	if len(faces) > 1 {
		ready.NextListen = faces[1].ln.Addr().String()
	}
	if own != nil {
		ready.RelayAddress = own.Addr()
	}
	if err := writeReady(c.ReadyFile, ready); err != nil {
		return fmt.Errorf("--ready-file: %w", err)
	}
	return nil
}

func (c *Command) retract() {
	if c.ReadyFile != "" {
		_ = os.Remove(c.ReadyFile)
	}
}
