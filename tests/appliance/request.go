package appliance

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/host/client"
)

// Reply is an HTTP answer, whatever its status.
type Reply struct {
	Status int
	Header http.Header
	Body   []byte
}

// Code and Message are those of an error's body.
func (r *Reply) Code() (code int, message string) {
	var e struct {
		Code    int
		Message string
	}
	if json.Unmarshal(r.Body, &e) != nil {
		return 0, string(r.Body[:min(len(r.Body), 200)])
	}
	return e.Code, e.Message
}

// HTTP makes requests of one base URL. No proxy, no redirects, no retries.
type HTTP struct {
	Base string
	c    *http.Client
}

// NewHTTP makes a client of its own connections.
func NewHTTP(base string) *HTTP {
	return &HTTP{base, &http.Client{
		Timeout:       20 * time.Second,
		Transport:     &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Close closes idle connections.
func (h *HTTP) Close() { h.c.CloseIdleConnections() }

// Do makes one request. Header values are name and value in turn.
func (h *HTTP) Do(method, path string, body []byte, headers ...string) (*Reply, error) {
	ctx := context.Background()
	r, err := http.NewRequestWithContext(ctx, method, h.Base+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header[http.CanonicalHeaderKey(headers[i])] = append(r.Header[http.CanonicalHeaderKey(headers[i])], headers[i+1])
	}
	res, err := h.c.Do(r)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, 4<<20))
	if err != nil {
		return nil, err
	}
	return &Reply{res.StatusCode, res.Header, b}, nil
}

// Post sends a stamped body.
func (h *HTTP) Post(path string, body []byte, key *client.APIKey) (*Reply, error) {
	stamp, err := client.Stamp(body, key)
	if err != nil {
		return nil, err
	}
	return h.Do(http.MethodPost, path, body, "X-Stamp", stamp)
}

var lastMs atomic.Int64

// Now is the time as a timestampMs that no other call in this process gives.
func Now() string {
	for {
		last := lastMs.Load()
		next := max(time.Now().UnixMilli(), last+1)
		if lastMs.CompareAndSwap(last, next) {
			return strconv.FormatInt(next, 10)
		}
	}
}

// Body is the body of an activity, in the members' usual order.
func Body(typ, organization, timestampMs string, parameters any) []byte {
	p, err := json.Marshal(parameters)
	if err != nil {
		panic(fmt.Sprintf("internal error: parameters: %v", err)) // a test's own types
	}
	b, _ := json.Marshal(struct {
		Type           string          `json:"type"`
		TimestampMs    string          `json:"timestampMs"`
		OrganizationID string          `json:"organizationId"`
		Parameters     json.RawMessage `json:"parameters"`
	}{typ, timestampMs, organization, p})
	return b
}

// Submit is the path of an activity, Query that of a query.
const (
	Submit = "/public/v1/submit/"
	Query  = "/public/v1/query/"
)
