// Package ceremony is what operators and holders do to bring an appliance up: they
// have it make its keys, and give it its root after a start.
//
// It believes nothing that the host says. Both act under a signed manifest that they
// bring along: an enclave counts only if it attests, just now, an image of that
// manifest and that it booted under exactly this manifest, and what it says then is
// proven by the key of that boot.
package ceremony

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport/sallyport/attestation"
	"github.com/sallyport/sallyport/attestation/proof"
)

// Client reaches one enclave through its host.
type Client struct {
	// BaseURL is http://HOST:PORT or https://..., of the host.
	BaseURL string
	// Trust is the root and the measurements that the caller accepts.
	Trust attestation.Trust
	// Signed is the manifest that the enclave must have booted under.
	Signed *attestation.Signed
	// HTTP makes the requests; nil means one with a timeout of 40 seconds.
	HTTP *http.Client
	// Now is the local clock; nil means time.Now.
	Now func() time.Time
}

const (
	maxReply  = 1 << 20
	nonceSize = 32
)

// RefusedError is a refusal: by the enclave, or by whoever is in between. It is not proven.
type RefusedError struct {
	HTTPStatus int
	Reason     string // of the enclave, such as SHARE_WRONG; may be empty
	Message    string
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("refused (HTTP %d): %s", e.HTTPStatus, e.Message)
}

// UnverifiedError says that something is not what it must be. Nothing was given away.
type UnverifiedError struct{ Message string }

func (e *UnverifiedError) Error() string { return e.Message }

func unverified(format string, args ...any) error {
	return &UnverifiedError{fmt.Sprintf(format, args...)}
}

// NetworkError means that there was no answer.
type NetworkError struct{ err error }

func (e *NetworkError) Error() string { return e.err.Error() }

// Unwrap returns what went wrong.
func (e *NetworkError) Unwrap() error { return e.err }

// call makes a request with a fresh nonce and returns the nonce.
func (c *Client) call(ctx context.Context, method, path string, body, answer any) (nonce []byte, err error) {
	nonce = make([]byte, nonceSize)
	_, _ = rand.Read(nonce) // never fails since Go 1.24
	return nonce, c.callWith(ctx, nonce, method, path, body, answer)
}

// insist is call, again after a network error: what it asks for happens once.
func (c *Client) insist(ctx context.Context, method, path string, body, answer any) error {
	for try := 1; ; try++ {
		_, err := c.call(ctx, method, path, body, answer)
		if _, network := errors.AsType[*NetworkError](err); !network || try == attempts || ctx.Err() != nil {
			return err
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Duration(try) * time.Second):
		}
	}
}

const attempts = 3

func (c *Client) callWith(ctx context.Context, nonce []byte, method, path string, body, answer any) (err error) {
	raw := []byte{}
	if body != nil {
		if raw, err = json.Marshal(body); err != nil {
			return err
		}
	}
	r, err := http.NewRequestWithContext(ctx, method, strings.TrimRight(c.BaseURL, "/")+path, bytes.NewReader(raw))
	if err != nil {
		return &NetworkError{err}
	}
	r.Header.Set(proof.NonceHeader, hex.EncodeToString(nonce))
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/json")
	}
	client := c.HTTP
	if client == nil {
		client = &http.Client{Timeout: 40 * time.Second}
	}
	res, err := client.Do(r)
	if err != nil {
		return &NetworkError{err}
	}
	defer func() { _ = res.Body.Close() }()
	got, err := io.ReadAll(io.LimitReader(res.Body, maxReply+1))
	if err != nil {
		return &NetworkError{err}
	}
	if res.StatusCode != http.StatusOK {
		return refusal(res.StatusCode, got)
	}
	if len(got) > maxReply || json.Unmarshal(got, answer) != nil {
		return unverified("the answer of %s is not the JSON that was expected", path)
	}
	return nil
}

func refusal(status int, body []byte) error {
	e := &RefusedError{HTTPStatus: status, Message: http.StatusText(status)}
	var google struct {
		Message string
		Details []struct{ TurnkeyErrorCode string }
	}
	if json.Unmarshal(body, &google) == nil && google.Message != "" {
		q := strconv.QuoteToASCII(google.Message[:min(len(google.Message), 300)])
		e.Message = q[1 : len(q)-1]
		for _, d := range google.Details {
			e.Reason = d.TurnkeyErrorCode
		}
	}
	return e
}

func (c *Client) now() time.Time {
	if c.Now != nil {
		return c.Now()
	}
	return time.Now()
}

// verified marks what did not verify, and is not of the attestation package.
func verified(err error) error {
	if _, ok := errors.AsType[*attestation.Error](err); ok || err == nil {
		return err
	}
	return unverified("%v", err)
}

// own reads the caller's manifest.
func (c *Client) own() (*attestation.Manifest, error) {
	m, err := c.Signed.Verify()
	if err != nil {
		return nil, err
	}
	if m.Root == nil {
		return nil, errors.New("manifest: root: names no holders")
	}
	if m.Assurance != c.Trust.Assurance() {
		return nil, unverified("the manifest is of assurance %s, and what is trusted is %s", m.Assurance, c.Trust.Assurance())
	}
	return m, nil
}
