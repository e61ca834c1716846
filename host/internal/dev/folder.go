package dev

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// folder is the data folder of one running dev, and the short-lived folder
// beside it for sockets.
type folder struct {
	dir     string   // holds keys, manifest and store; absolute
	sockets string   // removed at the end
	lock    *os.File // held while dev or a child of it lives
}

// held is what the lock file says of its holder.
type held struct {
	PID     int    `json:"pid"`
	Sockets string `json:"sockets"`
}

const (
	socketsPrefix = "sallyport-dev-"
	// longestSocket leaves room for a file name in the 104 to 108 bytes that
	// a Unix socket address holds.
	longestSocket = 80
	// lockPatience is how long a killed dev's children may take to vanish.
	lockPatience = 2 * time.Second
)

// openFolder makes or reopens a data folder and locks it. An empty name stands
// for a temporary one.
func openFolder(data string) (_ *folder, err error) {
	f := new(folder)
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close())
		}
	}()
	if data == "" {
		if f.sockets, err = makeSockets(); err != nil {
			return nil, err
		}
		data = filepath.Join(f.sockets, "data")
	}
	if f.dir, err = filepath.Abs(data); err != nil {
		return nil, fmt.Errorf("--data: %w", err)
	}
	if err := f.own(); err != nil {
		return nil, err
	}
	f.sweep()
	if f.sockets == "" {
		if f.sockets, err = makeSockets(); err != nil {
			return nil, err
		}
	}
	return f, f.sign()
}

// own makes the folder, closes it to others and takes its lock.
func (f *folder) own() error {
	if err := os.MkdirAll(f.dir, 0o700); err != nil {
		return fmt.Errorf("--data: %w", err)
	}
	lock, err := os.OpenFile(f.path("lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("--data: %w", err)
	}
	if err := f.acquire(lock); err != nil {
		return errors.Join(err, lock.Close())
	}
	f.lock = lock
	// It may have been there before, open to others.
	if err := os.Chmod(f.dir, 0o700); err != nil {
		return fmt.Errorf("--data: %w", err)
	}
	return nil
}

// acquire waits a little: the lock of a dev that was killed is held until the
// last of its children is gone, which takes the kernel a moment.
func (f *folder) acquire(lock *os.File) error {
	for deadline := time.Now().Add(lockPatience); ; time.Sleep(20 * time.Millisecond) {
		err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case err == nil:
			return nil
		case !errors.Is(err, syscall.EWOULDBLOCK):
			return fmt.Errorf("--data: locking %s: %w", lock.Name(), err)
		}
		by := readHeld(lock)
		if alive(by.PID) || time.Now().After(deadline) {
			return fmt.Errorf("--data: another sallyport dev (pid %d) runs on %s", by.PID, f.dir)
		}
	}
}

// sweep removes what a killed dev left behind.
func (f *folder) sweep() {
	was := readHeld(f.lock)
	if was.Sockets != "" && strings.HasPrefix(filepath.Base(was.Sockets), socketsPrefix) {
		_ = os.RemoveAll(was.Sockets)
	}
}

// sign puts our name on the lock.
func (f *folder) sign() error {
	b, err := json.Marshal(held{PID: os.Getpid(), Sockets: f.sockets})
	if err != nil {
		return err
	}
	if err := f.lock.Truncate(0); err != nil {
		return fmt.Errorf("--data: %w", err)
	}
	if _, err := f.lock.WriteAt(b, 0); err != nil {
		return fmt.Errorf("--data: %w", err)
	}
	return nil
}

// Close removes the sockets and, when it was temporary, the data.
func (f *folder) Close() error {
	if f.lock != nil {
		_ = f.lock.Truncate(0)
		_ = f.lock.Close()
	}
	if f.sockets == "" {
		return nil
	}
	return os.RemoveAll(f.sockets)
}

func (f *folder) path(name string) string   { return filepath.Join(f.dir, name) }
func (f *folder) socket(name string) string { return "unix:" + filepath.Join(f.sockets, name) }

func makeSockets() (string, error) {
	dir, err := os.MkdirTemp("", socketsPrefix)
	if err == nil && len(dir) > longestSocket {
		_ = os.Remove(dir)
		dir, err = os.MkdirTemp("/tmp", socketsPrefix)
	}
	if err != nil {
		return "", fmt.Errorf("folder for sockets: %w", err)
	}
	return dir, nil
}

func readHeld(lock *os.File) held {
	var h held
	b := make([]byte, 4096)
	n, _ := lock.ReadAt(b, 0)
	_ = json.Unmarshal(b[:n], &h) // empty when nobody held it
	return h
}

func alive(pid int) bool {
	return pid > 0 && syscall.Kill(pid, 0) == nil
}
