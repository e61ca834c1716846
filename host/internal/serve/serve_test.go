package serve

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/enclave/wire"
)

// echo answers with the path that it was asked for.
type echo struct{}

func (echo) Status(context.Context) (*wire.Status, error) {
	return &wire.Status{Version: "test", Phase: wire.PhaseReady, Assurance: "local"}, nil
}

func (echo) Do(_ context.Context, r *wire.Request) (*wire.Reply, error) {
	body, err := json.Marshal(r.Path)
	return &wire.Reply{Status: 200, Body: body}, err
}

// command is a `serve` in front of an enclave that echoes.
func command(t *testing.T) *Command {
	t.Helper()
	dir, err := os.MkdirTemp("", "serve") // short: it holds sockets
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	c := &Command{
		Enclave: "unix:" + filepath.Join(dir, "enclave.sock"), Door: "unix:" + filepath.Join(dir, "host.sock"),
		Store: filepath.Join(dir, "store"), Listen: "127.0.0.1:0", MaxInFlight: 4,
		StopTimeout: 5 * time.Second, ReadyFile: filepath.Join(dir, "ready.json"), LogLevel: slog.LevelError,
	}
	ln, err := wire.Listen(c.Enclave)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = wire.ServeEnclave(ctx, ln, echo{}, slog.New(slog.DiscardHandler))
	}()
	t.Cleanup(func() { cancel(); <-done })
	return c
}

// runUntilReady starts c and returns its address and what stops it.
func runUntilReady(t *testing.T, c *Command) (listen string, stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	stop = func() error { cancel(); return <-done }
	for {
		select {
		case err := <-done:
			t.Fatalf("serve ended: %v", err)
		case <-time.After(time.Millisecond):
		}
		b, err := os.ReadFile(c.ReadyFile)
		if err != nil {
			continue
		}
		var r Ready
		if err := json.Unmarshal(b, &r); err != nil {
			t.Fatalf("the ready file is %q", b)
		}
		return r.Listen, stop
	}
}

func TestServeJoinsClientsEnclaveAndStore(t *testing.T) {
	c := command(t)
	for range 2 { // the second start finds everything as the first left it
		listen, stop := runUntilReady(t, c)
		res, err := http.Post("http://"+listen+"/public/v1/query/whoami", "", strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || string(b) != `"/public/v1/query/whoami"` {
			t.Errorf("the answer is %q, %v", b, err)
		}
		store := wire.NewHostClient(c.Door)
		if err := store.PutBlobs(t.Context(), [][]byte{[]byte("sealed")}); err != nil {
			t.Errorf("the enclave cannot reach the store: %v", err)
		}
		if err := store.Close(); err != nil {
			t.Error(err)
		}
		if err := stop(); err != nil {
			t.Errorf("serve ended with %v", err)
		}
		if _, err := os.Stat(c.ReadyFile); err == nil {
			t.Error("the ready file outlived the host")
		}
	}
}

func TestServeSpeaksTLSWithACertificate(t *testing.T) {
	c := command(t)
	roots := certify(t, c)
	listen, stop := runUntilReady(t, c)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true, DisableKeepAlives: true}}
	res, err := client.Get("https://" + listen + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != 200 || res.TLS == nil || res.TLS.Version < tls.VersionTLS12 || res.ProtoMajor != 1 {
		t.Errorf("answer is %s over %s", res.Status, res.Proto)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestServeNamesTheFlagThatIsWrong(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for flag, change := range map[string]func(*Command){
		"--store":      func(c *Command) { c.Store = os.DevNull },
		"--door":       func(c *Command) { c.Door = "carrier pigeon" },
		"--listen":     func(c *Command) { c.Listen = taken.Addr().String() },
		"--tls-cert":   func(c *Command) { c.TLSCert, c.TLSKey = "/none", "/none" },
		"--ready-file": func(c *Command) { c.ReadyFile = "/none/ready" },
	} {
		t.Run(flag, func(t *testing.T) {
			c := command(t)
			change(c)
			if err := c.Run(t.Context()); err == nil || !strings.HasPrefix(err.Error(), flag) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// certify gives c a certificate of its own and returns who trusts it.
func certify(t *testing.T, c *Command) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	c.TLSCert, c.TLSKey = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, block := range map[string]*pem.Block{
		c.TLSCert: {Type: "CERTIFICATE", Bytes: der},
		c.TLSKey:  {Type: "PRIVATE KEY", Bytes: private},
	} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return pool
}
