package faults

import (
	"bufio"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// echo answers each line with itself, and the end of input with the end.
func echo(t *testing.T) string {
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
				_, _ = io.Copy(c, c)
			}()
		}
	}()
	return ln.Addr().String()
}

func proxy(t *testing.T) *Proxy {
	t.Helper()
	p, err := New(echo(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

// A line is a client of the echo.
type line struct {
	t *testing.T
	net.Conn
	in *bufio.Reader
}

func dial(t *testing.T, p *Proxy) *line {
	t.Helper()
	c, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return &line{t, c, bufio.NewReader(c)}
}

func (l *line) say(text string) {
	l.t.Helper()
	if _, err := l.Write([]byte(text + "\n")); err != nil {
		l.t.Fatal(err)
	}
}

func (l *line) hear(text string) {
	l.t.Helper()
	_ = l.SetReadDeadline(time.Now().Add(5 * time.Second))
	if got, err := l.in.ReadString('\n'); err != nil || got != text+"\n" {
		l.t.Fatalf("heard %q, %v; want %q", got, err, text)
	}
}

// silence expects nothing for a while.
func (l *line) silence() {
	l.t.Helper()
	_ = l.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if _, err := l.in.ReadByte(); !errors.Is(err, os.ErrDeadlineExceeded) {
		l.t.Fatalf("no silence: %v", err)
	}
}

// broken expects the connection to be reset.
func (l *line) broken() {
	l.t.Helper()
	_ = l.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := l.in.ReadByte(); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		l.t.Fatalf("not broken: %v", err)
	}
}

// refused expects a new connection to be reset, at once or when it reads.
func refused(t *testing.T, p *Proxy) {
	t.Helper()
	c, err := net.Dial("tcp", p.Addr())
	if err != nil {
		return
	}
	defer c.Close()
	(&line{t, c, bufio.NewReader(c)}).broken()
}

func TestPassesOn(t *testing.T) {
	p := proxy(t)
	l := dial(t, p)
	l.say("one")
	l.hear("one")
	if err := l.Conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	_ = l.SetReadDeadline(time.Now().Add(5 * time.Second))
	if rest, err := io.ReadAll(l.in); err != nil || len(rest) != 0 {
		t.Errorf("after the end: %q, %v", rest, err)
	}
}

func TestPauseHoldsBack(t *testing.T) {
	p := proxy(t)
	l := dial(t, p)
	l.say("one")
	l.hear("one")
	p.Pause()
	p.Pause()
	l.say("two")
	l.silence()
	second := dial(t, p)
	second.say("new")
	second.silence()
	l.say("three")
	p.Resume()
	p.Resume()
	l.hear("two")
	l.hear("three")
	second.hear("new")
}

func TestCutAndRefuse(t *testing.T) {
	p := proxy(t)
	l := dial(t, p)
	l.say("one")
	l.hear("one")
	p.Cut()
	l.broken()
	l = dial(t, p)
	l.say("two")
	l.hear("two")
	p.Refuse()
	l.broken()
	refused(t, p)
	p.Heal()
	l = dial(t, p)
	l.say("three")
	l.hear("three")
}

func TestCutEndsWhatIsHeldBack(t *testing.T) {
	p := proxy(t)
	l := dial(t, p)
	l.say("one")
	l.hear("one")
	p.Pause()
	l.say("two")
	l.silence()
	p.Cut()
	l.broken()
	p.Heal()
	l = dial(t, p)
	l.say("three")
	l.hear("three")
}

func TestDelay(t *testing.T) {
	p := proxy(t)
	l := dial(t, p)
	p.Delay(40 * time.Millisecond)
	start := time.Now()
	l.say("one")
	l.hear("one")
	if took := time.Since(start); took < 80*time.Millisecond {
		t.Errorf("there and back in %v", took)
	}
}

func TestCloseEndsConnections(t *testing.T) {
	p := proxy(t)
	p.Pause()
	l := dial(t, p)
	l.say("one")
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	l.broken()
	if c, err := net.Dial("tcp", p.Addr()); err == nil {
		_ = c.Close()
		t.Error("still listens")
	}
}

func TestTargetIsGone(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = ln.Close()
	p, err := New(ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	refused(t, p)
}
