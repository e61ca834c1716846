// Package client is the Go client of an appliance's activity API. It believes
// nothing that the host says by itself: every request carries a fresh nonce,
// and a reply counts only with a proof by the ephemeral key of an enclave
// whose attestation document the client has verified, and whose manifest names
// the quorum key that the caller has pinned. Exports are verified before they
// are decrypted, and an approver gets to see what the submitter has signed.
//
// It trusts what [Config] pins: a root with measurements, and a quorum key.
// The host can still refuse service, delay it, and see what it carries.
package client

import (
	"bytes"
	"crypto/ecdh"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sallyport/sallyport/attestation"
)

// Config says which appliance a [Client] talks to, what it trusts, and as whom.
type Config struct {
	// BaseURL is http://HOST:PORT or https://..., with or without a path
	// prefix. Required.
	BaseURL string
	// Trust is the root and the measurements that are accepted. Required.
	Trust attestation.Trust
	// QuorumPublicKey is the appliance's, pinned by the caller: SEC 1
	// uncompressed P-256, 65 bytes. Required.
	QuorumPublicKey []byte
	// OrganizationID and Key say who asks. Both may be left out by whoever
	// only asks for the status or founds an organization.
	OrganizationID string
	Key            *APIKey
	// HTTP makes the requests; redirects are never followed. Nil means one
	// with a timeout of [DefaultTimeout].
	HTTP *http.Client
	// Now is the local clock; nil means time.Now. Proofs must be within
	// [MaxClockSkew] of it.
	Now func() time.Time
}

// DefaultTimeout is that of one attempt. A host gives up on its enclave after
// 30 seconds.
const DefaultTimeout = 40 * time.Second

// Client talks to one appliance. It is safe for concurrent use, and worth
// keeping: it remembers the boots that it verified and the journal that it saw.
type Client struct {
	base         string
	organization string
	key          *APIKey
	trust        attestation.Trust
	quorum       []byte
	http         *http.Client
	now          func() time.Time
	retryDelay   time.Duration

	boots   boots
	history history
	clock   clock
}

// New checks a configuration. It does not connect.
func New(c Config) (*Client, error) {
	base, err := parseBase(c.BaseURL)
	if err != nil {
		return nil, err
	}
	if c.Trust.Assurance() == "" {
		return nil, errors.New("trust: must name a root")
	}
	if _, err := ecdh.P256().NewPublicKey(c.QuorumPublicKey); err != nil {
		return nil, errors.New("quorum public key: must be an uncompressed point of P-256, 65 bytes")
	}
	if c.HTTP == nil {
		c.HTTP = &http.Client{Timeout: DefaultTimeout}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	doer := *c.HTTP
	// A redirect has no proof, and following one could change the method.
	doer.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Client{
		base: base, organization: c.OrganizationID, key: c.Key, trust: c.Trust,
		quorum: bytes.Clone(c.QuorumPublicKey), http: &doer, now: c.Now, retryDelay: firstRetry,
	}, nil
}

// ParseQuorumPublicKey reads a quorum key in the one form that people hand
// around: 130 lower-case hex digits.
func ParseQuorumPublicKey(text string) ([]byte, error) {
	b, err := hex.DecodeString(text)
	if err == nil && hex.EncodeToString(b) == text {
		if _, err = ecdh.P256().NewPublicKey(b); err == nil {
			return b, nil
		}
	}
	return nil, errors.New("quorum public key: must be 130 lower-case hex digits, an uncompressed point of P-256")
}

func parseBase(text string) (string, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return "", fmt.Errorf("base URL: %.128q must begin with http:// or https:// and name a host", text)
	case u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		return "", errors.New("base URL: must have no user, query or fragment")
	}
	return strings.TrimRight(text, "/"), nil
}

// Assurance is "nitro", or "local", which protects nothing.
func (c *Client) Assurance() string { return c.trust.Assurance() }

// OrganizationID is the organization that requests are made in.
func (c *Client) OrganizationID() string { return c.organization }

// clock gives every request of a client a timestamp of its own: two equal
// bodies are one activity.
type clock struct {
	mu   sync.Mutex
	last int64
}

func (c *clock) next(now time.Time) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last = max(c.last+1, now.UnixMilli())
	return c.last
}

// boots are the enclave boots that were verified, newest first. More than one
// enclave may serve one quorum key; what is forgotten is verified again.
type boots struct {
	mu       sync.Mutex
	verified []*boot
	fetching sync.Mutex // one request for a status at a time
}

const maxBoots = 8

func (b *boots) find(publicKey []byte) *boot {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, known := range b.verified {
		if bytes.Equal(known.document.PublicKey, publicKey) {
			return known
		}
	}
	return nil
}

func (b *boots) any() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.verified) > 0
}

func (b *boots) add(one *boot) {
	b.mu.Lock()
	defer b.mu.Unlock()
	others := slices.DeleteFunc(slices.Clone(b.verified), func(known *boot) bool {
		return bytes.Equal(known.document.PublicKey, one.document.PublicKey)
	})
	b.verified = append([]*boot{one}, others[:min(len(others), maxBoots-1)]...)
}
