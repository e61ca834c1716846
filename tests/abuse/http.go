package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/sallyport/sallyport/tests/appliance"
)

func toJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic("internal error: " + err.Error())
	}
	return b
}

const whoami = appliance.Query + "whoami"

// httpRows are block B: the front, where clients are the attackers.
var httpRows = []row{
	{id: "B1", what: "Content-Length and Transfer-Encoding together", run: rawRefused("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", "4\r\nabcd\r\n0\r\n\r\n")},
	{id: "B1b", what: "two different Content-Lengths", run: rawRefused("Content-Length: 4\r\nContent-Length: 5\r\n", "abcde")},
	{id: "B1c", what: "Content-Length that is negative, signed, hexadecimal, a list", run: lengths},
	{id: "B1d", what: "chunked body alone", run: rawRefused("Transfer-Encoding: chunked\r\n", "4\r\nabcd\r\n0\r\n\r\n")},
	{id: "B1e", what: "stamp folded over two lines", run: foldedStamp},
	{id: "B1f", what: "header name with a space before its colon", run: rawRefused("Content-Length : 4\r\n", "abcd")},
	{id: "B1g", what: "second request hidden behind a body", run: hiddenRequest},
	{id: "B2", what: "gzip bomb, and every other Content-Encoding", run: encodings},
	{id: "B3", what: "two X-Stamp headers", run: twoStamps},
	{id: "B3b", what: "X-Stamp and X-Stamp-WebAuthn", run: twoKinds},
	{id: "B4", what: "body changed by a proxy: a space, a newline, other order, a BOM", run: changedBody},
	{id: "B5", what: "path says sign, type says export, and the reverse", run: wrongPath},
	{id: "B6", what: "traversal, encoded slashes, doubled slashes inside, other case", run: traversal},
	{id: "B6b", what: "method override by header", run: override},
	{id: "B6c", what: "every other method", run: methods},
	{id: "B7", what: "header of 100 KB", run: rawStatus(431, "X-Long: "+strings.Repeat("a", 100<<10)+"\r\n")},
	{id: "B7b", what: "1,000 headers", run: rawStatus(431, strings.Repeat("X-Header-Of-Many: some value\r\n", 1000))},
	{id: "B8", what: "body of 0 bytes, null, [], a string, a number", run: notObjects},
	{id: "B8b", what: "100,000 nested arrays, objects", run: deepBody},
	{id: "B8c", what: "body beyond 512 KiB", run: largeBody},
	{id: "B8d", what: "body shorter than its Content-Length, then closed", run: shortBody},
	{id: "B8e", what: "header that never ends", run: slowHeader, slow: true},
	{id: "B8f", what: "body that never ends", run: slowBody, slow: true},
	{id: "B8g", what: "600 connections that say nothing; an honest client meanwhile", run: idleCrowd},
	{id: "B9", what: "invalid UTF-8, lone surrogates, NUL, overlong forms", run: badText},
	{id: "B9b", what: "numbers for strings, floats, exponents, -0, leading zeros", run: badNumbers},
	{id: "B9c", what: "second value behind the body", run: func(w *world) (string, error) {
		return w.main.stamped(invalid, whoami, []byte(`{"organizationId":"`+w.main.org+`"}{}`))
	}},
	{id: "B9d", what: "member that nobody knows, at every level", run: unknownMembers},
	{id: "B10", what: "cross-origin call and its preflight", run: crossOrigin},
	{id: "B11", what: "nonce that is short, long, no hex, given twice", run: badNonces},
	{id: "B12", what: "HTTP/2 without TLS", run: preface},
	{id: "B13", what: "HTTP/1.1 without a Host, absolute and garbled request lines", run: requestLines},
}

// raw sends bytes to the front and returns the answer and whether the
// connection ended behind it.
func (w *world) raw(send []byte) (*appliance.Reply, bool, error) {
	c, err := net.DialTimeout("tcp", strings.TrimPrefix(w.app.BaseURL, "http://"), 5*time.Second)
	if err != nil {
		return nil, false, err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	go func() { _, _ = c.Write(send) }()
	return readReply(bufio.NewReader(c))
}

func readReply(r *bufio.Reader) (*appliance.Reply, bool, error) {
	res, err := http.ReadResponse(r, nil)
	if err != nil {
		return nil, false, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, false, err
	}
	_, err = r.ReadByte()
	ended := err != nil && !errors.Is(err, os.ErrDeadlineExceeded)
	return &appliance.Reply{Status: res.StatusCode, Header: res.Header, Body: body}, ended || res.Close, nil
}

func request(method, path, headers, body string) []byte {
	return []byte(method + " " + path + " HTTP/1.1\r\nHost: appliance\r\n" + headers + "\r\n" + body)
}

// rawRefused wants a 400 and the end of the connection: what follows cannot be
// told apart from what came before.
func rawRefused(headers, body string) func(*world) (string, error) {
	return func(w *world) (string, error) {
		r, ended, err := w.raw(request("POST", whoami, headers, body))
		if err != nil {
			return "", err
		}
		if r.Status != 400 || !ended {
			return "", fmt.Errorf("want 400 and the end, got %d %s, ended %v", r.Status, r.Body, ended)
		}
		return fmt.Sprintf("%d %s, closed", r.Status, r.Body), nil
	}
}

func rawStatus(want int, headers string) func(*world) (string, error) {
	return func(w *world) (string, error) {
		r, ended, err := w.raw(request("GET", "/healthz", headers, ""))
		if err != nil {
			return "", err
		}
		if r.Status != want || !ended {
			return "", fmt.Errorf("want %d and the end, got %d, ended %v", want, r.Status, ended)
		}
		return fmt.Sprintf("%d, closed", r.Status), nil
	}
}

func lengths(w *world) (string, error) {
	return each([]string{"-1", "+4", "0x4", "4,4", "4, 5", "18446744073709551620", "4 4", ""}, func(n string) (string, error) {
		r, ended, err := w.raw(request("POST", whoami, "Content-Length: "+n+"\r\n", "abcd"))
		if err != nil {
			return "", err
		}
		if r.Status != 400 || !ended {
			return "", fmt.Errorf("Content-Length %q: want 400 and the end, got %d %s, ended %v", n, r.Status, r.Body, ended)
		}
		return fmt.Sprintf("%d, closed", r.Status), nil
	})
}

// foldedStamp must not verify: unfolding puts a space into it.
func foldedStamp(w *world) (string, error) {
	body := toJSON(object{"organizationId": w.main.org})
	stamp := mustStamp(body, w.main.key())
	headers := fmt.Sprintf("X-Stamp: %s\r\n %s\r\nContent-Length: %d\r\nConnection: close\r\n", stamp[:40], stamp[40:], len(body))
	r, _, err := w.raw(request("POST", whoami, headers, string(body)))
	if err != nil {
		return "", err
	}
	if r.Status != 400 && r.Status != 401 {
		return "", fmt.Errorf("got %d %s", r.Status, r.Body)
	}
	return fmt.Sprintf("%d %s", r.Status, r.Body), nil
}

// hiddenRequest: bytes behind a body of known length are the next request, and
// never part of the first.
func hiddenRequest(w *world) (string, error) {
	body := toJSON(object{"organizationId": w.main.org})
	stamp := mustStamp(body, w.main.key())
	first := request("POST", whoami, fmt.Sprintf("X-Stamp: %s\r\nContent-Length: %d\r\n", stamp, len(body)), string(body))
	second := request("POST", signPath, "Connection: close\r\nContent-Length: 2\r\n", "{}")
	c, err := net.DialTimeout("tcp", strings.TrimPrefix(w.app.BaseURL, "http://"), 5*time.Second)
	if err != nil {
		return "", err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := c.Write(append(first, second...)); err != nil {
		return "", err
	}
	in := bufio.NewReader(c)
	var seen []string
	for _, want := range []int{200, 401} {
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			return "", err
		}
		b, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if err != nil || res.StatusCode != want {
			return "", fmt.Errorf("want %d, got %d %s, %w", want, res.StatusCode, b, err)
		}
		seen = append(seen, res.Status)
	}
	return "two requests, two answers: " + strings.Join(seen, ", "), nil
}

func encodings(w *world) (string, error) {
	body := toJSON(object{"organizationId": w.main.org})
	return each([]string{"gzip", "identity", "br", "deflate, gzip", "GZIP"}, func(e string) (string, error) {
		r, err := w.http.Do("POST", whoami, body, "X-Stamp", mustStamp(body, w.main.key()), "Content-Encoding", e)
		return unsupported.judge(r, err)
	})
}

func twoStamps(w *world) (string, error) {
	body := toJSON(object{"organizationId": w.main.org})
	s := mustStamp(body, w.main.key())
	r, err := w.http.Do("POST", whoami, body, "X-Stamp", s, "X-Stamp", s)
	return invalid.judge(r, err, "exactly one")
}

func twoKinds(w *world) (string, error) {
	body := toJSON(object{"organizationId": w.main.org})
	r, err := w.http.Do("POST", whoami, body, "X-Stamp", mustStamp(body, w.main.key()), "X-Stamp-WebAuthn", "{}")
	return invalid.judge(r, err, "exactly one")
}

func changedBody(w *world) (string, error) {
	body := w.main.signBody()
	stamp := mustStamp(body, w.main.key())
	var reordered object
	_ = json.Unmarshal(body, &reordered)
	changed := [][]byte{
		append([]byte(" "), body...), append(bytes.Clone(body), '\n'), replaced(body, ",", ", "), toJSON(reordered),
		replaced(body, "abuse", "abusE"), bytes.ToUpper(body)[:len(body)-1], replaced(body, "/", `\/`),
	}
	for _, b := range changed {
		if bytes.Equal(b, body) {
			changed = changed[:len(changed)-1] // the body has no slash
		}
	}
	seen, err := each(changed, func(b []byte) (string, error) {
		r, err := w.withStamp(signPath, b, stamp)
		if err == nil && r.Status == 400 {
			return invalid.judge(r, err)
		}
		return unauthorized.judge(r, err)
	})
	if err != nil {
		return "", err
	}
	bom := append([]byte("\xef\xbb\xbf"), body...)
	if _, err := w.main.stamped(invalid, signPath, bom); err != nil {
		return "", fmt.Errorf("stamped with a BOM: %w", err)
	}
	return seen, nil
}

func wrongPath(w *world) (string, error) {
	if _, err := w.main.stamped(invalid, exportPath, w.main.signBody(), "does not belong to"); err != nil {
		return "", err
	}
	body := w.main.body(typeExport, object{"privateKeyId": w.main.keyID, "targetPublicKey": "04"})
	return w.main.stamped(invalid, signPath, body, "does not belong to")
}

func traversal(w *world) (string, error) {
	body := w.main.signBody()
	stamp := mustStamp(body, w.main.key())
	return each([]string{
		"/public/v1/submit/../submit/sign_raw_payload", "/public/v1/submit/%2e%2e/query/whoami", "/public/v1/submit%2fsign_raw_payload",
		"/public//v1/submit/sign_raw_payload", "///public/v1/submit/sign_raw_payload", "/PUBLIC/v1/submit/sign_raw_payload",
		"/public/v1/submit/sign_raw_payload/", "/public/v1/submit/sign_raw_payload%00", "/public/v1/submit/", "/public/v1/submit/nothing",
		"/public/v1/query/sign_raw_payload", "/public/v1/submit/./sign_raw_payload", "/", "/admin", "/debug/pprof/", "/metrics",
		"/public/v1/submit/Sign_Raw_Payload", "/sallyport/v1/organizations/x", "/public/v1/submit/sign_raw_payload;x=1",
	}, func(path string) (string, error) {
		r, err := w.withStamp(path, body, stamp)
		seen, err := notFound.judge(r, err)
		if err != nil {
			return "", fmt.Errorf("%s: %w", path, err)
		}
		return seen, nil
	})
}

func override(w *world) (string, error) {
	return each([]string{"X-Http-Method-Override", "X-Method-Override", "X-Http-Method"}, func(h string) (string, error) {
		r, err := w.http.Do("GET", signPath, nil, h, "POST", "X-Stamp", "x")
		return noMethod.judge(r, err)
	})
}

func methods(w *world) (string, error) {
	return each([]string{"GET", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND", "post"}, func(m string) (string, error) {
		r, err := w.http.Do(m, signPath, nil)
		return noMethod.judge(r, err)
	})
}

func notObjects(w *world) (string, error) {
	return each([]string{"", "null", "[]", `"x"`, "1", "true", "{", "}", " ", "{}", `{"organizationId":null}`, `{"organizationId":[]}`}, func(b string) (string, error) {
		if seen, err := w.main.stamped(invalid, signPath, []byte(b)); err != nil {
			return seen, err
		}
		return w.main.stamped(invalid, whoami, []byte(b))
	})
}

func deepBody(w *world) (string, error) {
	return each([]string{strings.Repeat("[", 100_000), strings.Repeat(`{"a":`, 100_000), `{"organizationId":"` + w.main.org + `","x":` + strings.Repeat("[", 200) + strings.Repeat("]", 200) + "}"}, func(b string) (string, error) {
		return w.main.stamped(invalid, whoami, []byte(b))
	})
}

func largeBody(w *world) (string, error) {
	body := bytes.Repeat([]byte(" "), 512<<10+1)
	r, err := w.http.Do("POST", whoami, body, "X-Stamp", "x")
	return tooLarge.judge(r, err)
}

func shortBody(w *world) (string, error) {
	c, err := net.DialTimeout("tcp", strings.TrimPrefix(w.app.BaseURL, "http://"), 5*time.Second)
	if err != nil {
		return "", err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	body := w.main.signBody()
	head := fmt.Sprintf("X-Stamp: %s\r\nContent-Length: %d\r\n", mustStamp(body, w.main.key()), len(body)+1)
	if _, err := c.Write(request("POST", signPath, head, string(body))); err != nil {
		return "", err
	}
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		return "", err
	}
	r, _, err := readReply(bufio.NewReader(c))
	return invalid.judge(r, err, "shorter")
}

// slowClient wants the front to end a connection by itself.
func (w *world) slowClient(start string, within time.Duration) (string, error) {
	c, err := net.DialTimeout("tcp", strings.TrimPrefix(w.app.BaseURL, "http://"), 5*time.Second)
	if err != nil {
		return "", err
	}
	defer c.Close()
	began := time.Now()
	if _, err := io.WriteString(c, start); err != nil {
		return "", err
	}
	drip := time.NewTicker(500 * time.Millisecond)
	defer drip.Stop()
	done := make(chan error, 1)
	go func() {
		_ = c.SetReadDeadline(began.Add(within))
		_, err := io.Copy(io.Discard, c)
		done <- err
	}()
	for {
		select {
		case <-drip.C:
			_, _ = io.WriteString(c, "a")
		case err := <-done:
			if errors.Is(err, os.ErrDeadlineExceeded) {
				return "", fmt.Errorf("open after %v", within)
			}
			return fmt.Sprintf("closed after %.0f s", time.Since(began).Seconds()), nil
		}
	}
}

func slowHeader(w *world) (string, error) {
	return w.slowClient("POST "+whoami+" HTTP/1.1\r\nHost: a\r\nX-Slow: ", 9*time.Second)
}

func slowBody(w *world) (string, error) {
	return w.slowClient("POST "+whoami+" HTTP/1.1\r\nHost: a\r\nX-Stamp: x\r\nContent-Length: 100000\r\n\r\n{", 14*time.Second)
}

func idleCrowd(w *world) (string, error) {
	for range 600 {
		c, err := net.DialTimeout("tcp", strings.TrimPrefix(w.app.BaseURL, "http://"), 5*time.Second)
		if err != nil {
			return "", err
		}
		defer c.Close()
		_, _ = c.Write([]byte("P"))
	}
	began := time.Now()
	r, err := w.http.Post(whoami, toJSON(object{"organizationId": w.main.org}), w.main.key())
	if err != nil || r.Status != 200 {
		return "", fmt.Errorf("an honest client: %+v, %w", r, err)
	}
	return fmt.Sprintf("an honest client was served in %v", time.Since(began).Round(time.Millisecond)), nil
}

// badText stamps bodies that are no text.
func badText(w *world) (string, error) {
	return each([]string{
		"\xff", "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", `\ud800`, `\udc00\ud800`, `\u0000`, "\x00", "\x01", "\n", "\xe2\x82", `\x41`, `\u12`,
	}, func(s string) (string, error) {
		return w.main.stamped(invalid, signPath, replaced(w.main.signBody(), "abuse", s))
	})
}

func badNumbers(w *world) (string, error) {
	return each([]string{"1", "1.5", "1e3", "-0", "01", "true", "NaN", "[]", "{}", `"9", "payload": "x"`}, func(s string) (string, error) {
		return w.main.stamped(invalid, signPath, replaced(w.main.signBody(), `"abuse"`, s))
	})
}

func unknownMembers(w *world) (string, error) {
	body := string(w.main.signBody())
	return each([]string{
		strings.Replace(body, `"type"`, `"extra":1,"type"`, 1), strings.Replace(body, `"payload"`, `"extra":{},"payload"`, 1),
		strings.Replace(body, `"type"`, `"__proto__":{},"type"`, 1), strings.Replace(body, `"type"`, `"":1,"type"`, 1),
	}, func(b string) (string, error) {
		return w.main.stamped(invalid, signPath, []byte(b), "not a known member")
	})
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
