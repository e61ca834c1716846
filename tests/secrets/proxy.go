package secrets

import (
	"net"
	"sync"
)

// A Recorder stands between two sockets and keeps everything that passes.
type Recorder struct {
	listener net.Listener
	to       string

	running sync.WaitGroup

	mu    sync.Mutex
	bytes []byte
}

// Record listens at a path and passes every connection on to another. It ends
// with Close.
func Record(path, to string) (*Recorder, error) {
	ln, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	r := &Recorder{listener: ln, to: to}
	r.running.Go(r.accept)
	return r, nil
}

func (r *Recorder) accept() {
	for {
		c, err := r.listener.Accept()
		if err != nil {
			return
		}
		r.running.Go(func() { r.pass(c) })
	}
}

// Close stops taking connections and waits for those under way to end.
func (r *Recorder) Close() error {
	err := r.listener.Close()
	r.running.Wait()
	return err
}

// Bytes is what has passed on connections that have ended, each direction in
// one piece.
func (r *Recorder) Bytes() []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]byte(nil), r.bytes...)
}

func (r *Recorder) pass(c net.Conn) {
	defer c.Close()
	up, err := net.Dial("unix", r.to)
	if err != nil {
		return // as if nobody listened
	}
	defer up.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.copy(up, c)
	}()
	r.copy(c, up)
	<-done
}

// copy keeps what one side says to the other in order, and appends it to the
// record when that side is done, so that the other direction cannot come
// between two halves of a secret.
func (r *Recorder) copy(to, from net.Conn) {
	var said []byte
	defer func() {
		r.mu.Lock()
		r.bytes = append(r.bytes, said...)
		r.mu.Unlock()
		if half, ok := to.(*net.UnixConn); ok {
			_ = half.CloseWrite()
		}
	}()
	b := make([]byte, 64<<10)
	for {
		n, err := from.Read(b)
		said = append(said, b[:n]...)
		if n > 0 {
			if _, err := to.Write(b[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
