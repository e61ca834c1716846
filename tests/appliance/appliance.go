// Package appliance runs the built binaries for tests that are programs, or
// that need real processes: it starts `sallyport dev` from a folder of
// binaries, reads its one line, keeps everything that it prints, and ends it
// in the ways that a test wants. It also makes stamps and activities byte by
// byte, as a client would and as no client should.
//
// It knows the appliance only from outside, as the command line and the HTTP
// API show it.
package appliance

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/sallyport/sallyport/host/client"
)

// Ready is the one line of `sallyport dev --json`.
type Ready struct {
	BaseURL         string `json:"base_url"` // http://IP:PORT
	OrganizationID  string `json:"organization_id"`
	Users           []User `json:"users"`
	QuorumPublicKey string `json:"quorum_public_key"` // 65 bytes, hex
	AttestationRoot string `json:"attestation_root"`  // path of a PEM file
	EnclavePID      int    `json:"enclave_pid"`
	HostPID         int    `json:"host_pid"`
	Nodes           []Node `json:"nodes"`         // of --nodes
	RelayAddress    string `json:"relay_address"` // HOST:PORT
}

// Node is one of the appliances of --nodes.
type Node struct {
	BaseURL         string `json:"base_url"`
	AdminToken      string `json:"admin_token"`
	OrganizationID  string `json:"organization_id"`
	QuorumPublicKey string `json:"quorum_public_key"`
	AttestationRoot string `json:"attestation_root"`
	EnclavePID      int    `json:"enclave_pid"`
	HostPID         int    `json:"host_pid"`
}

// User is a root user of the first organization, and its API key in hex.
type User struct {
	UserID        string `json:"user_id"`
	UserName      string `json:"user_name"`
	APIPublicKey  string `json:"api_public_key"`
	APIPrivateKey string `json:"api_private_key"`
}

// Key returns the user's API key.
func (u User) Key() (*client.APIKey, error) {
	return client.ParseAPIKey(u.APIPublicKey, u.APIPrivateKey)
}

// Process names one of the three processes of an appliance.
type Process string

// The processes that [Appliance.Kill] takes.
const (
	Dev     Process = "dev"
	Host    Process = "host"
	Enclave Process = "enclave"
)

const (
	startTimeout = 30 * time.Second
	stopTimeout  = 10 * time.Second
)

// Appliance is a running `sallyport dev`.
type Appliance struct {
	Ready
	Line string // the line as it was printed

	cmd    *exec.Cmd
	stderr *Output
	stdout *Output // behind the line: must stay empty
	ended  chan struct{}
	err    error // of the process, once ended is closed
}

// Start runs `<bin>/sallyport dev --json` with more flags and returns once it
// is ready. An error holds what it had printed.
func Start(bin string, flags ...string) (*Appliance, error) {
	cmd := exec.Command(filepath.Join(bin, "sallyport"), append([]string{"dev", "--json"}, flags...)...)
	// A dev whose test died must not stay; and a terminal's ctrl-C is the
	// test's to handle.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	a := &Appliance{cmd: cmd, stderr: new(Output), stdout: new(Output), ended: make(chan struct{})}
	cmd.Stderr = a.stderr
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	line := make(chan string, 1)
	go a.read(pipe, line)
	select {
	case a.Line = <-line:
	case <-time.After(startTimeout):
		_ = cmd.Process.Kill()
		<-a.ended
		return nil, fmt.Errorf("dev was not ready within %v: %s", startTimeout, a.stderr)
	}
	if a.Line == "" {
		<-a.ended
		return nil, &StartError{Err: a.err, Stderr: a.stderr.String()}
	}
	if err := json.Unmarshal([]byte(a.Line), &a.Ready); err != nil {
		return nil, errors.Join(fmt.Errorf("the line of dev: %w", err), a.Stop())
	}
	return a, nil
}

// StartError is the end of a dev that never became ready.
type StartError struct {
	Err    error
	Stderr string
}

// Error returns the last line that dev printed.
func (e *StartError) Error() string {
	lines := strings.Split(strings.TrimSpace(e.Stderr), "\n")
	return fmt.Sprintf("dev ended (%v): %s", e.Err, lines[len(lines)-1])
}

func (a *Appliance) read(stdout io.Reader, line chan<- string) {
	r := bufio.NewReader(stdout)
	first, _ := r.ReadString('\n')
	line <- strings.TrimSuffix(first, "\n")
	_, _ = io.Copy(a.stdout, r)
	a.err = a.cmd.Wait()
	close(a.ended)
}

// Stop sends SIGTERM and returns when all three processes are gone. Dev must
// end cleanly and in time, and must have printed nothing but its line.
func (a *Appliance) Stop() error {
	_ = a.cmd.Process.Signal(syscall.SIGTERM)
	if err := a.Wait(); err != nil {
		return fmt.Errorf("dev: %w: %s", err, a.stderr)
	}
	if s := a.stdout.String(); s != "" {
		return fmt.Errorf("dev printed more than its line: %q", s)
	}
	return nil
}

// Kill ends one process with SIGKILL, as a crash would.
func (a *Appliance) Kill(which Process) error {
	return syscall.Kill(a.PID(which), syscall.SIGKILL)
}

// PID is the process id of one of the three.
func (a *Appliance) PID(which Process) int {
	switch which {
	case Host:
		return a.HostPID
	case Enclave:
		return a.EnclavePID
	}
	return a.cmd.Process.Pid
}

// Wait returns how dev ended, once its children are gone too.
func (a *Appliance) Wait() error {
	late := time.After(stopTimeout)
	select {
	case <-a.ended:
	case <-late:
		_ = a.cmd.Process.Kill()
		<-a.ended
		return fmt.Errorf("did not end within %v", stopTimeout)
	}
	for alive(a.HostPID) || alive(a.EnclavePID) {
		select {
		case <-time.After(2 * time.Millisecond):
		case <-late:
			return errors.New("left a child behind")
		}
	}
	return a.err
}

// Ended tells whether dev has ended.
func (a *Appliance) Ended() bool {
	select {
	case <-a.ended:
		return true
	default:
		return false
	}
}

// Stderr is everything that dev and its children have logged so far.
func (a *Appliance) Stderr() string { return a.stderr.String() }

// alive tells whether a process runs; one that waits for its parent does not.
func alive(pid int) bool {
	if pid <= 0 {
		return false
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, after, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(after, "Z") && !strings.HasPrefix(after, "X")
}

// Output collects what a process prints.
type Output struct {
	mu sync.Mutex
	b  []byte
}

// Write keeps a copy.
func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.b = append(o.b, p...)
	return len(p), nil
}

func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return string(o.b)
}
