package serve

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/sallyport/sallyport/enclave/wire"
	"github.com/sallyport/sallyport/host/internal/kms"
	"github.com/sallyport/sallyport/host/internal/relay"
	"github.com/sallyport/sallyport/host/internal/relay/server"
	"github.com/sallyport/sallyport/host/internal/store"
)

// Network holds the flags about relays and rule servers.
type Network struct {
	Relay              string   `placeholder:"HOST:PORT" help:"Relay for MPC operations that name none."`
	RelayAllow         []string `placeholder:"HOST:PORT" help:"Further relays that a request may name (relay_address)."`
	RelayAllowLoopback bool     `help:"Allow any relay on this machine. For development."`
	RelayListen        string   `placeholder:"HOST:PORT" help:"Run a relay in this process, and use it unless --relay names another."`
	RelayTLSCert       string   `name:"relay-tls-cert" type:"path" placeholder:"FILE" help:"Certificate (PEM) of the relay in this process."`
	RelayTLSKey        string   `name:"relay-tls-key" type:"path" placeholder:"FILE" help:"Key of that certificate (PEM)."`
	RelayTLS           bool     `name:"relay-tls" help:"Reach relays by TLS."`
	RelayCA            string   `name:"relay-ca" type:"path" placeholder:"FILE" help:"Certificates (PEM) under which relays are trusted, instead of the system's."`
	RelayTokenFile     string   `type:"path" placeholder:"FILE" help:"Token that relays want, on the first line."`
	RulesAllowPrivate  bool     `help:"Allow rule servers on private addresses and over plain HTTP. For development."`
}

func (n *Network) validate() error {
	if (n.RelayTLSCert == "") != (n.RelayTLSKey == "") {
		return errors.New("--relay-tls-cert and --relay-tls-key: only one is given")
	}
	if n.RelayTLSCert != "" && n.RelayListen == "" {
		return errors.New("--relay-tls-cert: is for the relay of --relay-listen")
	}
	if n.Relay != "" && !dialable(n.Relay) {
		return errors.New("--relay: must be HOST:PORT")
	}
	if slices.ContainsFunc(n.RelayAllow, func(a string) bool { return !dialable(a) }) {
		return errors.New("--relay-allow: must be HOST:PORT")
	}
	return nil
}

// dialable tells whether an address has the form of one, with a port's number.
func dialable(address string) bool {
	host, text, err := net.SplitHostPort(address)
	port, bad := strconv.ParseUint(text, 10, 16)
	return err == nil && bad == nil && port > 0 && host != ""
}

// open starts the relay of this process, if there is one, and the client.
func (n *Network) open(log *slog.Logger) (*relay.Relay, *server.Server, error) {
	token, err := ReadToken(n.RelayTokenFile)
	if err != nil {
		return nil, nil, fmt.Errorf("--relay-token-file: %w", err)
	}
	config, err := n.tls()
	if err != nil {
		return nil, nil, err
	}
	var own *server.Server
	address := n.Relay
	if n.RelayListen != "" {
		served, err := RelayTLS(n.RelayTLSCert, n.RelayTLSKey)
		if err != nil {
			return nil, nil, fmt.Errorf("--relay-tls-cert, --relay-tls-key: %w", err)
		}
		if own, err = server.Start(server.Config{Listen: n.RelayListen, Token: token, TLS: served}); err != nil {
			return nil, nil, fmt.Errorf("--relay-listen: %w", err)
		}
		log.Info("relay listening", "listen", own.Addr(), "tls", served != nil, "token", token != "")
		if address == "" {
			address = own.Addr()
		}
	}
	return relay.New(relay.Config{
		Default: address, Allow: n.RelayAllow, AllowLoopback: n.RelayAllowLoopback, Token: token, TLS: config,
		RulesAllowPrivate: n.RulesAllowPrivate, Log: log,
	}), own, nil
}

func (n *Network) tls() (*tls.Config, error) {
	if !n.RelayTLS && n.RelayCA == "" {
		return nil, nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if n.RelayCA != "" {
		pem, err := os.ReadFile(n.RelayCA)
		if err != nil {
			return nil, fmt.Errorf("--relay-ca: %w", err)
		}
		if config.RootCAs = x509.NewCertPool(); !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, errors.New("--relay-ca: holds no certificate")
		}
	}
	return config, nil
}

// RelayTLS is what a relay with a certificate serves; nil without one.
func RelayTLS(cert, key string) (*tls.Config, error) {
	if cert == "" {
		return nil, nil
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, err
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}}, nil
}

// ReadToken reads a token file; no file is no token.
func ReadToken(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	line, _, _ := strings.Cut(string(b), "\n")
	if line = strings.TrimSpace(line); line == "" {
		return "", errors.New("its first line is empty")
	}
	return line, nil
}

// keeper is everything that the host does for the enclave.
type keeper struct {
	*store.Store
	*relay.Relay
	manifest string // file; may be ""
	kms      *kms.Client
}

var (
	_ wire.Host           = keeper{}
	_ wire.Network        = keeper{}
	_ wire.ManifestSource = keeper{}
	_ wire.KeyService     = keeper{}
)

// DecryptByKMS asks under the credentials of this host.
func (k keeper) DecryptByKMS(ctx context.Context, q *wire.KMSQuestion) (*wire.KMSAnswer, error) {
	b, err := k.kms.Decrypt(ctx, q.KeyID, q.Ciphertext, q.Document)
	if err == nil {
		return &wire.KMSAnswer{CiphertextForRecipient: b}, nil
	}
	code := wire.FailedPrecondition
	for known, c := range map[error]wire.Code{
		kms.ErrNotAllowed: wire.PermissionDenied, kms.ErrNoSuchKey: wire.NotFound, kms.ErrUnavailable: wire.Unavailable,
	} {
		if errors.Is(err, known) {
			code = c
		}
	}
	return nil, wire.Errorf(code, "", "%.500s", err.Error())
}

// BootManifest reads the manifest anew each time: a successor takes the place of a
// file while the enclave is down.
func (k keeper) BootManifest(context.Context) ([]byte, error) {
	if k.manifest == "" {
		return nil, wire.Errorf(wire.NotFound, "", "the host was given no manifest")
	}
	b, err := os.ReadFile(k.manifest)
	if err != nil {
		return nil, wire.Errorf(wire.NotFound, "", "the host's manifest file cannot be read")
	}
	return bytes.TrimSuffix(b, []byte("\n")), nil
}
