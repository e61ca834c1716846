package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/sallyport/sallyport/enclave/wire"
)

// roleVariable makes this program one of the processes that it measures.
const roleVariable = "SALLYPORT_BENCH_ROLE"

// runRole is an enclave that only echoes, on the door given.
func runRole(door string) error {
	ln, err := wire.Listen(door)
	if err != nil {
		return err
	}
	return wire.ServeEnclave(context.Background(), ln, &echo{body: bytes.Repeat([]byte("x"), 2000)}, nil)
}

// echo answers every request with as many bytes as a signature's answer has.
type echo struct{ body []byte }

func (e *echo) Status(context.Context) (*wire.Status, error) {
	return &wire.Status{Version: "echo", Phase: wire.PhaseReady, Assurance: "local"}, nil
}

func (e *echo) Do(context.Context, *wire.Request) (*wire.Reply, error) {
	return &wire.Reply{Status: 200, Body: e.body}, nil
}

// startEcho starts the real host before an enclave that echoes, and returns
// its address and both process ids.
func (t *table) startEcho(bin string) (address string, pids []int, err error) {
	dir, err := os.MkdirTemp("", "sallyport-bench-")
	if err != nil {
		return "", nil, err
	}
	t.closers = append(t.closers, func() { os.RemoveAll(dir) })
	door := "unix:" + filepath.Join(dir, "enclave.sock")
	self, err := os.Executable()
	if err != nil {
		return "", nil, err
	}
	enclave := exec.Command(self)
	enclave.Env = append(os.Environ(), roleVariable+"="+door)
	ready := filepath.Join(dir, "ready")
	host := exec.Command(filepath.Join(bin, "sallyport"), "serve", "--enclave", door, "--store", filepath.Join(dir, "store"),
		"--door", "unix:"+filepath.Join(dir, "host.sock"), "--listen", "127.0.0.1:0", "--ready-file", ready)
	for _, c := range []*exec.Cmd{enclave, host} {
		if err := c.Start(); err != nil {
			return "", nil, err
		}
		t.closers = append(t.closers, func() {
			_ = c.Process.Kill()
			_ = c.Wait()
		})
		pids = append(pids, c.Process.Pid)
	}
	address, err = waitReady(ready)
	return address, pids, err
}

// waitReady reads the address from the file that serve writes.
func waitReady(path string) (string, error) {
	for range 200 {
		if text, err := os.ReadFile(path); err == nil {
			var address string
			if _, err := fmt.Sscanf(string(text), `{"listen":%q}`, &address); err != nil {
				return "", err
			}
			return address, nil
		}
		time.Sleep(25 * time.Millisecond)
	}
	return "", fmt.Errorf("the host did not come up")
}
