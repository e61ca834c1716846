package engineproc

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"slices"
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

// Start implements [mpc.Engine].
func (p *Proc) Start(ctx context.Context, s *mpc.Setup) (mpc.Session, error) {
	c, err := p.running()
	if err != nil {
		return nil, mpc.Failf(mpc.CauseEngine, nil, "the engine cannot be started")
	}
	return c.start(ctx, s)
}

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
	cmd *exec.Cmd
	in  io.WriteCloser
	log *slog.Logger

	write sync.Mutex

	mu       sync.Mutex
	last     uint64
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
	p := &process{cmd: cmd, in: in, log: log, sessions: map[uint64]*session{}, done: make(chan struct{})}
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
		if f.Kind == kindEnded {
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
	p.log.Warn("engine ended", "sessions", len(left), "state", p.cmd.ProcessState.String(), "error", err != nil)
	for _, s := range left {
		s.take(&frame{Kind: kindFailure, Failure: &failure{Cause: string(mpc.CauseEngine), Reason: "the engine's process ended"}})
		s.take(&frame{Kind: kindEnded})
	}
	close(p.done)
}

func (p *process) send(f *frame) error {
	p.write.Lock()
	defer p.write.Unlock()
	return write(p.in, f)
}

func (p *process) start(ctx context.Context, setup *mpc.Setup) (mpc.Session, error) {
	s := &session{process: p, events: make(chan mpc.Event), started: make(chan error, 1), kick: make(chan struct{}, 1), gone: make(chan struct{})}
	p.mu.Lock()
	if p.ended {
		p.mu.Unlock()
		return nil, mpc.Failf(mpc.CauseEngine, nil, "the engine's process ended")
	}
	p.last++
	s.id = p.last
	p.sessions[s.id] = s
	p.mu.Unlock()
	go s.pass()
	if err := p.send(&frame{Kind: kindStart, ID: s.id, Setup: fromSetup(setup)}); err != nil {
		s.Close()
		return nil, mpc.Failf(mpc.CauseEngine, nil, "the engine's process ended")
	}
	select {
	case <-ctx.Done():
		s.Close()
		return nil, ctx.Err()
	case err := <-s.started:
		if err != nil {
			s.Close()
			return nil, err
		}
	}
	context.AfterFunc(ctx, s.Close)
	return s, nil
}

// A session is one of the child's.
type session struct {
	process *process
	id      uint64
	events  chan mpc.Event
	started chan error
	kick    chan struct{}
	gone    chan struct{} // closed by Close
	once    sync.Once
	finish  sync.Once

	mu    sync.Mutex
	queue []mpc.Event
	ended bool
}

// take takes a frame of the child; it never waits, so that one session that
// nobody reads holds up no other.
func (s *session) take(f *frame) {
	s.mu.Lock()
	switch f.Kind {
	case kindStarted:
		s.tell(f)
	case kindMessage:
		s.queue = append(s.queue, mpc.Event{Message: &mpc.Message{To: f.Party, Broadcast: f.Broadcast, Round: uint8(f.Round), Body: f.Body}})
	case kindPresigned:
		s.queue = append(s.queue, mpc.Event{Presigned: true})
	case kindFailure:
		s.tell(f)
		s.queue = append(s.queue, mpc.Event{Failure: f.Failure.failure()})
	case kindResult:
		share, err := f.Share.share()
		if err != nil {
			s.queue = append(s.queue, mpc.Event{Failure: mpc.Failf(mpc.CauseEngine, nil, "the engine gave no share")})
		} else {
			s.queue = append(s.queue, mpc.Event{Result: &mpc.Result{Share: share, Signature: f.Body}})
		}
	case kindEnded:
		s.ended = true
	}
	s.mu.Unlock()
	select {
	case s.kick <- struct{}{}:
	default:
	}
}

// tell answers Start, once.
func (s *session) tell(f *frame) {
	var err error
	if f.Failure != nil {
		err = f.Failure.failure()
	}
	select {
	case s.started <- err:
	default:
	}
}

// pass gives the queue to who reads the events.
func (s *session) pass() {
	defer close(s.events)
	for {
		s.mu.Lock()
		queue, ended := s.queue, s.ended
		s.queue = nil
		s.mu.Unlock()
		for _, e := range queue {
			select {
			case s.events <- e:
			case <-s.gone:
				return
			}
		}
		if ended && len(queue) == 0 {
			return
		}
		if len(queue) > 0 {
			continue
		}
		select {
		case <-s.kick:
		case <-s.gone:
			return
		}
	}
}

// Events implements [mpc.Session].
func (s *session) Events() <-chan mpc.Event { return s.events }

// Deliver implements [mpc.Session].
func (s *session) Deliver(from int, broadcast bool, body []byte) {
	_ = s.process.send(&frame{Kind: kindDeliver, ID: s.id, Party: from, Broadcast: broadcast, Body: slices.Clone(body)})
}

// Finish implements [mpc.Session].
func (s *session) Finish(digest []byte) error {
	err := errors.New("engine: the half-done signature was used before")
	s.finish.Do(func() {
		s.mu.Lock()
		ended := s.ended
		s.mu.Unlock()
		if err = nil; ended || s.process.dead() {
			err = mpc.Failf(mpc.CauseEngine, nil, "the engine's process ended")
			return
		}
		err = s.process.send(&frame{Kind: kindFinish, ID: s.id, Body: digest})
	})
	return err
}

// Close implements [mpc.Session].
func (s *session) Close() {
	s.once.Do(func() {
		close(s.gone)
		_ = s.process.send(&frame{Kind: kindClose, ID: s.id})
	})
}
