// Package store keeps the enclave's ciphertext in one folder, in SQLite.
//
// The store is not trusted: the enclave verifies every byte that it gets back.
// What it owes is durability. When Append or PutBlobs has returned nil, what was
// written survives a crash of the process and of the machine, and when it has
// returned an error, all or nothing was written.
//
// The folder has two databases, so that reading the blobs that a signature needs
// never waits for the disk to take the journal: journal.db and blobs.db. Each
// has one connection that holds it exclusively, which spares SQLite its
// shared-memory index and its file locks on every call.
package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/sallyport/sallyport/enclave/wire"
)

// maxAnswer bounds the bytes of one answer, and so of one record or blob. The
// door's frames hold wire.MaxBody; a quarter of that is left for its encoding.
const maxAnswer = 768 << 10

var _ wire.Host = (*Store)(nil)

// Store is an open folder. It is safe for concurrent use.
type Store struct {
	lock *os.File

	journalMu sync.Mutex
	journal   *database
	length    uint64 // records in journal.db; this process is the only writer
	insertRow *statement
	readRows  *statement
	packed    []byte // the row at hand

	blobsMu  sync.Mutex
	blobs    *database
	putBlob  *statement
	getBlob  *statement
	begin    *statement
	commit   *statement
	rollback *statement
}

// Open opens the folder, creating it when there is none. It fails when another
// process has it open; the lock of a process that died is no obstacle.
func Open(dir string) (*Store, error) {
	s := new(Store)
	if err := s.open(dir); err != nil {
		_ = s.Close()
		return nil, fmt.Errorf("opening store %s: %w", dir, err)
	}
	return s, nil
}

func (s *Store) open(dir string) (err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if s.lock, err = lockFolder(dir); err != nil {
		return err
	}
	if err := s.openJournal(filepath.Join(dir, "journal.db")); err != nil {
		return fmt.Errorf("journal.db: %w", err)
	}
	if err := s.openBlobs(filepath.Join(dir, "blobs.db")); err != nil {
		return fmt.Errorf("blobs.db: %w", err)
	}
	// The names of new files must survive a crash as well as what is in them.
	return errors.Join(syncFolder(dir), syncFolder(filepath.Dir(filepath.Clean(dir))))
}

// Close waits for the calls under way and closes the folder. Calls that come
// later fail.
func (s *Store) Close() error {
	s.journalMu.Lock()
	defer s.journalMu.Unlock()
	s.blobsMu.Lock()
	defer s.blobsMu.Unlock()
	err := errors.Join(s.journal.close(), s.blobs.close())
	if s.lock != nil {
		err = errors.Join(err, s.lock.Close()) // releases the lock
		s.lock = nil
	}
	return err
}

// lockFolder takes the lock that the kernel drops when the process ends.
func lockFolder(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = errors.New("another process has it open")
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
