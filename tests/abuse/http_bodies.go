package main

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"strings"
	"time"
)

// httpBodyRows are headers and bodies of a wrong size or depth.
var httpBodyRows = []row{
	{id: "B7", what: "header of 100 KB", run: rawStatus(431, "X-Long: "+strings.Repeat("a", 100<<10)+"\r\n")},
	{id: "B7b", what: "1,000 headers", run: rawStatus(431, strings.Repeat("X-Header-Of-Many: some value\r\n", 1000))},
	{id: "B8", what: "body of 0 bytes, null, [], a string, a number", run: notObjects},
	{id: "B8b", what: "100,000 nested arrays, objects", run: deepBody},
	{id: "B8c", what: "body beyond 512 KiB", run: largeBody},
	{id: "B8d", what: "body shorter than its Content-Length, then closed", run: shortBody},
}

// httpJSONRows are bodies that strict JSON does not have, under honest stamps.
var httpJSONRows = []row{
	{id: "B9", what: "invalid UTF-8, lone surrogates, NUL, overlong forms", run: badText},
	{id: "B9b", what: "numbers for strings, floats, exponents, -0, leading zeros", run: badNumbers},
	{id: "B9c", what: "second value behind the body", run: func(w *world) (string, error) {
		return w.main.stamped(invalid, whoami, []byte(`{"organizationId":"`+w.main.org+`"}{}`))
	}},
	{id: "B9d", what: "member that nobody knows, at every level", run: unknownMembers},
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
	c, err := w.dialFront()
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
