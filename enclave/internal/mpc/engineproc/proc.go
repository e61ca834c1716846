package engineproc

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"sync"

	"github.com/sallyport/sallyport/enclave/internal/keys"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
)

// A Proc is an engine in a child process. The child is started when it is first
// needed, and again after it has died. It implements [mpc.Engine].
type Proc struct {
	path string
	log  *slog.Logger

	mu     sync.Mutex
	child  *process
	closed bool
}

var _ mpc.Engine = (*Proc)(nil)

// New makes an engine of the program at a path. Nothing is started yet.
func New(path string, log *slog.Logger) *Proc { return &Proc{path: path, log: log} }

// Check implements [mpc.Engine].
func (p *Proc) Check(op mpc.Op, curve keys.Curve) error { return mpc.Sound(op, curve) }

// Close ends the child and all sessions.
func (p *Proc) Close() {
	p.mu.Lock()
	child := p.child
	p.closed, p.child = true, nil
	p.mu.Unlock()
	if child != nil {
		child.kill()
	}
}

// PID is the child's process id, 0 when there is none.
func (p *Proc) PID() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.child == nil {
		return 0
	}
	return p.child.cmd.Process.Pid
}

// Start implements [mpc.Engine]. A child that turns out to be dead before it has
// begun is replaced once.
func (p *Proc) Start(ctx context.Context, s *mpc.Setup) (mpc.Session, error) {
	for again := true; ; again = false {
		c, err := p.running()
		if err != nil {
			return nil, mpc.Failf(mpc.CauseEngine, nil, "the engine cannot be started")
		}
		session, err := c.start(ctx, s)
		switch {
		case err == nil:
			return session, nil
		case errors.Is(err, errTooLong):
			return nil, mpc.Failf(mpc.CauseSetup, nil, "what is to be signed is too long")
		case !errors.Is(err, errGone):
			return nil, err
		case !again:
			return nil, gone()
		}
	}
}

// errGone says that the process has ended before a session began.
var errGone = errors.New("engine: the process has ended")

// gone is the failure of a session whose process ended.
func gone() *mpc.Failure { return mpc.Failf(mpc.CauseEngine, nil, "the engine's process ended") }

func (p *Proc) running() (*process, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, errors.New("engine: closed")
	}
	if p.child != nil && !p.child.dead() {
		return p.child, nil
	}
	c, err := launch(p.path, p.log)
	if err != nil {
		p.log.Error("starting the engine", "error", err.Error())
		return nil, err
	}
	p.child = c
	return c, nil
}

// A process is one life of the child.
type process struct {
	cmd  *exec.Cmd
	in   io.WriteCloser
	log  *slog.Logger
	last *lastWords

	write sync.Mutex

	mu       sync.Mutex
	number   uint64 // of the last session
	sessions map[uint64]*session
	ended    bool
	done     chan struct{}
}

func launch(path string, log *slog.Logger) (*process, error) {
	cmd := exec.Command(path)
	cmd.Env = []string{"GOMEMLIMIT=512MiB"} // nothing of this process
	if v := os.Getenv("GOCOVERDIR"); v != "" {
		cmd.Env = append(cmd.Env, "GOCOVERDIR="+v)
	}
	dieWithParent(cmd)
	last := new(lastWords)
	cmd.Stderr = last
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, in: in, log: log, last: last, sessions: map[uint64]*session{}, done: make(chan struct{})}
	log.Info("engine started", "pid", cmd.Process.Pid)
	go p.listen(out)
	return p, nil
}

func (p *process) dead() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ended
}

func (p *process) kill() {
	_ = p.in.Close()
	_ = p.cmd.Process.Kill() // at worst it is gone already
	<-p.done
}

// listen reads what the child says, until it ends.
func (p *process) listen(out io.Reader) {
	for {
		f, err := read(out)
		if err != nil {
			break
		}
		p.mu.Lock()
		s := p.sessions[f.ID]
		if f.Kind == kindEnded || (f.Kind == kindStarted && f.Failure != nil) {
			delete(p.sessions, f.ID)
		}
		p.mu.Unlock()
		if s != nil {
			s.take(f)
		}
	}
	_ = p.cmd.Process.Kill()
	err := p.cmd.Wait()
	p.mu.Lock()
	p.ended = true
	left := p.sessions
	p.sessions = nil
	p.mu.Unlock()
	p.log.Warn("engine ended", "sessions", len(left), "state", p.cmd.ProcessState.String(), "said", p.last.String(), "error", err != nil)
	for _, s := range left {
		s.take(&frame{Kind: kindFailure, Failure: fromFailure(gone())})
		s.take(&frame{Kind: kindEnded})
	}
	close(p.done)
}

func (p *process) send(f *frame) error {
	p.write.Lock()
	defer p.write.Unlock()
	return write(p.in, f)
}
