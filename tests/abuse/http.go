package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/tests/appliance"
)

// httpRows are block B: the front, where clients are the attackers.
var httpRows = slices.Concat(
	httpFramingRows, httpStampedRows, httpPathRows, httpBodyRows, httpSlowRows, httpJSONRows, httpProtocolRows,
)

// dialFront opens a connection to the front.
func (w *world) dialFront() (net.Conn, error) {
	return net.DialTimeout("tcp", strings.TrimPrefix(w.app.BaseURL, "http://"), 5*time.Second)
}

// raw sends bytes to the front and returns the answer and whether the
// connection ended behind it.
func (w *world) raw(send []byte) (*appliance.Reply, bool, error) {
	c, err := w.dialFront()
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
