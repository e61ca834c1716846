package mpc

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/sallyport/sallyport/tests/appliance"
	"github.com/sallyport/sallyport/tests/faults"
)

// A site is three appliances and a relay, each a process of its own with a store
// and roots of its own, and a bad network between each appliance and the relay.
// Their first start was by dev, which has introduced them to each other.
type site struct {
	*cluster
	bin, dir, relayAddress string
	relay                  *exec.Cmd
	network                []*faults.Proxy
	running                [][]*exec.Cmd // host and enclave of each node
}

func newSite(t *testing.T, bin string) *site {
	t.Helper()
	s := &site{cluster: &cluster{t: t}, bin: bin, dir: t.TempDir(), relayAddress: freeAddress(t)}
	a, err := appliance.Start(bin, "--nodes", "3", "--data", s.dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Stop(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for n := range s.running {
			s.kill(n)
		}
		s.killRelay()
	})
	s.startRelay()
	s.running = make([][]*exec.Cmd, len(a.Nodes))
	for n, node := range a.Nodes {
		s.network = append(s.network, faults.New(t, s.relayAddress))
		s.add(remote(s.start(n)), node.AdminToken)
	}
	return s
}

// freeAddress is one that a relay can come back to.
func freeAddress(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	return ln.Addr().String()
}

func (s *site) path(n int, name string) string {
	return filepath.Join(s.dir, fmt.Sprintf("node-%d", n), name)
}

// command starts a program that ends with this one.
func (s *site) command(program string, args ...string) *exec.Cmd {
	s.t.Helper()
	cmd := exec.Command(filepath.Join(s.bin, program), args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	log := new(bytes.Buffer)
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		if s.t.Failed() {
			s.t.Logf("%s %s:\n%s", program, args[0], log)
		}
	})
	return cmd
}

func (s *site) startRelay() {
	ready := filepath.Join(s.dir, "relay.json")
	_ = os.Remove(ready)
	s.relay = s.command("sallyport", "relay", "--listen", s.relayAddress, "--ready-file", ready)
	s.await(ready)
}

func (s *site) killRelay() {
	_ = s.relay.Process.Kill()
	_ = s.relay.Wait()
}

// start starts both processes of a node, and returns where its host listens.
func (s *site) start(n int) string {
	s.t.Helper()
	// A socket's path has at most 107 bytes: its folder is short.
	sockets, err := os.MkdirTemp("", "s")
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = os.RemoveAll(sockets) })
	door, enclave, ready := "unix:"+sockets+"/h", "unix:"+sockets+"/e", sockets+"/ready"
	host := s.command("sallyport", "serve", "--enclave", enclave, "--door", door, "--store", s.path(n, "store"), "--listen", "127.0.0.1:0",
		"--ready-file", ready, "--relay", s.network[n].Addr(), "--relay-allow-loopback", "--rules-allow-private", "--log-level", "WARN")
	s.await(ready)
	child := s.command("sallyport-enclave-local", "--listen", enclave, "--host", door, "--root", "file:"+s.path(n, "root.key"),
		"--manifest", s.path(n, "manifest.json"), "--attestation-root", s.path(n, "attestation-root.pem"))
	s.running[n] = []*exec.Cmd{host, child}
	var r struct{ Listen string }
	b, err := os.ReadFile(ready)
	if err != nil || json.Unmarshal(b, &r) != nil {
		s.t.Fatal(err)
	}
	base := "http://" + r.Listen
	for wait := 0; ; wait++ {
		answer, err := http.Get(base + "/readyz")
		if err == nil {
			_ = answer.Body.Close()
			if answer.StatusCode == 200 {
				return base
			}
		}
		if wait == 500 {
			s.t.Fatalf("node %d does not become ready: %v", n, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (s *site) await(path string) {
	s.t.Helper()
	for wait := 0; ; wait++ {
		if _, err := os.Stat(path); err == nil {
			return
		}
		if wait == 500 {
			s.t.Fatalf("%s does not appear", path)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// kill ends both processes of a node, as a power cut would.
func (s *site) kill(n int) {
	for _, c := range s.running[n] {
		_ = c.Process.Kill()
		_ = c.Wait()
	}
	s.running[n] = nil
}

// restart brings a killed node back; its users still have their keys.
func (s *site) restart(n int) {
	s.t.Helper()
	s.nodes[n].do = remote(s.start(n)).do
}
