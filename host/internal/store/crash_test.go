package store

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/sallyport/sallyport/enclave/wire"
)

// appendIn is set in the child that TestKilledProcessLosesNothing starts.
const appendIn = "STORE_TEST_APPEND_IN"

func TestMain(m *testing.M) {
	if dir := os.Getenv(appendIn); dir != "" {
		fmt.Fprintln(os.Stderr, appendForever(dir))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// batchAt returns the batch that the child appends at this length: one to five
// records that say where they stand.
func batchAt(length uint64) [][]byte {
	var batch [][]byte
	for i := range length%5 + 1 {
		batch = append(batch, fmt.Append(nil, "record ", length+i))
	}
	return batch
}

// appendForever appends and prints the length after each acknowledged append.
func appendForever(dir string) error {
	s, err := Open(dir)
	if err != nil {
		return err
	}
	length := s.length
	for {
		batch := batchAt(length)
		if err := s.PutBlobs(context.Background(), batch); err != nil {
			return err
		}
		if err := s.Append(context.Background(), length, batch); err != nil {
			return err
		}
		length += uint64(len(batch))
		fmt.Println(length)
	}
}

// What was acknowledged is there after kill -9, no append is there by half, and
// the dead process's lock is no obstacle.
func TestKilledProcessLosesNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	for round := range 6 {
		acknowledged := killAfter(t, dir, 1+round*17)
		s := mustOpen(t, dir)
		if s.length < acknowledged {
			t.Fatalf("%d records were acknowledged, %d are there", acknowledged, s.length)
		}
		for length := uint64(0); length < s.length; {
			batch := batchAt(length)
			length += uint64(len(batch))
			if length > s.length {
				t.Errorf("the append that ends at %d is there by half: %d", length, s.length)
			}
		}
		wantAll(t, s)
		mustClose(t, s)
	}
}

// killAfter kills the child after so many acknowledgements and returns the last.
func killAfter(t *testing.T, dir string, n int) (acknowledged uint64) {
	t.Helper()
	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), appendIn+"="+dir)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(out); lines.Scan(); n-- {
		if acknowledged, err = strconv.ParseUint(lines.Text(), 10, 64); err != nil {
			t.Error(err)
		}
		if n == 0 {
			if err := child.Process.Kill(); err != nil {
				t.Error(err)
			}
		}
	}
	if err := child.Wait(); err == nil || n > 0 {
		t.Fatalf("the child ended by itself: %v", err)
	}
	return acknowledged
}

func wantAll(t *testing.T, s *Store) {
	t.Helper()
	for length := uint64(0); length < s.length; {
		records, err := s.ReadRange(t.Context(), length, wire.MaxRange)
		if err != nil || len(records) == 0 {
			t.Fatalf("at %d: %d records, %v", length, len(records), err)
		}
		for i, r := range records {
			if want := fmt.Sprint("record ", length+uint64(i)); string(r) != want {
				t.Fatalf("record %d is %q", length+uint64(i), r)
			}
		}
		length += uint64(len(records))
	}
}
