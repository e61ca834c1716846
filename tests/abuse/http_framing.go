package main

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// httpFramingRows are requests of which two readers could see two ends.
var httpFramingRows = []row{
	{id: "B1", what: "Content-Length and Transfer-Encoding together", run: rawRefused("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", "4\r\nabcd\r\n0\r\n\r\n")},
	{id: "B1b", what: "two different Content-Lengths", run: rawRefused("Content-Length: 4\r\nContent-Length: 5\r\n", "abcde")},
	{id: "B1c", what: "Content-Length that is negative, signed, hexadecimal, a list", run: lengths},
	{id: "B1d", what: "chunked body alone", run: rawRefused("Transfer-Encoding: chunked\r\n", "4\r\nabcd\r\n0\r\n\r\n")},
	{id: "B1e", what: "stamp folded over two lines", run: foldedStamp},
	{id: "B1f", what: "header name with a space before its colon", run: rawRefused("Content-Length : 4\r\n", "abcd")},
	{id: "B1g", what: "second request hidden behind a body", run: hiddenRequest},
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
	c, err := w.dialFront()
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
