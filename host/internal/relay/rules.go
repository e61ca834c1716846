package relay

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"syscall"
	"time"

	"github.com/sallyport/sallyport/enclave/wire"
)

// Limits of a question to a rule server.
const (
	ruleTimeout = 10 * time.Second
	maxAnswer   = 64 << 10
)

var errPrivate = errors.New("a private address")

// A ruleClient posts questions. It follows no redirects, and dials public
// addresses only unless it is told otherwise: a rule's address comes from
// whoever may make rules, and must not reach into the host's own network.
type ruleClient struct {
	http    *http.Client
	private bool
}

func newRuleClient(private bool) *ruleClient {
	dialer := &net.Dialer{Timeout: ruleTimeout}
	if !private {
		dialer.Control = func(_, address string, _ syscall.RawConn) error {
			host, _, err := net.SplitHostPort(address)
			ip := net.ParseIP(host)
			if err != nil || !public(ip) {
				return errPrivate
			}
			return nil
		}
	}
	return &ruleClient{private: private, http: &http.Client{
		Timeout:       ruleTimeout,
		Transport:     &http.Transport{DialContext: dialer.DialContext, TLSHandshakeTimeout: ruleTimeout, MaxIdleConns: 16, IdleConnTimeout: time.Minute, MaxResponseHeaderBytes: maxAnswer},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// inward are networks that the standard library does not count as private, and
// that lead into one: shared address space, IETF protocols, benchmarking, and
// the ways to write an IPv4 address as IPv6 (RFC 6598, 6890, 2544, 8215, 3056, 4380).
var inward = networks("100.64.0.0/10", "192.0.0.0/24", "198.18.0.0/15", "240.0.0.0/4", "64:ff9b:1::/48", "2002::/16", "2001::/32", "::/96")

// translated is how a network without IPv4 reaches it (RFC 6052): the last four
// bytes are the address.
var translated = networks("64:ff9b::/96")[0]

func networks(list ...string) (out []*net.IPNet) {
	for _, text := range list {
		_, n, err := net.ParseCIDR(text)
		if err != nil {
			panic("internal error: " + err.Error())
		}
		out = append(out, n)
	}
	return out
}

func public(ip net.IP) bool {
	if ip == nil || !ip.IsGlobalUnicast() || ip.IsPrivate() || ip.IsLoopback() {
		return false
	}
	if translated.Contains(ip) {
		return public(ip[len(ip)-net.IPv4len:])
	}
	return !slices.ContainsFunc(inward, func(n *net.IPNet) bool { return n.Contains(ip) })
}

// AskRule implements [wire.Network].
func (r *Relay) AskRule(ctx context.Context, q *wire.RuleQuestion) (*wire.RuleAnswer, error) {
	u, err := url.Parse(q.URL)
	if err != nil || u.Host == "" || (u.Scheme != "https" && (u.Scheme != "http" || !r.rules.private)) {
		return nil, wire.Errorf(wire.PermissionDenied, "", "the operator does not allow this rule server: it must be an https address")
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, q.URL, bytes.NewReader(q.JWT))
	if err != nil {
		return nil, wire.Errorf(wire.InvalidArgument, "", "the address of the rule server is not one")
	}
	request.Header.Set("Content-Type", "application/jwt")
	answer, err := r.rules.http.Do(request)
	switch {
	case errors.Is(err, errPrivate):
		return nil, wire.Errorf(wire.PermissionDenied, "", "the operator does not allow rule servers on private addresses")
	case err != nil:
		return nil, wire.Errorf(wire.Unavailable, "", "the rule server does not answer")
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer+1))
	if err != nil || len(body) > maxAnswer {
		return nil, wire.Errorf(wire.Unavailable, "", "the rule server's answer cannot be read or is longer than 64 KiB")
	}
	return &wire.RuleAnswer{Status: answer.StatusCode, Body: body}, nil
}
