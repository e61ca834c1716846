package front

import (
	"bytes"
	"net"
	"strconv"
)

// Listener makes net/http's own refusals of what is not HTTP look like all
// others here. That package writes them past every handler, as plain text, in
// one Write to the connection; a handler's answer never has their headers.
func Listener(ln net.Listener) net.Listener { return listener{ln} }

type listener struct{ net.Listener }

// Accept returns the next connection.
func (l listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return conn{c}, nil
}

type conn struct{ net.Conn }

// CloseWrite lets net/http end a connection so that its last answer arrives.
func (c conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// The form of net/http's refusals: "HTTP/1.1 400 Bad Request", these headers,
// and the same status again, perhaps with a reason, as the body.
// An expectation that is not 100-continue it refuses with headers only.
var (
	plainStart   = []byte("HTTP/1.1 ")
	bareStart    = []byte("HTTP/1.1 417 Expectation Failed\r\n")
	plainHeaders = []byte("\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n")
)

// Write passes everything on but those refusals. Like them, what it writes
// instead ends the connection.
func (c conn) Write(p []byte) (int, error) {
	if !bytes.HasPrefix(p, plainStart) {
		return c.Conn.Write(p)
	}
	head, body, found := bytes.Cut(p, plainHeaders)
	if bytes.HasPrefix(p, bareStart) {
		head, body, found = bareStart[:len(bareStart)-2], []byte("Expect: only 100-continue is known"), true
	}
	if !found || bytes.Contains(head, []byte("\r\n")) {
		return c.Conn.Write(p)
	}
	status, err := strconv.Atoi(string(bytes.Fields(head)[1]))
	if err != nil {
		return c.Conn.Write(p)
	}
	if _, err := c.Conn.Write(plainRefusal(head, status, string(body))); err != nil {
		return 0, err
	}
	return len(p), nil
}

// plainRefusal renders one as JSON. The text is net/http's: it names the rule
// and never repeats the request.
func plainRefusal(head []byte, status int, text string) []byte {
	r := notHTTP(status, text)
	var b bytes.Buffer
	b.Write(head)
	b.WriteString("\r\nContent-Type: application/json\r\nContent-Length: " + strconv.Itoa(len(r.body)) + "\r\nConnection: close\r\n\r\n")
	b.Write(r.body)
	return b.Bytes()
}
