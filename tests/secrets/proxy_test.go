package secrets

import (
	"bytes"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
)

func TestRecorderKeepsBothDirections(t *testing.T) {
	dir, err := os.MkdirTemp("/tmp", "sallyport-secrets-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	to := filepath.Join(dir, "to")
	ln, err := net.Listen("unix", to)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		asked, _ := io.ReadAll(c)
		_, _ = c.Write(append([]byte("answer to "), asked...))
	}()
	r, err := Record(filepath.Join(dir, "at"), to)
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("unix", filepath.Join(dir, "at"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "question"); err != nil {
		t.Fatal(err)
	}
	if err := c.(*net.UnixConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(c)
	if err != nil || string(answer) != "answer to question" {
		t.Fatalf("%q, %v", answer, err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	for _, want := range []string{"question", "answer to question"} {
		if !bytes.Contains(r.Bytes(), []byte(want)) {
			t.Errorf("%q was not recorded", want)
		}
	}
}
