package dev

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// stopTime bounds the end of both children together; what then still lives is
// killed. The host is told by flag to need less.
const (
	stopTime     = 4500 * time.Millisecond
	hostStopTime = 2500 * time.Millisecond
)

// keeper starts children and sees to their end. The first child that ends by
// itself is remembered as the cause.
type keeper struct {
	stderr  io.Writer
	verbose bool
	lock    *os.File // inherited by every child, so that it is held while one lives

	starts chan func() // run on the one thread whose end would kill the children

	mu       sync.Mutex
	children []*child
	stopping bool
	first    error
	died     chan struct{} // closed at the first end that nobody asked for
}

// child is one running process.
type child struct {
	name string
	cmd  *exec.Cmd
	log  *lineWriter
	done chan struct{} // closed once it is gone

	ending bool // end was called; guarded by the keeper's mutex
}

func newKeeper(stderr io.Writer, verbose bool, lock *os.File) *keeper {
	k := &keeper{stderr: &lockedWriter{w: stderr}, verbose: verbose, lock: lock, starts: make(chan func()), died: make(chan struct{})}
	go func() {
		// The kernel sends the parent-death signal when the *thread* that
		// forked ends, so that thread must live as long as the children.
		runtime.LockOSThread()
		for start := range k.starts {
			start()
		}
	}()
	return k
}

// start runs a program whose output goes to our standard error, line by line.
func (k *keeper) start(name, path string, args ...string) (*child, error) {
	log := &lineWriter{w: k.stderr, prefix: name + " | ", verbose: k.verbose}
	cmd := exec.Command(path, args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.ExtraFiles = []*os.File{k.lock}
	cmd.SysProcAttr = childAttributes()
	cmd.WaitDelay = time.Second
	c := &child{name: name, cmd: cmd, log: log, done: make(chan struct{})}

	failed := make(chan error)
	k.starts <- func() { failed <- cmd.Start() }
	if err := <-failed; err != nil {
		return nil, fmt.Errorf("starting the %s: %w", name, err)
	}
	k.mu.Lock()
	k.children = append(k.children, c)
	k.mu.Unlock()
	go k.watch(c)
	return c, nil
}

func (k *keeper) watch(c *child) {
	err := c.cmd.Wait()
	c.log.flush()
	k.mu.Lock()
	if k.first == nil && !k.stopping && !c.ending {
		k.first = exitError(c, err)
		close(k.died)
	}
	k.mu.Unlock()
	close(c.done)
}

// exitError says who ended and how, with the last thing it had to say. Whoever
// is killed had no time to say why.
func exitError(c *child, err error) error {
	if err == nil {
		return fmt.Errorf("%s exited: without an error", c.name)
	}
	if c.cmd.ProcessState.Exited() {
		if last := c.log.lastWords(); last != "" {
			return fmt.Errorf("%s exited: %w: %s", c.name, err, last)
		}
	}
	return fmt.Errorf("%s exited: %w", c.name, err)
}

// cause is what made died close.
func (k *keeper) cause() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.first
}

// end ends one child, of which that is no surprise, and waits for it.
func (k *keeper) end(c *child) {
	k.mu.Lock()
	c.ending = true
	k.mu.Unlock()
	_ = c.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-c.done:
	case <-time.After(stopTime):
		_ = syscall.Kill(-c.cmd.Process.Pid, syscall.SIGKILL)
		<-c.done
	}
}

// stop ends the children, the one started first at first, and returns when
// all are gone. The host is started before the enclave: requests in flight get
// their answers before the enclave goes.
func (k *keeper) stop() {
	k.mu.Lock()
	k.stopping = true
	children := k.children
	k.mu.Unlock()
	deadline := time.NewTimer(stopTime)
	defer deadline.Stop()
	late := false
	for _, c := range children {
		if late {
			break
		}
		_ = c.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-c.done:
		case <-deadline.C:
			late = true
		}
	}
	for _, c := range children {
		// The whole group: a child may have children. No group is no error.
		_ = syscall.Kill(-c.cmd.Process.Pid, syscall.SIGKILL)
		<-c.done
	}
	close(k.starts)
}
