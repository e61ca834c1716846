package dev

import (
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// shell starts a child that runs a line of sh.
func shell(t *testing.T, k *keeper, name, line string) *child {
	t.Helper()
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Fatal(err)
	}
	c, err := k.start(name, sh, "-c", line)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// lines passes on what is written, write by write.
type lines chan string

func (l lines) Write(p []byte) (int, error) {
	l <- string(p)
	return len(p), nil
}

func keep(t *testing.T, out io.Writer, verbose bool) *keeper {
	t.Helper()
	lock, err := os.CreateTemp(t.TempDir(), "lock")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = lock.Close() })
	return newKeeper(out, verbose, lock)
}

func TestEndOfAChildIsNamedWithItsLastWords(t *testing.T) {
	for _, tt := range []struct{ name, line, want string }{
		{"with an error", "echo 'level=INFO msg=routine' >&2; echo out of luck >&2; echo level=INFO >&2; exit 3", "enclave exited: exit status 3: out of luck"},
		{"silently", "exit 0", "enclave exited: without an error"},
		{"in JSON", `echo '{"level":"ERROR","msg":"stopped","error":"no root"}' >&2; exit 1`, "enclave exited: exit status 1: stopped: no root"},
		{"by a signal", "echo busy >&2; kill -9 $$", "enclave exited: signal: killed"},
		{"without a last newline", "printf 'no room' >&2; exit 1", "enclave exited: exit status 1: no room"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out strings.Builder
			k := keep(t, &out, false)
			host := shell(t, k, "host", "exec sleep 1000")
			shell(t, k, "enclave", tt.line)
			<-k.died
			if got := k.cause().Error(); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			k.stop()
			<-host.done
			if strings.Contains(out.String(), "INFO") {
				t.Errorf("routine lines show: %q", out.String())
			}
			if got := k.cause().Error(); got != tt.want {
				t.Errorf("after stop: %q", got)
			}
		})
	}
}

func TestStopIsNotADeath(t *testing.T) {
	var out strings.Builder
	k := keep(t, &out, true)
	c := shell(t, k, "host", "echo level=INFO; exec sleep 1000")
	k.stop()
	<-c.done
	select {
	case <-k.died:
		t.Errorf("stopped, but reported as %v", k.cause())
	default:
	}
	if alive(c.cmd.Process.Pid) {
		t.Error("the child is still there")
	}
}

func TestChildThatIgnoresSIGTERMIsKilled(t *testing.T) {
	out := make(lines, 100)
	k := keep(t, out, true)
	shell(t, k, "host", "trap '' TERM; echo trapped; while :; do sleep 1000; done")
	if line := <-out; line != "host | trapped\n" {
		t.Fatal(line)
	}
	began := time.Now()
	k.stop()
	if took := time.Since(began); took < stopTime || took > stopTime+3*time.Second {
		t.Errorf("took %v", took)
	}
}

func TestLinesOfChildrenAreKeptWholeAndShort(t *testing.T) {
	var out strings.Builder
	l := &lineWriter{w: &out, prefix: "x | "}
	for _, part := range []string{"a", "b\nc", "\n\n", strings.Repeat("y", 2*maxLine), "\nend"} {
		if n, err := l.Write([]byte(part)); n != len(part) || err != nil {
			t.Fatal(n, err)
		}
	}
	l.flush()
	want := "x | ab\nx | c\nx | \nx | " + strings.Repeat("y", maxLine) + "\nx | end\n"
	if out.String() != want {
		t.Errorf("got %d bytes: %.40q", out.Len(), out.String())
	}
}
