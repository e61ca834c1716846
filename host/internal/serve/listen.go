package serve

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"

	"github.com/sallyport/sallyport/host/internal/front"
)

// listen opens the HTTP front, with TLS when there is a certificate.
func (c *Command) listen(at string, log *slog.Logger) (net.Listener, error) {
	var config *tls.Config
	if c.TLSCert != "" {
		pair, err := tls.LoadX509KeyPair(c.TLSCert, c.TLSKey)
		if err != nil {
			return nil, fmt.Errorf("--tls-cert, --tls-key: %w", err)
		}
		config = &tls.Config{
			MinVersion:   tls.VersionTLS12,
			Certificates: []tls.Certificate{pair},
			NextProtos:   []string{"http/1.1"},
		}
	}
	ln, err := net.Listen("tcp", at)
	if err != nil {
		return nil, fmt.Errorf("--listen %s: %w", at, err)
	}
	if config != nil {
		return front.Listener(tls.NewListener(ln, config)), nil
	}
	if tcp, ok := ln.Addr().(*net.TCPAddr); ok && !tcp.IP.IsLoopback() {
		log.Warn("plain HTTP on an address that others can reach: stamps keep requests from being altered, not from being read", "listen", tcp.String())
	}
	return front.Listener(ln), nil
}
