package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/enclave/wire"
	"github.com/sallyport/sallyport/host/internal/store/storetest"
)

func mustOpen(t testing.TB, dir string) *Store {
	t.Helper()
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func mustClose(t *testing.T, s *Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestContract(t *testing.T) {
	storetest.Run(t, func() wire.Host { return mustOpen(t, t.TempDir()) })
}

func TestReopenedStoreHasEverything(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "a b?c#d%41;é")
	var length uint64
	for round := range 4 {
		s := mustOpen(t, dir)
		records, err := s.ReadRange(t.Context(), 0, wire.MaxRange)
		if err != nil || uint64(len(records)) != length {
			t.Fatalf("got %d records, %v, want %d", len(records), err, length)
		}
		for i, r := range records {
			if want := fmt.Sprint("record ", i); string(r) != want {
				t.Errorf("record %d is %q", i, r)
			}
		}
		var batch [][]byte
		for i := range round + 1 {
			batch = append(batch, fmt.Append(nil, "record ", int(length)+i))
		}
		if err := s.Append(t.Context(), length, batch); err != nil {
			t.Fatal(err)
		}
		length += uint64(len(batch))
		mustClose(t, s)
	}
	if _, err := os.Stat(filepath.Join(dir, "journal.db")); err != nil {
		t.Error(err)
	}
}

func TestFolderOpensOnce(t *testing.T) {
	dir := t.TempDir()
	first := mustOpen(t, dir)
	if second, err := Open(dir); err == nil {
		second.Close()
		t.Error("the folder opens twice")
	} else if !strings.Contains(err.Error(), "another process has it open") {
		t.Errorf("got %v", err)
	}
	mustClose(t, first)
	mustClose(t, mustOpen(t, dir))
}

func TestOthersCannotRead(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	s := mustOpen(t, dir)
	if err := s.Append(t.Context(), 0, [][]byte{{1}}); err != nil {
		t.Fatal(err)
	}
	if err := s.PutBlobs(t.Context(), [][]byte{{1}}); err != nil {
		t.Fatal(err)
	}
	files := 0
	err := filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		files++
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return nil
	})
	if err != nil || files < 6 { // the folder, lock, two databases, two logs
		t.Errorf("%d files, %v", files, err)
	}
}

func TestClosedStoreRefuses(t *testing.T) {
	s := mustOpen(t, t.TempDir())
	mustClose(t, s)
	mustClose(t, s)
	if err := s.Append(t.Context(), 0, [][]byte{{1}}); !errors.Is(err, errClosed) {
		t.Errorf("Append: %v", err)
	}
	if err := s.PutBlobs(t.Context(), [][]byte{{1}}); !errors.Is(err, errClosed) {
		t.Errorf("PutBlobs: %v", err)
	}
	if _, err := s.GetBlobs(t.Context(), [][]byte{{1}}); !errors.Is(err, errClosed) {
		t.Errorf("GetBlobs: %v", err)
	}
}

func TestNewerFormatIsRefused(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir)
	if err := s.journal.run("PRAGMA user_version = 2"); err != nil {
		t.Fatal(err)
	}
	mustClose(t, s)
	if s, err := Open(dir); err == nil {
		s.Close()
		t.Error("a newer format opens")
	} else if !strings.Contains(err.Error(), "has format 2") {
		t.Errorf("got %v", err)
	}
}

func TestFullDiskChangesNothing(t *testing.T) {
	s := mustOpen(t, t.TempDir())
	for _, db := range []*database{s.journal, s.blobs} {
		if err := db.run("PRAGMA max_page_count = 8"); err != nil {
			t.Fatal(err)
		}
	}
	full := &wire.Error{Code: wire.ResourceExhausted}
	if err := s.Append(t.Context(), 0, [][]byte{{1}, make([]byte, 100_000)}); !errors.Is(err, full) {
		t.Errorf("Append: got %v, want a full disk", err)
	}
	if err := s.PutBlobs(t.Context(), [][]byte{{1}, make([]byte, 100_000)}); !errors.Is(err, full) {
		t.Errorf("PutBlobs: got %v, want a full disk", err)
	}
	if records, err := s.ReadRange(t.Context(), 0, 1); len(records) != 0 || err != nil {
		t.Errorf("got %d records, %v", len(records), err)
	}
	// The store is not broken, and what fits is taken.
	if err := s.Append(t.Context(), 0, [][]byte{{1}}); err != nil {
		t.Error(err)
	}
	if err := s.PutBlobs(t.Context(), [][]byte{{2}}); err != nil {
		t.Error(err)
	}
}

func TestDamagedFileIsAnError(t *testing.T) {
	for name, damage := range map[string]string{
		"length too long":  "UPDATE appends SET records = x'000000ff01'",
		"cut in a length":  "UPDATE appends SET records = x'0000'",
		"record is gone":   "UPDATE appends SET records = x'0000000101'",
		"row is gone":      "DELETE FROM appends WHERE first = 2",
		"first row gone":   "DELETE FROM appends WHERE first = 0",
		"negative indexes": "UPDATE appends SET first = first - 5",
	} {
		t.Run(name, func(t *testing.T) {
			s := mustOpen(t, t.TempDir())
			for index := uint64(0); index < 6; index += 2 {
				if err := s.Append(t.Context(), index, [][]byte{{1}, {2}}); err != nil {
					t.Fatal(err)
				}
			}
			if err := s.journal.run(damage); err != nil {
				t.Fatal(err)
			}
			for index := uint64(0); index < 6; {
				records, err := s.ReadRange(t.Context(), index, 10)
				if err != nil {
					return
				}
				if len(records) == 0 {
					t.Fatalf("the journal seems to end at %d", index)
				}
				index += uint64(len(records))
			}
			t.Error("the damage is not seen")
		})
	}
}

func TestNoDatabaseIsRefused(t *testing.T) {
	for _, name := range []string{"journal.db", "blobs.db"} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(strings.Repeat("no database", 1000)), 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Open(dir)
		if err == nil {
			s.Close()
			t.Errorf("%s opens", name)
		} else if !strings.Contains(err.Error(), name) {
			t.Errorf("got %v, want %s named", err, name)
		}
	}
}

func TestStoreIsGivenUpAfterADiskError(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir)
	if err := s.Append(t.Context(), 0, [][]byte{{1}}); err != nil {
		t.Fatal(err)
	}
	if err := s.journal.run("PRAGMA wal_checkpoint(TRUNCATE)"); err != nil {
		t.Fatal(err)
	}
	if err := s.journal.run("PRAGMA shrink_memory"); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(dir, "journal.db"), 100); err != nil {
		t.Fatal(err)
	}
	if _, err := s.ReadRange(t.Context(), 0, 1); err == nil {
		t.Fatal("a file cut short reads")
	}
	if err := s.Append(t.Context(), 1, [][]byte{{2}}); err == nil || !strings.Contains(err.Error(), "must be opened again") {
		t.Errorf("got %v, want the store given up", err)
	}
}

func TestReadStopsBeforeAGapAndThenNamesIt(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir)
	for i := range uint64(4) {
		if err := s.Append(t.Context(), i, [][]byte{{byte(i)}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.journal.run("DELETE FROM appends WHERE first = 2"); err != nil {
		t.Fatal(err)
	}
	records, err := s.ReadRange(t.Context(), 0, 10)
	if err != nil || len(records) != 2 {
		t.Errorf("read %d records before the gap: %v", len(records), err)
	}
	if _, err := s.ReadRange(t.Context(), 2, 10); err == nil || !strings.Contains(err.Error(), "no record 2") {
		t.Errorf("reading the gap: %v", err)
	}
	mustClose(t, s)
}
