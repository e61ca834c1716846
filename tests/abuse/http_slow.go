package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// httpSlowRows are clients that hold on to connections.
var httpSlowRows = []row{
	{id: "B8e", what: "header that never ends", run: slowHeader, slow: true},
	{id: "B8f", what: "body that never ends", run: slowBody, slow: true},
	{id: "B8g", what: "600 connections that say nothing; an honest client meanwhile", run: idleCrowd},
}

// slowClient wants the front to end a connection by itself.
func (w *world) slowClient(start string, within time.Duration) (string, error) {
	c, err := w.dialFront()
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
		c, err := w.dialFront()
		if err != nil {
			return "", err
		}
		defer c.Close()
		_, _ = c.Write([]byte("P"))
	}
	began := time.Now()
	if err := w.servesHonest(); err != nil {
		return "", err
	}
	return fmt.Sprintf("an honest client was served in %v", time.Since(began).Round(time.Millisecond)), nil
}
