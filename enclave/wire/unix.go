package wire

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// maxUnixPath is sizeof(sockaddr_un.sun_path) less its terminator.
const maxUnixPath = 107

func unixTransport(path string) (transport, error) {
	// A leading @ would name an abstract socket, which has no file mode:
	// everybody on the machine could connect.
	if path == "" || strings.HasPrefix(path, "@") || strings.ContainsRune(path, 0) {
		return transport{}, errors.New("unix address must be the path of a file")
	}
	if len(path) > maxUnixPath {
		return transport{}, fmt.Errorf("unix path must have at most %d bytes", maxUnixPath)
	}
	return transport{
		listen: func() (net.Listener, error) { return listenUnix(path) },
		dial: func(ctx context.Context) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		},
	}, nil
}

// listenUnix holds a lock on the folder while it looks at an old socket file
// and replaces it, so that two servers which start at once cannot remove each
// other's socket.
func listenUnix(path string) (net.Listener, error) {
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	defer folder.Close()
	if err := syscall.Flock(int(folder.Fd()), syscall.LOCK_EX); err != nil {
		return nil, os.NewSyscallError("flock", err)
	}
	if err := removeStale(path); err != nil {
		return nil, err
	}
	// The file gets the mode of the socket as it is when it is bound, so there
	// is no moment at which others can connect.
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var failed error
		err := c.Control(func(fd uintptr) { failed = syscall.Fchmod(int(fd), 0o600) })
		return errors.Join(err, failed)
	}}
	ln, err := config.Listen(context.Background(), "unix", path)
	if err != nil {
		return nil, err
	}
	if err := ownerOnly(path); err != nil {
		return nil, errors.Join(err, ln.Close())
	}
	return ln, nil
}

func ownerOnly(path string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return fmt.Errorf("socket file has mode %#o, must be 0600", mode)
	}
	return nil
}

// removeStale removes a socket file that nobody listens on.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return errors.New("path exists and is not a socket")
	}
	conn, err := net.Dial("unix", path)
	if err == nil {
		_ = conn.Close()
		return syscall.EADDRINUSE
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return err // a full backlog, another user's socket: somebody is there
	}
	return os.Remove(path)
}
