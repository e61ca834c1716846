package front

import (
	"crypto/tls"
	"log/slog"
	"net/http"
	"time"
)

const (
	// maxHeader bounds one request's line and headers; net/http adds 4 KiB
	// and answers 431 beyond. A stamp is under 1 KiB.
	maxHeader = 16 << 10
	// headerTimeout and requestTimeout bound how long a client may take to
	// send its headers, and the whole request.
	headerTimeout  = 5 * time.Second
	requestTimeout = 10 * time.Second
	// idleTimeout outlasts the idle timeouts of common load balancers, so
	// that it is they who close first.
	idleTimeout = 2 * time.Minute
)

// NewServer returns an HTTP/1.1 server around h with every limit set. HTTP/2
// is not spoken: no client needs it, and one request per connection at a time
// keeps the bounds on memory easy to see.
func NewServer(h *Handler) *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Server{
		Handler:           h,
		Protocols:         protocols,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       requestTimeout,
		// For what the host answers by itself. An answer from the enclave gets
		// its time once it is there.
		WriteTimeout:                 requestTimeout + answerTimeout,
		IdleTimeout:                  idleTimeout,
		MaxHeaderBytes:               maxHeader,
		DisableGeneralOptionsHandler: true, // OPTIONS * is a path like any other
		TLSConfig:                    &tls.Config{MinVersion: tls.VersionTLS12},
		ErrorLog:                     slog.NewLogLogger(h.log.Handler(), slog.LevelWarn),
	}
}
