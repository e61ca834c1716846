package simulator_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/sallyport/sallyport/attestation"
	"github.com/sallyport/sallyport/enclave/internal/simulator"
)

func rootFiles(t *testing.T) (cert, key string) {
	dir := t.TempDir()
	return filepath.Join(dir, "root.pem"), filepath.Join(dir, "root.key")
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestRootFilesAreCreatedOnceAndLoaded(t *testing.T) {
	cert, key := rootFiles(t)
	if err := simulator.Create(cert, key); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]fs.FileMode{cert: 0o644, key: 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode() != want {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
	before := append(read(t, cert), read(t, key)...)
	if err := simulator.Create(cert, key); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(before, append(read(t, cert), read(t, key)...)) {
		t.Error("files that were there changed")
	}
	s, err := simulator.Load(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Root().Subject.CommonName; got != "sallyport local root, protects nothing" {
		t.Errorf("the root is called %q", got)
	}
	doc, err := s.Attest(t.Context(), nil, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	again, err := simulator.Load(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := attestation.VerifyArchived(doc, trust(t, again), attestation.Expect{}); err != nil {
		t.Errorf("a document from before the restart: %v", err)
	}
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(cert), ".sallyport-*")); len(left) != 0 || err != nil {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestProcessesThatStartTogetherShareOneRoot(t *testing.T) {
	cert, key := rootFiles(t)
	var wg sync.WaitGroup
	roots := make([][]byte, 8)
	for i := range roots {
		wg.Go(func() {
			s, err := func() (*simulator.Simulator, error) {
				if err := simulator.Create(cert, key); err != nil {
					return nil, err
				}
				return simulator.Load(cert, key)
			}()
			if err != nil {
				t.Error(err)
				return
			}
			roots[i] = s.Root().Raw
		})
	}
	wg.Wait()
	for i := range roots {
		if !bytes.Equal(roots[i], roots[0]) {
			t.Errorf("process %d has another root", i)
		}
	}
}

func TestCrashBetweenTheTwoFilesIsRepaired(t *testing.T) {
	cert, key := rootFiles(t)
	if err := simulator.Create(cert, key); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(cert); err != nil {
		t.Fatal(err)
	}
	if err := simulator.Create(cert, key); err != nil {
		t.Fatal(err)
	}
	if _, err := simulator.Load(cert, key); err != nil {
		t.Error(err)
	}
}

func TestDamagedRootIsAnError(t *testing.T) {
	otherCert, otherKey := rootFiles(t)
	if err := simulator.Create(otherCert, otherKey); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		damage func(cert, key string) error
		want   string
	}{
		{"certificate without its key", func(_, key string) error { return os.Remove(key) }, "is missing"},
		{"certificate of another key", func(cert, _ string) error { return os.WriteFile(cert, read(t, otherCert), 0o600) }, "not that of the key"},
		{"empty certificate", func(cert, _ string) error { return os.Truncate(cert, 0) }, "no PEM block"},
		{"empty key", func(_, key string) error { return os.Truncate(key, 0) }, "no PEM block"},
		{"files swapped", func(cert, key string) error {
			return errors.Join(os.Rename(cert, cert+"x"), os.Rename(key, cert), os.Rename(cert+"x", key))
		}, "no PEM block"},
		{"folder in place of the key", func(_, key string) error { return errors.Join(os.Remove(key), os.Mkdir(key, 0o700)) }, "reading"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cert, key := rootFiles(t)
			if err := errors.Join(simulator.Create(cert, key), c.damage(cert, key)); err != nil {
				t.Fatal(err)
			}
			err := simulator.Create(cert, key)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("create: got %v, want %q", err, c.want)
			}
			if _, err := simulator.Load(cert, key); err == nil {
				t.Error("load: no error")
			}
		})
	}
	t.Run("missing folder", func(t *testing.T) {
		cert, key := rootFiles(t)
		if err := simulator.Create(filepath.Join(cert, "x"), filepath.Join(key, "x")); err == nil {
			t.Error("no error")
		}
		if _, err := simulator.Load(cert, key); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("load: got %v", err)
		}
	})
}
