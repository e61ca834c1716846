package engineproc_test

import (
	"crypto/sha256"
	"errors"
	"log/slog"
	"os/exec"
	"path/filepath"
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
	shares := mpctest.Keygen(t, p, keys.Secp256k1, 2, 2)
	digest := sha256.Sum256([]byte("x"))
	for _, o := range mpctest.Run(t.Context(), mpctest.Start(t, p, mpctest.SignSetups(mpc.OpPresign, shares, []int{0, 1}, nil, nil)), digest[:], nil) {
		if err := o.Err(); err != nil {
			t.Fatal(err)
		}
	}
}
