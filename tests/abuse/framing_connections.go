package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"time"

	"github.com/sallyport/sallyport/tests/appliance"
)

// connectionRows are connections that say too little, too much, or in pieces.
var connectionRows = []row{
	{id: "A4", what: "64 frames of 1 MiB announced, 1 KiB sent, then silence", run: silence, slow: true},
	{id: "A5", what: "1,200 connections that say one byte each; an honest client meanwhile", run: crowd},
	{id: "A6", what: "frame cut off at every eighth byte, then closed", run: cutFrames},
	{id: "A7", what: "two frames in one write, and one frame in writes of one byte", run: oddWrites},
	{id: "A8", what: "calls whose answers are never read", run: neverRead, slow: true},
}

// silence announces more than it sends. The memory taken must be that of what
// was sent, and the deadline must come.
func silence(w *world) (string, error) {
	before, err := appliance.Memory(w.app.EnclavePID)
	if err != nil {
		return "", err
	}
	start := append([]byte{1, 0, 16, 0, 0}, make([]byte, 1024)...)
	var conns []*doorConn
	for range 64 {
		c, err := dialDoor(w.door)
		if err != nil {
			return "", err
		}
		defer c.Close()
		conns = append(conns, c)
		if _, err := c.Write(start); err != nil {
			return "", err
		}
	}
	began := time.Now()
	for _, c := range conns {
		if err := c.ends(13 * time.Second); err != nil {
			return "", err
		}
	}
	after, err := appliance.Memory(w.app.EnclavePID)
	if err != nil {
		return "", err
	}
	if after-before > 100<<20 { // the other rows run beside this one
		return "", fmt.Errorf("the enclave grew by %d MiB", (after-before)>>20)
	}
	return fmt.Sprintf("closed after %.0f s", time.Since(began).Seconds()), nil
}

// crowd fills the door beyond its cap.
func crowd(w *world) (string, error) {
	var conns []*doorConn
	defer func() {
		for _, c := range conns {
			c.Close()
		}
	}()
	for range 1200 {
		c, err := dialDoor(w.door)
		if err != nil {
			break // the backlog is full too
		}
		conns = append(conns, c)
		_, _ = c.Write([]byte{1})
	}
	last := conns[len(conns)-1]
	a, err := last.receive()
	if err != nil || a.Error == nil || a.Error.Reason != "DOOR_BUSY" {
		return "", fmt.Errorf("connection %d is not turned away: %+v, %w", len(conns), a, err)
	}
	if err := w.servesHonest(); err != nil {
		return "", err
	}
	return fmt.Sprintf("connection %d: %s; the honest client is served", len(conns), a.Error.Message), nil
}

// cutFrames ends connections inside a frame; nothing may be carried out.
func cutFrames(w *world) (string, error) {
	whole := call(callDo, doRequest(fields{2: signPath, 3: w.main.signBody()}))
	n := 0
	for cut := 1; cut < len(whole); cut += 8 {
		c, err := dialDoor(w.door)
		if err != nil {
			return "", err
		}
		_, err = c.Write(whole[:cut])
		if err == nil {
			err = c.Conn.(*net.UnixConn).CloseWrite()
		}
		if err == nil {
			err = c.ends(5 * time.Second)
		}
		c.Close()
		if err != nil {
			return "", fmt.Errorf("cut at %d of %d: %w", cut, len(whole), err)
		}
		n++
	}
	return fmt.Sprintf("closed without an answer, %d times", n), nil
}

// oddWrites must make no difference.
func oddWrites(w *world) (string, error) {
	c, err := dialDoor(w.door)
	if err != nil {
		return "", err
	}
	defer c.Close()
	one := call(callDo, doRequest(fields{2: "/nowhere"}))
	if _, err := c.Write(append(slices.Clone(one), one...)); err != nil {
		return "", err
	}
	first, err := c.receive()
	if err != nil {
		return "", err
	}
	second, err := c.receive()
	if err != nil {
		return "", err
	}
	for i := range one {
		if _, err := c.Write(one[i : i+1]); err != nil {
			return "", err
		}
	}
	third, err := c.receive()
	if err != nil {
		return "", err
	}
	if len(first.Result) == 0 || !bytes.Equal(first.Result, second.Result) || !bytes.Equal(first.Result, third.Result) {
		return "", errors.New("the three answers differ")
	}
	return "the three answers are the same", nil
}

// neverRead sends calls until nothing more is taken, and wants to be cut off.
func neverRead(w *world) (string, error) {
	c, err := dialDoor(w.door)
	if err != nil {
		return "", err
	}
	defer c.Close()
	status := call(callStatus, fields{})
	began := time.Now()
	for sent := 0; sent < 1<<20; sent++ {
		_ = c.SetWriteDeadline(time.Now().Add(15 * time.Second))
		if _, err := c.Write(status); err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				return "", fmt.Errorf("the connection is open after %v", time.Since(began))
			}
			return fmt.Sprintf("cut off after %.0f s", time.Since(began).Seconds()), nil
		}
	}
	return "", errors.New("a million calls were taken")
}
