package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/mdlayher/vsock"
)

func TestAddressMustHaveItsForm(t *testing.T) {
	good := []string{"unix:/run/door", "unix:door", "vsock:3:5000", "vsock:any:5000", "vsock:0:1", "vsock:4294967294:4294967294"}
	bad := []string{
		"", "/run/door", "tcp:localhost:80", "UNIX:/x", "unix", "unix:", "unix:@abstract", "unix:a\x00b",
		"unix:/" + strings.Repeat("x", maxUnixPath), "vsock", "vsock:", "vsock:3", "vsock:3:", "vsock::5000", "vsock:3:0",
		"vsock:-1:5000", "vsock:+3:5000", "vsock:03:5000", "vsock:0x3:5000", "vsock:4294967295:5000", "vsock:3:4294967295",
		"vsock:3:4294967296", "vsock:3:5000:1", "vsock:3: 5000", "vsock:ANY:5000", "vsock:3:any",
	}
	for _, address := range good {
		if _, err := choose(address, nil); err != nil {
			t.Errorf("%q: %v", address, err)
		}
	}
	for _, address := range bad {
		if _, err := choose(address, nil); err == nil {
			t.Errorf("%q: accepted", address)
		}
		if _, err := Dial(t.Context(), address); err == nil {
			t.Errorf("%q: dialled", address)
		}
	}
}

// fakeVsock is an AF_VSOCK on which callers can have any CID.
type fakeVsock struct {
	*pipes
	cid, port uint32
}

func (f *fakeVsock) listen(cid, port uint32) (net.Listener, error) {
	f.cid, f.port = cid, port
	return f, nil
}

func (f *fakeVsock) dial(_ context.Context, cid, port uint32) (net.Conn, error) {
	f.cid, f.port = cid, port
	return nil, errors.New("dialled")
}

type cidConn struct {
	net.Conn
	cid uint32
}

func (c cidConn) RemoteAddr() net.Addr { return &vsock.Addr{ContextID: c.cid, Port: 7} }

func (f *fakeVsock) arrive(cid uint32) net.Conn {
	here, there := net.Pipe()
	f.accepted <- cidConn{there, cid}
	return here
}

func TestVsockListensOnEveryCID(t *testing.T) {
	for _, address := range []string{"vsock:3:5000", "vsock:any:5000"} {
		f := &fakeVsock{pipes: newPipes()}
		tr, err := choose(address, f)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tr.listen(); err != nil {
			t.Fatal(err)
		}
		if f.cid != cidAny || f.port != 5000 {
			t.Errorf("%s: bound to CID %d, port %d", address, f.cid, f.port)
		}
	}
}

func TestVsockDialsTheCIDAndPort(t *testing.T) {
	f := &fakeVsock{pipes: newPipes()}
	tr, err := choose("vsock:16:5000", f)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tr.dial(t.Context()); err == nil || f.cid != 16 || f.port != 5000 {
		t.Errorf("dialled CID %d, port %d: %v", f.cid, f.port, err)
	}
	if _, err := Dial(t.Context(), "vsock:any:5000"); err == nil || !strings.Contains(err.Error(), "cannot be dialled") {
		t.Errorf("any: %v", err)
	}
}

// A10: connections of another CID than the one named are closed unheard.
func TestA10ConnectionOfAnotherCIDIsRefused(t *testing.T) {
	f := &fakeVsock{pipes: newPipes()}
	tr, err := choose("vsock:3:5000", f)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := tr.listen()
	if err != nil {
		t.Fatal(err)
	}
	accepted := make(chan net.Conn)
	go func() {
		conn, err := ln.Accept()
		if err != nil {
			t.Error(err)
		}
		accepted <- conn
	}()
	for _, stranger := range []uint32{2, 4, 16, cidAny} {
		conn := f.arrive(stranger)
		if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("CID %d: %v, want the connection closed", stranger, err)
		}
	}
	parent := f.arrive(3)
	defer parent.Close()
	if conn := <-accepted; conn.RemoteAddr().(*vsock.Addr).ContextID != 3 {
		t.Error("not the parent's connection")
	}
	_ = ln.Close()
	if _, err := ln.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("closed listener: %v", err)
	}
}

func TestSocketFileIsForItsOwnerOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "door")
	ln, err := Listen("unix:" + path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Lstat(path)
	if err != nil || info.Mode() != fs.ModeSocket|0o600 {
		t.Errorf("mode is %v, %v", info.Mode(), err)
	}
	_ = ln.Close()
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after closing: %v, want the file gone", err)
	}
}

func TestStaleSocketFileIsReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "door")
	old, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	old.(*net.UnixListener).SetUnlinkOnClose(false) // as after kill -9
	_ = old.Close()
	ln, err := Listen("unix:" + path)
	if err != nil {
		t.Fatal(err)
	}
	_ = ln.Close()
}

func TestSocketInUseIsNotReplaced(t *testing.T) {
	address := "unix:" + filepath.Join(t.TempDir(), "door")
	ln, err := Listen(address)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if _, err := Listen(address); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("second listener: %v", err)
	}
	if _, err := Dial(t.Context(), address); err != nil {
		t.Errorf("first listener is gone: %v", err)
	}
}

func TestFileThatIsNoSocketIsNotReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "door")
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen("unix:" + path); err == nil {
		t.Error("listening")
	}
	if b, _ := os.ReadFile(path); string(b) != "precious" {
		t.Error("the file was replaced")
	}
}

func TestOneOfManyListenersWins(t *testing.T) {
	address := "unix:" + filepath.Join(t.TempDir(), "door")
	var mu sync.Mutex
	var won []net.Listener
	var running sync.WaitGroup
	for range 20 {
		running.Go(func() {
			if ln, err := Listen(address); err == nil {
				mu.Lock()
				defer mu.Unlock()
				won = append(won, ln)
			}
		})
	}
	running.Wait()
	if len(won) != 1 {
		t.Errorf("%d listeners, want 1", len(won))
	}
	for _, ln := range won {
		_ = ln.Close()
	}
}

func ExampleDial() {
	_, err := Dial(context.Background(), "tcp:127.0.0.1:80")
	fmt.Println(err)
	// Output: address must be unix:PATH or vsock:CID:PORT
}
