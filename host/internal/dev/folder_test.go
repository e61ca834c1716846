package dev

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func open(t *testing.T, data string) *folder {
	t.Helper()
	f, err := openFolder(data)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func mode(t *testing.T, path string) fs.FileMode {
	t.Helper()
	i, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return i.Mode().Perm()
}

func TestTemporaryFolderIsRemovedAtTheEnd(t *testing.T) {
	f := open(t, "")
	if got := mode(t, f.dir); got != 0o700 {
		t.Errorf("mode %o", got)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{f.dir, f.sockets} {
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("%s is still there", dir)
		}
	}
}

func TestDataFolderIsClosedToOthersAndStays(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "open")
	if err := os.Mkdir(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	f := open(t, dir)
	if got := mode(t, dir); got != 0o700 {
		t.Errorf("mode %o", got)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(f.sockets); err == nil {
		t.Error("the sockets are still there")
	}
}

func TestSecondDevOnOneFolderIsRefused(t *testing.T) {
	dir := t.TempDir()
	first := open(t, dir)
	_, err := openFolder(dir)
	if err == nil || !strings.Contains(err.Error(), "another sallyport dev (pid") {
		t.Fatalf("got %v", err)
	}
	if _, err := os.Stat(first.sockets); err != nil {
		t.Errorf("the refused one removed the other's sockets: %v", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, dir)
}

func TestRemainsOfAKilledDevAreSweptAway(t *testing.T) {
	dir, sockets := t.TempDir(), filepath.Join(t.TempDir(), socketsPrefix+"old")
	other := t.TempDir()
	if err := os.Mkdir(sockets, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		lock string
		gone bool
	}{
		{`{"pid":1,"sockets":"` + sockets + `"}`, true},
		{`{"pid":1,"sockets":"` + other + `"}`, false},
		{`{"pid":`, false},
		{"", false},
	} {
		if err := os.WriteFile(filepath.Join(dir, "lock"), []byte(tt.lock), 0o600); err != nil {
			t.Fatal(err)
		}
		f := open(t, dir)
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(sockets); err == nil {
		t.Error("the old sockets are still there")
	}
	if _, err := os.Stat(other); err != nil {
		t.Errorf("a folder that is not ours was removed: %v", err)
	}
}

func TestSocketsFitTheirAddresses(t *testing.T) {
	long := filepath.Join(t.TempDir(), strings.Repeat("x", 90))
	if err := os.Mkdir(long, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", long)
	f := open(t, t.TempDir())
	if got := len(f.socket("enclave.sock")) - len("unix:"); got > 103 {
		t.Errorf("a socket's path has %d bytes: %s", got, f.socket("enclave.sock"))
	}
}
