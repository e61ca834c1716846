package client_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/attestation"
	"github.com/sallyport/sallyport/enclave/enclavetest"
	"github.com/sallyport/sallyport/host/client"
	"github.com/sallyport/sallyport/host/internal/turnkey"
)

// A world is an appliance behind a host that the test may make hostile.
type world struct {
	*testing.T
	enclave *enclavetest.Enclave
	host    *host
	server  *httptest.Server
	quorum  []byte
	org     string
	body    []byte // founding body
	users   []client.FoundedUser
	keys    []*client.APIKey
	now     func() time.Time // of clients
}

// newWorld founds an organization of so many root users with a quorum.
func newWorld(t *testing.T, users, quorum int) *world {
	t.Helper()
	w := &world{T: t, enclave: enclavetest.New(t, enclavetest.Options{})}
	w.host = &host{honest: turnkey.New(w.enclave, turnkey.Config{})}
	w.server = httptest.NewServer(w.host)
	t.Cleanup(w.server.Close)
	m, err := attestation.ParseManifest(w.enclave.Manifest)
	if err != nil {
		t.Fatal(err)
	}
	w.quorum = m.QuorumPublicKey
	founder := w.client(client.Config{})
	var roots []client.RootUser
	for i := range users {
		key := newKey(t)
		w.keys = append(w.keys, key)
		roots = append(roots, client.RootUser{
			UserName: fmt.Sprintf("root-%d", i+1),
			APIKeys:  []client.RootAPIKey{{APIKeyName: "first", PublicKey: key.PublicHex(), CurveType: client.CurveP256}},
		})
	}
	if w.body, err = founder.NewFoundingBody("R&D", roots, quorum); err != nil {
		t.Fatal(err)
	}
	reply, err := founder.CreateOrganization(t.Context(), w.body, w.keys...)
	if err != nil {
		t.Fatal(err)
	}
	w.org, w.users = reply.OrganizationID, reply.Users
	return w
}

func newKey(t *testing.T) *client.APIKey {
	t.Helper()
	key, err := client.NewAPIKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// client fills in what c leaves out.
func (w *world) client(c client.Config) *client.Client {
	w.Helper()
	if c.BaseURL == "" {
		c.BaseURL = w.server.URL
	}
	if c.Trust.Assurance() == "" {
		c.Trust = w.enclave.Trust
	}
	if c.QuorumPublicKey == nil {
		c.QuorumPublicKey = w.quorum
	}
	if c.Now == nil {
		c.Now = w.now
	}
	out, err := client.New(c)
	if err != nil {
		w.Fatal(err)
	}
	return out
}

// as is a client of a root user, counted from 0.
func (w *world) as(user int) *client.Client {
	w.Helper()
	return w.client(client.Config{OrganizationID: w.org, Key: w.keys[user]})
}

func (w *world) newPrivateKey(c *client.Client, curve string, formats ...string) string {
	w.Helper()
	made, err := c.CreatePrivateKeys(w.Context(), client.NewPrivateKey{PrivateKeyName: "a " + curve, Curve: curve, AddressFormats: formats})
	if err != nil {
		w.Fatal(err)
	}
	return made[0].PrivateKeyID
}

// A host is an honest one with hooks for a dishonest operator.
type host struct {
	honest http.Handler

	mu   sync.Mutex
	seen []string // paths
	// before may change a request, or answer it by returning false.
	before func(w http.ResponseWriter, r *http.Request, body *[]byte) bool
	// after may change a reply.
	after func(r *http.Request, reply *httptest.ResponseRecorder)
}

func (h *host) hooks() (func(http.ResponseWriter, *http.Request, *[]byte) bool, func(*http.Request, *httptest.ResponseRecorder)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.before, h.after
}

// tamper sets the hooks.
func (h *host) tamper(before func(http.ResponseWriter, *http.Request, *[]byte) bool, after func(*http.Request, *httptest.ResponseRecorder)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.before, h.after = before, after
}

// count tells how often a path was asked for.
func (h *host) count(path string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(slices.DeleteFunc(slices.Clone(h.seen), func(p string) bool { return p != path }))
}

func (h *host) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	h.seen = append(h.seen, r.URL.Path)
	h.mu.Unlock()
	before, after := h.hooks()
	body, _ := io.ReadAll(r.Body)
	if before != nil && !before(w, r, &body) {
		return
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	reply := httptest.NewRecorder()
	h.honest.ServeHTTP(reply, r)
	if after != nil {
		after(r, reply)
	}
	for name, values := range reply.Header() {
		if name != "Content-Length" {
			w.Header()[name] = values
		}
	}
	w.WriteHeader(reply.Code)
	_, _ = w.Write(reply.Body.Bytes())
}

// setBody replaces the body of a reply.
func setBody(reply *httptest.ResponseRecorder, body []byte) { reply.Body = bytes.NewBuffer(body) }
