package faults

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// echo is a server that answers with a letter of its own and what it reads.
func echo(t *testing.T, letter byte) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = c.Write([]byte{letter})
				_, _ = io.Copy(c, c)
			}()
		}
	}()
	return ln.Addr().String()
}

func dial(t *testing.T, p *Proxy) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// read returns what arrives within a time, up to n bytes.
func read(c net.Conn, n int, within time.Duration) (string, error) {
	_ = c.SetReadDeadline(time.Now().Add(within))
	b := make([]byte, n)
	got, err := io.ReadFull(c, b)
	return string(b[:got]), err
}

func expect(t *testing.T, c net.Conn, want string) {
	t.Helper()
	if got, err := read(c, len(want), 5*time.Second); got != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}

func write(t *testing.T, c net.Conn, s string) {
	t.Helper()
	if _, err := io.WriteString(c, s); err != nil {
		t.Error(err)
	}
}

// silent expects nothing to arrive, and the connection to stand.
func silent(t *testing.T, c net.Conn) {
	t.Helper()
	if got, err := read(c, 1, 50*time.Millisecond); got != "" || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %q, %v", got, err)
	}
}

// broken expects the connection to end.
func broken(t *testing.T, c net.Conn) {
	t.Helper()
	if got, err := read(c, 1, 5*time.Second); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %q, %v from a connection that should be broken", got, err)
	}
}

func TestCarriesBytesAndTheirEnd(t *testing.T) {
	p := New(t, echo(t, 'a'))
	c := dial(t, p)
	expect(t, c, "a")
	sent := bytes.Repeat([]byte("0123456789"), 300_000)
	go func() {
		_, _ = c.Write(sent)
		_ = c.(*net.TCPConn).CloseWrite()
	}()
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
	got, err := io.ReadAll(c)
	if err != nil || !bytes.Equal(got, sent) {
		t.Errorf("%d of %d bytes, %v", len(got), len(sent), err)
	}
}

func TestPauseHoldsAndResumeLetsGo(t *testing.T) {
	p := New(t, echo(t, 'a'))
	c := dial(t, p)
	expect(t, c, "a")
	p.Pause()
	write(t, c, "one")
	silent(t, c)
	late := dial(t, p)
	silent(t, late)
	write(t, c, "two")
	p.Resume()
	expect(t, c, "onetwo")
	expect(t, late, "a")
}

func TestDropLosesAndHealBreaks(t *testing.T) {
	p := New(t, echo(t, 'a'))
	holed, whole := dial(t, p), dial(t, p)
	expect(t, holed, "a")
	expect(t, whole, "a")
	p.Drop()
	write(t, holed, "lost")
	silent(t, holed)
	p.Heal()
	broken(t, holed)
	write(t, whole, "kept")
	expect(t, whole, "kept")
}

func TestDelayKeepsOrder(t *testing.T) {
	p := New(t, echo(t, 'a'))
	c := dial(t, p)
	expect(t, c, "a")
	p.Delay(100 * time.Millisecond)
	start := time.Now()
	write(t, c, "one")
	write(t, c, "two")
	expect(t, c, "onetwo")
	if took := time.Since(start); took < 200*time.Millisecond {
		t.Errorf("there and back took %v", took)
	}
	p.Delay(time.Hour)
	write(t, c, "never")
	silent(t, c)
	p.Delay(0)
	expect(t, c, "never")
}

func TestRefuseAndCut(t *testing.T) {
	p := New(t, echo(t, 'a'))
	c := dial(t, p)
	expect(t, c, "a")
	p.Refuse()
	broken(t, dial(t, p))
	write(t, c, "stands")
	expect(t, c, "stands")
	p.Cut()
	broken(t, c)
	broken(t, dial(t, p))
	p.Heal()
	expect(t, dial(t, p), "a")
}

func TestRetargetLeadsNewConnections(t *testing.T) {
	p := New(t, echo(t, 'a'))
	old := dial(t, p)
	expect(t, old, "a")
	p.Retarget(echo(t, 'b'))
	expect(t, dial(t, p), "b")
	write(t, old, "x")
	expect(t, old, "x")
}

func TestCloseEndsEverything(t *testing.T) {
	p := New(t, echo(t, 'a'))
	c := dial(t, p)
	expect(t, c, "a")
	p.Pause()
	write(t, c, "held")
	p.Close()
	p.Close()
	broken(t, c)
	if c, err := net.Dial("tcp", p.Addr()); err == nil {
		_ = c.Close()
		t.Error("still listening")
	}
}

func TestATargetThatIsGone(t *testing.T) {
	p := New(t, "127.0.0.1:1")
	broken(t, dial(t, p))
}
