package engineproc_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/sallyport/sallyport/enclave/internal/keys"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
	"github.com/sallyport/sallyport/enclave/internal/mpc/engineproc"
	"github.com/sallyport/sallyport/enclave/internal/mpc/mpctest"
)

func newProc(t *testing.T) *engineproc.Proc {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "sallyport-engine")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", bin, "github.com/sallyport/sallyport/enclave/engine").CombinedOutput(); err != nil {
		t.Fatalf("building the engine: %v\n%s", err, out)
	}
	p := engineproc.New(bin, slog.New(slog.DiscardHandler))
	t.Cleanup(p.Close)
	return p
}

func TestEngineInAProcessOfItsOwn(t *testing.T) {
	p := newProc(t)
	shares := mpctest.Keygen(t, p, keys.Ed25519, 3, 2)
	digest := sha256.Sum256([]byte("x"))
	sign := func() []mpctest.Outcome {
		return mpctest.Run(t.Context(), mpctest.Start(t, p, mpctest.SignSetups(mpc.OpSign, shares, []int{0, 2}, digest[:], nil)), nil, nil)
	}
	for _, o := range sign() {
		if err := o.Err(); err != nil || len(o.Result.Signature) != keys.SignatureSize {
			t.Fatal(err)
		}
	}

	// The process dies in the middle of an operation, and the next one works.
	sessions := mpctest.Start(t, p, mpctest.SignSetups(mpc.OpSign, shares, []int{0, 1}, digest[:], nil))
	killed := p.PID()
	if err := syscall.Kill(killed, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for _, o := range mpctest.Run(t.Context(), sessions, nil, nil) {
		if o.Failure == nil || o.Failure.Cause != mpc.CauseEngine {
			t.Errorf("got %+v", o)
		}
	}
	for _, o := range sign() {
		if err := o.Err(); err != nil {
			t.Fatal(err)
		}
	}
	if p.PID() == killed {
		t.Error("there is no new process")
	}

	_, err := p.Start(t.Context(), &mpc.Setup{Op: mpc.OpKeygen, Curve: keys.P256})
	if f, ok := errors.AsType[*mpc.Failure](err); !ok || f.Cause != mpc.CauseSetup {
		t.Errorf("got %v", err)
	}
	p.Close()
	if _, err := p.Start(t.Context(), &mpc.Setup{}); err == nil {
		t.Error("starts after it was closed")
	}
}

func TestHalfDoneSignatureInTheProcess(t *testing.T) {
	p := newProc(t)
	shares := mpctest.Key(t, keys.Secp256k1)
	digest := sha256.Sum256([]byte("x"))
	sessions := mpctest.Start(t, p, mpctest.SignSetups(mpc.OpPresign, shares, []int{0, 1}, nil, nil))
	if err := sessions[0].Finish(digest[:]); err == nil {
		t.Error("finished before it is ready")
	}
	for _, o := range mpctest.Run(t.Context(), sessions, digest[:], nil) {
		if err := o.Err(); err != nil {
			t.Fatal(err)
		}
	}
	if err := sessions[0].Finish(digest[:]); err == nil {
		t.Error("finished twice")
	}
}

func TestReshareInTheProcess(t *testing.T) {
	p := newProc(t)
	shares := mpctest.Key(t, keys.Ed25519)
	for i, s := range mpctest.Shares(t, mpctest.Run(t.Context(), mpctest.Start(t, p, mpctest.ReshareSetups(shares, 3, 2, true)), nil, nil)) {
		if string(s.Public) != string(shares[0].Public) || s.Secret.Equal(shares[i].Secret) {
			t.Error("the key changed, or the share did not")
		}
	}
}

// A child that dies at once, or says what is no answer, costs the operation.
func TestBadChild(t *testing.T) {
	for name, script := range map[string]string{
		"dies":            "echo 'panic: the library' >&2; echo more >&2; exit 2",
		"speaks nonsense": "echo 'panic: the library' >&2; echo hello world",
		"lengthy":         "echo 'panic: the library' >&2; printf '\\377\\377\\377\\377'; exec cat >/dev/null",
	} {
		t.Run(name, func(t *testing.T) {
			bin := filepath.Join(t.TempDir(), "engine")
			if err := os.WriteFile(bin, []byte("#!/bin/sh\n"+script+"\n"), 0o700); err != nil {
				t.Fatal(err)
			}
			var log bytes.Buffer
			p := engineproc.New(bin, slog.New(slog.NewTextHandler(&log, nil)))
			_, err := p.Start(t.Context(), mpctest.KeygenSetups(keys.Ed25519, 2, 2)[0])
			if f, ok := errors.AsType[*mpc.Failure](err); !ok || f.Cause != mpc.CauseEngine {
				t.Errorf("got %v", err)
			}
			p.Close()
			if said := log.String(); !strings.Contains(said, "panic: the library") || strings.Contains(said, "more") {
				t.Errorf("the log says %q", said)
			}
		})
	}
	p := engineproc.New("/nonexistent", slog.New(slog.DiscardHandler))
	if _, err := p.Start(t.Context(), mpctest.KeygenSetups(keys.Ed25519, 2, 2)[0]); err == nil {
		t.Error("started nothing")
	}
}
