package main

import (
	"bytes"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"

	_ "modernc.org/sqlite"

	"github.com/sallyport/sallyport/tests/appliance"
)

// storeRows are damage to the files of an appliance at rest. dev must end by
// itself and say what it found.
var storeRows = []row{
	{id: "I4f", what: "bit of an entry flipped in journal.db: dev names the entry", run: damagedFile(flipRow, "journal entry 1:")},
	{id: "I5f", what: "append removed from journal.db", run: damagedFile(dropRow, "journal entry 1:")},
	{id: "I5g", what: "two appends swapped in journal.db", run: damagedFile(swapRows, "journal entry 1:")},
	{id: "I4g", what: "journal.db of zero bytes", run: damagedFile(emptyFile, "empty")},
	{id: "I4h", what: "journal.db with its first page overwritten", run: damagedFile(scratchFile, "journal.db")},
	{id: "I7d", what: "store of another appliance in this one's folder", run: otherStore},
	{id: "I7e", what: "root.key of another appliance in this one's folder", run: damagedFile(otherRootKey, "journal entry 0:")},
}

// damagedFile starts dev on a damaged copy and wants it to end by itself, with
// words on standard error.
func damagedFile(damage func(w *world, dir string) error, words ...string) func(*world) (string, error) {
	return func(w *world) (string, error) {
		dir, _, err := w.copyOf()
		if err != nil {
			return "", err
		}
		if err := damage(w, dir); err != nil {
			return "", err
		}
		return w.neverReady(words, "--data", dir)
	}
}

// journalRows opens a journal at rest.
func withJournal(dir string, do func(*sql.DB) error) error {
	db, err := sql.Open("sqlite", filepath.Join(dir, "store", "journal.db"))
	if err != nil {
		return err
	}
	return errors.Join(do(db), db.Close())
}

func flipRow(_ *world, dir string) error {
	return withJournal(dir, func(db *sql.DB) error {
		var b []byte
		if err := db.QueryRow("SELECT records FROM appends WHERE first = 1").Scan(&b); err != nil {
			return err
		}
		_, err := db.Exec("UPDATE appends SET records = ? WHERE first = 1", flipLast(b))
		return err
	})
}

func dropRow(_ *world, dir string) error {
	return withJournal(dir, func(db *sql.DB) error {
		_, err := db.Exec("DELETE FROM appends WHERE first = 1")
		return err
	})
}

func swapRows(_ *world, dir string) error {
	return withJournal(dir, func(db *sql.DB) error {
		for _, move := range [][2]int{{1, 1000}, {2, 1}, {1000, 2}} {
			if _, err := db.Exec("UPDATE appends SET first = ? WHERE first = ?", move[1], move[0]); err != nil {
				return err
			}
		}
		return nil
	})
}

// emptyFile also removes the log beside the file.
func emptyFile(_ *world, dir string) error {
	for _, rest := range []string{"journal.db-wal", "journal.db-shm"} {
		if err := os.Remove(filepath.Join(dir, "store", rest)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return os.Truncate(filepath.Join(dir, "store", "journal.db"), 0)
}

func scratchFile(_ *world, dir string) error {
	// Closing the database first moves everything out of the log.
	if err := withJournal(dir, func(db *sql.DB) error {
		_, err := db.Exec("PRAGMA wal_checkpoint(TRUNCATE)")
		return err
	}); err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(dir, "store", "journal.db"), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(bytes.Repeat([]byte{0xa5}, 4096), 0)
	return errors.Join(err, f.Close())
}

func otherRootKey(_ *world, dir string) error {
	return os.WriteFile(filepath.Join(dir, "root.key"), []byte(strings.Repeat("ab", 32)+"\n"), 0o600)
}

func otherStore(w *world) (string, error) {
	dir, _, err := w.copyOf()
	if err != nil {
		return "", err
	}
	elsewhere := filepath.Join(w.dir, "elsewhere")
	a, err := appliance.Start(w.bin, "--data", elsewhere)
	if err != nil {
		return "", err
	}
	if err := a.Stop(); err != nil {
		return "", err
	}
	store := filepath.Join(dir, "store")
	if err := errors.Join(os.RemoveAll(store), os.CopyFS(store, os.DirFS(filepath.Join(elsewhere, "store")))); err != nil {
		return "", err
	}
	return w.neverReady([]string{"journal entry 0:"}, "--data", dir)
}
