package dev

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/sallyport/sallyport/enclave/wire"
	"github.com/sallyport/sallyport/host/client"
)

// api is the little of the HTTP API that dev itself uses.
type api struct {
	base   string
	client *http.Client
}

func newAPI(base string) *api {
	// No proxy from the environment: this is a call to our own child.
	return &api{base, &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 20 * time.Second}}
}

// maxAnswer is ample for a status with its manifest and document.
const maxAnswer = 1 << 20

// errorAnswer is an answer that is not a 200.
type errorAnswer struct {
	status  int
	message string
}

func (e *errorAnswer) Error() string { return fmt.Sprintf("HTTP %d: %s", e.status, e.message) }

func (a *api) call(ctx context.Context, method, path string, body []byte, answer any) error {
	r, err := http.NewRequestWithContext(ctx, method, a.base+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	res, err := a.client.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		var e struct{ Message string }
		if err := json.Unmarshal(b, &e); err != nil {
			e.Message = http.StatusText(res.StatusCode)
		}
		return &errorAnswer{res.StatusCode, e.Message}
	}
	return json.Unmarshal(b, answer)
}

// awaitReady waits for the phase Ready and returns the quorum public key.
func (a *api) awaitReady(ctx context.Context) (string, error) {
	for {
		var s wire.Status
		err := a.call(ctx, http.MethodGet, "/sallyport/v1/status", nil, &s)
		var refused *errorAnswer
		switch {
		case errors.As(err, &refused) && refused.status == http.StatusServiceUnavailable:
			// The enclave does not listen yet.
		case err != nil:
			return "", fmt.Errorf("asking for the status: %w", err)
		case s.Assurance != "" && s.Assurance != "local":
			return "", fmt.Errorf("the enclave's assurance is %q, not local", s.Assurance)
		case s.Phase == wire.PhaseReady:
			return s.QuorumPublicKey, nil
		case s.Phase == wire.PhaseBroken || s.Phase == wire.PhaseStale:
			return "", fmt.Errorf("the enclave is %s: %s", s.Phase, s.Reason)
		}
		if err := pause(ctx, 10*time.Millisecond); err != nil {
			return "", err
		}
	}
}

// found creates the organization, or gets it again when it exists: the
// organization's id is the hash of the body, so a repetition makes no second. A
// member of a key group that does not reach the others yet is asked again.
func (a *api) found(ctx context.Context, body []byte, keys []*client.APIKey) (*client.FoundingReply, error) {
	request, err := client.NewFoundingRequest(body, keys...)
	if err != nil {
		return nil, err
	}
	var reply client.FoundingReply
	for {
		err := a.call(ctx, http.MethodPost, "/sallyport/v1/organizations", request, &reply)
		if err == nil {
			break
		}
		if e, ok := errors.AsType[*errorAnswer](err); !ok || e.status != http.StatusServiceUnavailable || pause(ctx, 100*time.Millisecond) != nil {
			return nil, fmt.Errorf("creating the organization: %w", err)
		}
	}
	if err := reply.Check(body); err != nil {
		return nil, fmt.Errorf("creating the organization: %w", err)
	}
	return &reply, nil
}
