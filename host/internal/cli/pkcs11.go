package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
)

type pkcs11Group struct {
	Check pkcs11Check `cmd:"" help:"Look at a PKCS#11 token: what it can do, and whether its keys are as they should be."`
}

// pkcs11Program is the program that loads modules. This one does not: what
// vendors' libraries do in a process is out of anybody's hands.
const pkcs11Program = "sallyport-pkcs11"

// pkcs11Fails is how that program ends when a role asked for does not work.
const pkcs11Fails = 1

type pkcs11Check struct {
	URI              string   `arg:"" name:"uri" help:"The token, as in RFC 7512: pkcs11:token=NAME?module-path=/PATH&pin-source=file:/PATH, or pin-source=env:NAME. The PIN itself is not taken."`
	Role             []string `placeholder:"ROLE" help:"What must work for exit code 0: root, signer, signer:CURVE or operator. CURVE is p256, p384, secp256k1 or ed25519."`
	TrustOrigin      bool     `help:"Accept keys with CKA_LOCAL false, for modules that never set it (NSS)."`
	AllowFinalPINTry bool     `name:"allow-final-pin-try" help:"Log in although one more wrong PIN locks the token."`
	JSON             bool     `name:"json" help:"Print one JSON document on standard output."`
}

// Run checks a token in a program of its own.
func (c *pkcs11Check) Run(ctx context.Context, s *Streams) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	program, err := findPKCS11Program()
	if err != nil {
		return explain(err)
	}
	cmd := exec.CommandContext(ctx, program, c.arguments()...)
	cmd.Stdout, cmd.Stderr = s.Out, s.Err
	return explain(c.ended(cmd.Run()))
}

func (c *pkcs11Check) arguments() []string {
	args := []string{
		fmt.Sprintf("-json=%v", c.JSON),
		fmt.Sprintf("-trust-origin=%v", c.TrustOrigin),
		fmt.Sprintf("-allow-final-pin-try=%v", c.AllowFinalPINTry),
		"-role=" + strings.Join(c.Role, ","),
	}
	return append(args, "--", c.URI)
}

// ended gives the end of the program its exit code. It has printed why.
func (c *pkcs11Check) ended(err error) error {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &exit) && exit.ExitCode() == pkcs11Fails:
		return &Error{Code: ExitRefused, cause: fmt.Errorf("the token does not do what --role %s asks", strings.Join(c.Role, ","))}
	case errors.As(err, &exit):
		return usage("", "the token could not be checked")
	}
	return err
}

// findPKCS11Program looks beside this program only: a search path would let
// others choose what gets the PIN.
func findPKCS11Program() (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("finding this program: %w", err)
	}
	if self, err = filepath.EvalSymlinks(self); err != nil {
		return "", fmt.Errorf("finding this program: %w", err)
	}
	program := filepath.Join(filepath.Dir(self), pkcs11Program)
	if _, err := os.Stat(program); err != nil {
		return "", usage("build it: go build -o "+program+" ./pkcs11/tool", "%s must lie beside %s", program, filepath.Base(self))
	}
	return program, nil
}
