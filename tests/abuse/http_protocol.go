package main

import (
	"fmt"
	"strings"

	"github.com/sallyport/sallyport/tests/appliance"
)

// httpProtocolRows are other protocols, other origins and garbled requests.
var httpProtocolRows = []row{
	{id: "B10", what: "cross-origin call and its preflight", run: crossOrigin},
	{id: "B11", what: "nonce that is short, long, no hex, given twice", run: badNonces},
	{id: "B12", what: "HTTP/2 without TLS", run: preface},
	{id: "B13", what: "HTTP/1.1 without a Host, absolute and garbled request lines", run: requestLines},
}

func crossOrigin(w *world) (string, error) {
	r, err := w.http.Do("OPTIONS", signPath, nil, "Origin", "https://evil.example", "Access-Control-Request-Method", "POST")
	seen, err := noMethod.judge(r, err)
	if err != nil {
		return "", err
	}
	body := toJSON(object{"organizationId": w.main.org})
	r2, err := w.http.Do("POST", whoami, body, "X-Stamp", mustStamp(body, w.main.key()), "Origin", "https://evil.example")
	if err != nil {
		return "", err
	}
	for _, reply := range []*appliance.Reply{r, r2} {
		for name := range reply.Header {
			if strings.HasPrefix(name, "Access-Control-") {
				return "", fmt.Errorf("the answer has %s", name)
			}
		}
	}
	return seen + "; no Access-Control header", nil
}

func badNonces(w *world) (string, error) {
	body := toJSON(object{"organizationId": w.main.org})
	good := strings.Repeat("ab", 32)
	return each([][]string{
		{""}, {strings.Repeat("ab", 15)}, {strings.Repeat("ab", 65)}, {strings.Repeat("zz", 32)}, {good + "a"}, {good, good}, {"0x" + good},
	}, func(values []string) (string, error) {
		headers := []string{"X-Stamp", mustStamp(body, w.main.key())}
		for _, v := range values {
			headers = append(headers, "X-Sallyport-Nonce", v)
		}
		r, err := w.http.Do("POST", whoami, body, headers...)
		return invalid.judge(r, err, "X-Sallyport-Nonce")
	})
}

func preface(w *world) (string, error) {
	r, ended, err := w.raw([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"))
	if err != nil {
		return "", err
	}
	if r.Status < 400 || !ended {
		return "", fmt.Errorf("got %d, ended %v", r.Status, ended)
	}
	return fmt.Sprintf("%d, closed", r.Status), nil
}

func requestLines(w *world) (string, error) {
	return each([]string{
		"GET /healthz HTTP/1.1\r\n\r\n", "GET\t/healthz\tHTTP/1.1\r\nHost: a\r\n\r\n", "GET /healthz HTTP/9.9\r\nHost: a\r\n\r\n",
		"GET /healthz\r\n\r\n", "\x16\x03\x01\x00\x05hello\r\n\r\n", "GET /health\x00z HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "GET /healthz HTTP/1.1\r\nHost: a\r\nBad\x01: b\r\n\r\n",
	}, func(s string) (string, error) {
		r, _, err := w.raw([]byte(s))
		if err != nil {
			return "", fmt.Errorf("%q: %w", s, err)
		}
		if r.Status < 400 {
			return "", fmt.Errorf("%q: got %d", s, r.Status)
		}
		return fmt.Sprintf("%d", r.Status), nil
	})
}
