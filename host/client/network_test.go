package client_test

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"

	"github.com/sallyport/sallyport/attestation/proof"
	"github.com/sallyport/sallyport/host/client"
)

func TestLostAnswerIsAskedForAgainWithTheSameBody(t *testing.T) {
	w := newWorld(t, 1, 1)
	c := w.as(0)
	if _, err := c.Whoami(t.Context()); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var bodies, nonces []string
	w.host.tamper(func(_ http.ResponseWriter, r *http.Request, body *[]byte) bool {
		mu.Lock()
		defer mu.Unlock()
		bodies, nonces = append(bodies, string(*body)), append(nonces, r.Header.Get(proof.NonceHeader))
		return true
	}, func(*http.Request, *httptest.ResponseRecorder) {
		mu.Lock()
		defer mu.Unlock()
		if len(bodies) < 3 {
			panic(http.ErrAbortHandler) // the enclave has done it, and nobody hears
		}
	})
	if _, err := c.CreatePrivateKeys(t.Context(), client.NewPrivateKey{PrivateKeyName: "k", Curve: client.KeyCurveP256}); err != nil {
		t.Fatal(err)
	}
	if len(bodies) != 3 || len(slices.Compact(bodies)) != 1 {
		t.Errorf("bodies are %q, want the same one three times", bodies)
	}
	slices.Sort(nonces)
	if len(slices.Compact(nonces)) != 3 {
		t.Error("a nonce was used twice")
	}
	w.host.tamper(nil, nil)
	if keys, err := c.ListPrivateKeys(t.Context()); err != nil || len(keys) != 1 {
		t.Errorf("keys are %v (%v), want one", keys, err)
	}
}

func TestHostWithoutEnclaveIsNotTakenForARefusal(t *testing.T) {
	for _, tt := range []struct {
		name, path, body, want string
		status, attempts       int
	}{
		{
			"unavailable", whoamiPath, `{"code":14,"message":"the enclave cannot be reached\u001b[2J"}`,
			`no answer from the enclave; its host says (HTTP 503): the enclave cannot be reached\x1b[2J`, 503, 3,
		},
		{"an incident", whoamiPath, `<html>`, `no answer from the enclave; its host says (HTTP 500): Internal Server Error`, 500, 1},
		{
			"not ready", "/sallyport/v1/status", `{"phase":"AwaitingRoot","reason":"no root has been given","journalSize":"0","epoch":"0","timeMs":"1"}`,
			`no answer from the enclave; its host says (HTTP 200): the enclave is AwaitingRoot: no root has been given`, 200, 1,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, 1, 1)
			c := w.as(0)
			before := w.host.count(tt.path)
			w.host.tamper(func(rw http.ResponseWriter, r *http.Request, _ *[]byte) bool {
				if r.URL.Path == tt.path {
					rw.WriteHeader(tt.status)
					_, _ = rw.Write([]byte(tt.body))
					return false
				}
				return true
			}, nil)
			_, err := c.Whoami(t.Context())
			var host *client.HostError
			if !errors.As(err, &host) || err.Error() != tt.want {
				t.Errorf("got %v, want %s", err, tt.want)
			}
			if n := w.host.count(tt.path) - before; n != tt.attempts {
				t.Errorf("%d attempts, want %d", n, tt.attempts)
			}
		})
	}
}

func TestNobodyThereIsANetworkError(t *testing.T) {
	w := newWorld(t, 1, 1)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	_, err = w.client(client.Config{BaseURL: "http://" + l.Addr().String()}).Status(t.Context())
	var network *client.NetworkError
	if !errors.As(err, &network) {
		t.Errorf("got %v", err)
	}
}

func TestConfigurationIsChecked(t *testing.T) {
	w := newWorld(t, 1, 1)
	good := client.Config{BaseURL: "https://example.test/prefix/", Trust: w.enclave.Trust, QuorumPublicKey: w.quorum}
	if _, err := client.New(good); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, want string
		change     func(c *client.Config)
	}{
		{"no scheme", `base URL: "example.test" must begin with http:// or https:// and name a host`, func(c *client.Config) { c.BaseURL = "example.test" }},
		{"query", "base URL: must have no user, query or fragment", func(c *client.Config) { c.BaseURL += "?a=b" }},
		{"no trust", "trust: must name a root", func(c *client.Config) { c.Trust = client.Config{}.Trust }},
		{"short key", "quorum public key: must be an uncompressed point of P-256, 65 bytes", func(c *client.Config) { c.QuorumPublicKey = w.quorum[:64] }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := good
			tt.change(&c)
			if _, err := client.New(c); err == nil || err.Error() != tt.want {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
	anonymous := w.client(client.Config{})
	if _, err := anonymous.Whoami(t.Context()); err == nil {
		t.Error("a client without a key asks who it is")
	}
}
