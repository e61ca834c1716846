//go:build cgo

package pkcs11

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	p11 "github.com/miekg/pkcs11"
)

// helperWrapped makes this binary unwrap what stands in the variable and
// print it: a process that knows nothing of the one that wrapped.
const helperWrapped = "SALLYPORT_TEST_UNWRAP"

func TestMain(m *testing.M) {
	if wrapped := os.Getenv(helperWrapped); wrapped != "" {
		os.Exit(unwrapHelper(wrapped))
	}
	if _, err := os.Stat(softHSM); err != nil {
		fmt.Fprintln(os.Stderr, "SoftHSM is missing, run make setup:", err)
		os.Exit(1)
	}
	if _, err := exec.LookPath("softhsm2-util"); err != nil {
		fmt.Fprintln(os.Stderr, "softhsm2-util is missing, run make setup:", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// tokens is a folder of SoftHSM tokens.
type tokens struct {
	t   testing.TB
	dir string
}

// newTokens points SoftHSM at an empty folder for the length of a test. It
// reads that when it is initialized, so no token of another test may be open.
func newTokens(t testing.TB) *tokens {
	t.Helper()
	dir := t.TempDir()
	conf := filepath.Join(dir, "softhsm2.conf")
	write(t, conf, "directories.tokendir = "+dir+"\nobjectstore.backend = file\nlog.level = ERROR\n", 0o600)
	switch t := t.(type) {
	case *testing.T:
		t.Setenv("SOFTHSM2_CONF", conf)
	case *testing.B:
		t.Setenv("SOFTHSM2_CONF", conf)
	}
	return &tokens{t, dir}
}

func (k *tokens) add(label string) {
	k.t.Helper()
	out, err := exec.Command("softhsm2-util", "--init-token", "--free", "--label", label, "--pin", "1234", "--so-pin", "5678").CombinedOutput()
	if err != nil {
		k.t.Fatalf("softhsm2-util: %v: %s", err, out)
	}
}

// uri names a token with a PIN file of its own.
func (k *tokens) uri(label string) string { return k.uriWithPIN(label, "1234\n") }

func (k *tokens) uriWithPIN(label, pin string) string {
	k.t.Helper()
	file := filepath.Join(k.t.TempDir(), "pin")
	write(k.t, file, pin, 0o600)
	return fmt.Sprintf("pkcs11:token=%s?module-path=%s&pin-source=file:%s", label, softHSM, file)
}

func mustOpen(t testing.TB, uri string) *Token {
	t.Helper()
	token, err := Open(uri, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { mustClose(t, token) })
	return token
}

func mustClose(t testing.TB, token *Token) {
	t.Helper()
	if err := token.Close(); err != nil {
		t.Error(err)
	}
}

// ready is a token with its key.
func ready(t testing.TB) (*tokens, *Token) {
	t.Helper()
	k := newTokens(t)
	k.add("sallyport")
	token := mustOpen(t, k.uri("sallyport"))
	if err := token.EnsureKey(t.Context()); err != nil {
		t.Fatal(err)
	}
	return k, token
}

// raw runs f in a session of the token's module, past everything of ours.
func raw(t testing.TB, token *Token, f func(api cryptoki, s p11.SessionHandle) error) {
	t.Helper()
	_, err := withSession(t.Context(), token, func(s p11.SessionHandle) (struct{}, error) {
		return struct{}{}, f(token.api, s)
	})
	if err != nil {
		t.Fatal(err)
	}
}
