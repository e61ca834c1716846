package turnkey

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/enclave/wire"
	"github.com/sallyport/sallyport/host/internal/front"
)

// still answers without remembering anything.
type still struct{ reply wire.Reply }

func (s *still) Do(context.Context, *wire.Request) (*wire.Reply, error) { return &s.reply, nil }
func (s *still) Status(context.Context) (*wire.Status, error)           { return nil, nil }

var benchBody = strings.Repeat("b", 600)

// discard is a ResponseWriter that costs nothing.
type discard struct{ h http.Header }

func (d *discard) Header() http.Header             { return d.h }
func (d *discard) WriteHeader(int)                 {}
func (d *discard) SetReadDeadline(time.Time) error { return nil }
func (d *discard) Write(p []byte) (int, error)     { return len(p), nil }

// BenchmarkHandler is the handler alone; the floor does what any handler must:
// read the body and write an answer.
func BenchmarkHandler(b *testing.B) {
	enclave := &still{wire.Reply{Status: 200, Body: make([]byte, 1500), Proof: strings.Repeat("p", 800)}}
	log := slog.New(slog.NewTextHandler(io.Discard, nil)) //nolint:sloglint // formatting the records is what is measured
	for name, h := range map[string]http.Handler{
		"own":        New(enclave, Config{}),
		"own/logged": New(enclave, Config{Log: log}),
		"floor":      floor(enclave.reply.Body),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			r := httptest.NewRequest("POST", whoami, nil)
			r.ContentLength = int64(len(benchBody))
			r.Header.Set("X-Stamp", strings.Repeat("s", 300))
			r.Header.Set("X-Sallyport-Nonce", strings.Repeat("ab", 32))
			w := &discard{http.Header{}}
			for b.Loop() {
				r.Body = io.NopCloser(strings.NewReader(benchBody))
				h.ServeHTTP(w, r)
			}
		})
	}
}

// BenchmarkServer is one client over loopback TCP, both ends' work included.
func BenchmarkServer(b *testing.B) {
	enclave := &still{wire.Reply{Status: 200, Body: make([]byte, 1500), Proof: strings.Repeat("p", 800)}}
	for name, h := range map[string]http.Handler{"own": New(enclave, Config{}), "floor": floor(enclave.reply.Body)} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			s := httptest.NewUnstartedServer(nil)
			s.Config = front.NewServer(New(enclave, Config{}))
			s.Config.Handler = h
			s.Start()
			defer s.Close()
			for b.Loop() {
				res, err := http.Post(s.URL+whoami, "application/json", strings.NewReader(benchBody))
				if err != nil {
					b.Fatal(err)
				}
				_, _ = io.Copy(io.Discard, res.Body)
				res.Body.Close()
			}
		})
	}
}

func floor(answer []byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(answer)
	})
}
