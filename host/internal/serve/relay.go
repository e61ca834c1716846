package serve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/sallyport/sallyport/host/internal/relay/server"
)

// Relay holds the flags of `sallyport relay`.
type Relay struct {
	Listen    string `required:"" placeholder:"HOST:PORT" help:"Where hosts reach the relay; port 0 takes a free one."`
	TLSCert   string `name:"tls-cert" type:"path" placeholder:"FILE" help:"Certificate chain (PEM); with --tls-key the relay speaks TLS."`
	TLSKey    string `name:"tls-key" type:"path" placeholder:"FILE" help:"Key of the certificate (PEM)."`
	TokenFile string `type:"path" placeholder:"FILE" help:"Token that hosts must show, on the first line."`
	ReadyFile string `type:"path" placeholder:"FILE" help:"Written once listening, as {\"relay_address\":\"HOST:PORT\"}; removed at the end."`
}

// Validate checks what the flags say together.
func (c *Relay) Validate() error {
	if (c.TLSCert == "") != (c.TLSKey == "") {
		return errors.New("--tls-cert and --tls-key: only one is given")
	}
	return nil
}

// Run carries messages until ctx ends or a signal arrives.
func (c *Relay) Run(ctx context.Context) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	token, err := ReadToken(c.TokenFile)
	if err != nil {
		return fmt.Errorf("--token-file: %w", err)
	}
	config, err := RelayTLS(c.TLSCert, c.TLSKey)
	if err != nil {
		return fmt.Errorf("--tls-cert, --tls-key: %w", err)
	}
	s, err := server.Start(server.Config{Listen: c.Listen, Token: token, TLS: config})
	if err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	defer s.Close()
	slog.New(slog.NewTextHandler(os.Stderr, nil)).Info("relay listening", "listen", s.Addr(), "tls", config != nil, "token", token != "")
	if c.ReadyFile != "" {
		if err := writeReady(c.ReadyFile, Ready{RelayAddress: s.Addr()}); err != nil {
			return fmt.Errorf("--ready-file: %w", err)
		}
		defer func() { _ = os.Remove(c.ReadyFile) }()
	}
	<-ctx.Done()
	return nil
}
