package secrets

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/sallyport/sallyport/tests/appliance"
)

// build makes the programs as they are in the tree.
func build(t *testing.T) string { return appliance.Build(t, "sallyport", "sallyport-enclave-local") }

// A site is a host and an enclave with a recorder in each direction between
// them.
type site struct {
	*testing.T
	bin, dir, sockets string
	host, enclave     *process
	toEnclave, toHost *Recorder
	output            appliance.Output // of both processes, over all starts
	frames            []byte
	base              string // http://HOST:PORT
}

// A process is one of the two.
type process struct {
	cmd  *exec.Cmd
	done chan struct{}
}

func newSite(t *testing.T, bin string) *site {
	t.Helper()
	// Socket addresses are short, the test's own folder is not.
	sockets, err := os.MkdirTemp("/tmp", "sallyport-secrets-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(sockets) })
	return &site{T: t, bin: bin, dir: t.TempDir(), sockets: sockets}
}

func (s *site) path(name string) string   { return filepath.Join(s.dir, name) }
func (s *site) socket(name string) string { return filepath.Join(s.sockets, name) }

func (s *site) record(path, to string) *Recorder {
	s.Helper()
	r, err := Record(s.socket(path), s.socket(to))
	if err != nil {
		s.Fatal(err)
	}
	return r
}

func (s *site) run(program string, args ...string) *process {
	s.Helper()
	p := &process{exec.Command(filepath.Join(s.bin, program), args...), make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = &s.output, &s.output
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		s.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait()
		close(p.done)
	}()
	s.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.done
	})
	return p
}

// start runs both and waits until the enclave is ready.
func (s *site) start() {
	s.Helper()
	s.toEnclave, s.toHost = s.record("pe", "e"), s.record("ph", "h")
	ready := s.path("host.json")
	s.host = s.run("sallyport", "serve", "--enclave", "unix:"+s.socket("pe"), "--door", "unix:"+s.socket("h"),
		"--store", s.path("store"), "--listen", "127.0.0.1:0", "--ready-file", ready, "--log-level", "DEBUG")
	s.enclave = s.run("sallyport-enclave-local", "-listen", "unix:"+s.socket("e"), "-host", "unix:"+s.socket("ph"),
		"-root", "file:"+s.path("root.key"), "-manifest", s.path("manifest.json"), "-attestation-root", s.path("attestation-root.pem"))
	s.await("the host listens", func() error {
		b, err := os.ReadFile(ready)
		if err != nil {
			return err
		}
		var r struct{ Listen string }
		err = json.Unmarshal(b, &r)
		s.base = "http://" + r.Listen
		return err
	})
	h := appliance.NewHTTP(s.base)
	defer h.Close()
	s.await("the enclave is ready", func() error {
		r, err := h.Do(http.MethodGet, "/readyz", nil)
		if err == nil && r.Status != http.StatusOK {
			err = fmt.Errorf("%s", r.Body)
		}
		return err
	})
}

// await asks until there is no error.
func (s *site) await(what string, ask func() error) {
	s.Helper()
	var err error
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		if err = ask(); err == nil {
			return
		}
		select {
		case <-s.host.done:
			s.Fatalf("%s: the host ended: %s", what, s.output.String())
		case <-time.After(5 * time.Millisecond):
		}
	}
	s.Fatalf("%s: %v: %s", what, err, s.output.String())
}

// stop ends both as an operator would, and keeps what the recorders have.
func (s *site) stop() {
	s.Helper()
	for _, p := range []*process{s.host, s.enclave} {
		if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			s.Fatal(err)
		}
		select {
		case <-p.done:
		case <-time.After(10 * time.Second):
			s.Fatalf("%s did not end", p.cmd.Path)
		}
	}
	for _, r := range []*Recorder{s.toEnclave, s.toHost} {
		if err := r.Close(); err != nil {
			s.Error(err)
		}
		s.frames = append(s.frames, r.Bytes()...)
	}
}

// visible is what any user of the machine sees of a process: its command line
// and, for this user, its environment.
func visible(pid int) ([]byte, error) {
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	environment, envErr := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	if errors.Is(envErr, os.ErrPermission) {
		envErr = nil // the enclave's is closed to all but the superuser
	}
	return append(line, environment...), errors.Join(err, envErr)
}
