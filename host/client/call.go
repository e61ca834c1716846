package client

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/sallyport/sallyport/attestation/proof"
)

const (
	nonceSize = 32
	// maxReply is the longest answer that crosses the enclave's door: a list
	// of some ten thousands of private keys.
	maxReply = 32 << 20
	// maxAttempts and firstRetry: a request is sent again after 100 and 200
	// milliseconds. Longer outages are for the caller to sit out.
	maxAttempts = 3
	firstRetry  = 100 * time.Millisecond
)

// A request is one call, with the exact bytes that every attempt sends.
type request struct {
	method string
	path   string // without the prefix of the base URL: what the proof covers
	body   []byte
	stamp  string
}

// A reply is what came back, of which nothing is believed yet.
type reply struct {
	*request
	status  int
	body    []byte
	proof   string
	nonce   []byte
	since   mark
	problem string // what is wrong with the proof header
}

// An answer is a proven reply.
type answer struct {
	*reply
	signer []byte // the ephemeral public key, 130 bytes
	proof  proof.Reply
}

// refuse makes the error of a refused reply.
func (r *reply) refuse(reason string, cause error, format string, args ...any) *ProofError {
	return &ProofError{
		Reason: reason, Message: fmt.Sprintf(format, args...), Path: r.path, HTTPStatus: r.status, cause: cause,
	}
}

// exchange sends a request until there is a reply. Repeating is safe: the
// enclave knows a body that it has seen, and gives the same answer again.
func (c *Client) exchange(ctx context.Context, r *request) (*reply, error) {
	delay := c.retryDelay
	for attempt := 1; ; attempt++ {
		got, err := c.send(ctx, r)
		if err == nil || attempt == maxAttempts || !temporary(err) || ctx.Err() != nil {
			return got, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(delay):
		}
		delay *= 2
	}
}

func temporary(err error) bool {
	var host *HostError
	if errors.As(err, &host) {
		switch host.HTTPStatus {
		case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
			return true
		}
		return false
	}
	var network *NetworkError
	return errors.As(err, &network)
}

// send makes one attempt, with a nonce of its own.
func (c *Client) send(ctx context.Context, r *request) (*reply, error) {
	out := &reply{request: r, nonce: make([]byte, nonceSize), since: c.history.mark()}
	_, _ = rand.Read(out.nonce) // never fails since Go 1.24
	h, err := http.NewRequestWithContext(ctx, r.method, c.base+r.path, bytes.NewReader(r.body))
	if err != nil {
		return nil, &NetworkError{err}
	}
	h.Header.Set(proof.NonceHeader, hex.EncodeToString(out.nonce))
	if r.method == http.MethodPost {
		h.Header.Set("Content-Type", "application/json")
	}
	if r.stamp != "" {
		h.Header.Set("X-Stamp", r.stamp)
	}
	res, err := c.http.Do(h)
	if err != nil {
		return nil, &NetworkError{err}
	}
	defer res.Body.Close()
	if out.body, err = io.ReadAll(io.LimitReader(res.Body, maxReply+1)); err != nil {
		return nil, &NetworkError{fmt.Errorf("reading the reply of %s: %w", r.path, err)}
	}
	out.status = res.StatusCode
	out.readProof(res.Header.Values(proof.ReplyHeader))
	if out.proof == "" && (out.status >= 500 || out.status == http.StatusTooManyRequests) {
		return nil, &HostError{HTTPStatus: out.status, Message: hostMessage(out.status, out.body)}
	}
	return out, nil
}

func (r *reply) readProof(values []string) {
	switch {
	case len(r.body) > maxReply:
		r.problem = fmt.Sprintf("the reply has more than %d bytes", maxReply)
	case len(values) == 0:
		r.problem = fmt.Sprintf("there is no %s header (HTTP %d)", proof.ReplyHeader, r.status)
	case len(values) > 1:
		r.problem = fmt.Sprintf("there is more than one %s header", proof.ReplyHeader)
	default:
		r.proof = values[0]
	}
}

// hostMessage takes the message out of a host's own answer, fit for a terminal.
func hostMessage(status int, body []byte) string {
	var e struct{ Message string }
	if json.Unmarshal(body, &e) != nil || e.Message == "" {
		return http.StatusText(status)
	}
	q := strconv.QuoteToASCII(e.Message[:min(len(e.Message), 300)])
	return q[1 : len(q)-1]
}

// call takes a request to a proven 2xx answer and decodes it into v. A proven
// refusal is an [*APIError].
func (c *Client) call(ctx context.Context, r *request, v any) (*answer, error) {
	if err := c.meet(ctx); err != nil {
		return nil, err
	}
	got, err := c.exchange(ctx, r)
	if err != nil {
		return nil, err
	}
	a, err := c.accept(ctx, got)
	if err != nil {
		return nil, err
	}
	if a.status < 200 || a.status > 299 {
		return nil, a.refusal()
	}
	if err := json.Unmarshal(a.body, v); err != nil {
		return nil, a.refuse(ReasonContent, nil, "it is not the JSON that was expected: %v", err)
	}
	return a, nil
}

func (a *answer) refusal() error {
	e := &APIError{HTTPStatus: a.status}
	if err := json.Unmarshal(a.body, &failureJSON{e}); err != nil || e.Message == "" {
		e.Message = http.StatusText(a.status)
	}
	return e
}

// failureJSON is google.rpc.Status, in replies and in failed activities.
type failureJSON struct{ *APIError }

// UnmarshalJSON fills code, message and details.
func (f *failureJSON) UnmarshalJSON(b []byte) error {
	var e struct {
		Code    int               `json:"code"`
		Message string            `json:"message"`
		Details []json.RawMessage `json:"details"`
	}
	err := json.Unmarshal(b, &e)
	f.Code, f.Message, f.Details = e.Code, e.Message, e.Details
	return err
}

// stamped makes a request in the name of the client's key.
func (c *Client) stamped(path string, body []byte) (*request, error) {
	if c.key == nil || c.organization == "" {
		return nil, errors.New("this call needs an organization and an API key")
	}
	s, err := Stamp(body, c.key)
	if err != nil {
		return nil, err
	}
	return &request{method: http.MethodPost, path: path, body: body, stamp: s}, nil
}

// query asks one of the queries of the activity API.
func (c *Client) query(ctx context.Context, name string, body, v any) (*answer, error) {
	b, err := encode(body)
	if err != nil {
		return nil, err
	}
	r, err := c.stamped("/public/v1/query/"+name, b)
	if err != nil {
		return nil, err
	}
	return c.call(ctx, r, v)
}

// claims is what a reply to r must be about.
func (r *reply) claims(quorum []byte) proof.Reply {
	return proof.Reply{
		QuorumPublicKey: quorum, Path: r.path, Status: r.status, Nonce: r.nonce,
		RequestHash: sha256.Sum256(r.request.body), ReplyHash: sha256.Sum256(r.body),
	}
}
