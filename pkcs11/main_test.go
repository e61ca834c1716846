//go:build cgo

package pkcs11

import (
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	p11 "github.com/miekg/pkcs11"
)

// helperWrapped makes this binary unwrap what stands in the variable and
// print it: a process that knows nothing of the one that wrapped.
const helperWrapped = "SALLYPORT_TEST_UNWRAP"

// helperGenerate makes this binary make keys in the token of the URI until it
// is killed.
const helperGenerate = "SALLYPORT_TEST_GENERATE"

func TestMain(m *testing.M) {
	if wrapped := os.Getenv(helperWrapped); wrapped != "" {
		os.Exit(unwrapHelper(wrapped))
	}
	if uri := os.Getenv(helperGenerate); uri != "" {
		os.Exit(generateHelper(uri))
	}
	if _, err := os.Stat(softHSM); err != nil {
		fmt.Fprintln(os.Stderr, "SoftHSM is missing, run make setup:", err)
		os.Exit(1)
	}
	if _, err := exec.LookPath("softhsm2-util"); err != nil {
		fmt.Fprintln(os.Stderr, "softhsm2-util is missing, run make setup:", err)
		os.Exit(1)
	}
	if _, err := exec.LookPath("certutil"); err != nil || softokn() == "" {
		fmt.Fprintln(os.Stderr, "NSS softokn or certutil is missing, run make setup:", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// softokn is where Debian has it, of old and of late.
func softokn() string {
	for _, pattern := range []string{"/usr/lib/*/libsoftokn3.so", "/usr/lib/*/nss/libsoftokn3.so"} {
		if found, err := filepath.Glob(pattern); err == nil && len(found) > 0 {
			return found[0]
		}
	}
	return ""
}

// tokens is a folder of SoftHSM tokens, or a folder of NSS, which has one.
type tokens struct {
	t   testing.TB
	dir string
	nss bool
}

// each runs a test over every module, each with one token.
func each(t *testing.T, test func(*testing.T, *tokens)) {
	t.Run("SoftHSM", func(t *testing.T) {
		k := newTokens(t)
		k.add("sallyport")
		test(t, k)
	})
	t.Run("NSS", func(t *testing.T) { test(t, newNSS(t)) })
}

// newNSS makes a database of NSS with its one token, whose label is fixed.
func newNSS(t testing.TB) *tokens {
	t.Helper()
	dir := t.TempDir()
	pin := filepath.Join(t.TempDir(), "pin")
	write(t, pin, "1234\n", 0o600)
	if out, err := exec.Command("certutil", "-N", "-d", "sql:"+dir, "-f", pin).CombinedOutput(); err != nil {
		t.Fatalf("certutil: %v: %s", err, out)
	}
	return &tokens{t, dir, true}
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
	return &tokens{t, dir, false}
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
	if k.nss {
		reserved := url.PathEscape("configdir='sql:" + k.dir + "' certPrefix='' keyPrefix='' secmod='secmod.db' flags=")
		return fmt.Sprintf("pkcs11:token=NSS%%20Certificate%%20DB?module-path=%s&pin-source=file:%s&x-init-reserved=%s", softokn(), file, reserved)
	}
	return fmt.Sprintf("pkcs11:token=%s?module-path=%s&pin-source=file:%s", label, softHSM, file)
}

func mustOpen(t testing.TB, uri string) *Token {
	t.Helper()
	return mustOpenAs(t, uri, RoleRoot)
}

// mustOpenAs trusts the origin of keys where the module does not record it.
func mustOpenAs(t testing.TB, uri string, role Role) *Token {
	t.Helper()
	token, err := Open(uri, Options{Role: role, TrustOrigin: strings.Contains(uri, "softokn")})
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
	return k, k.ready(t)
}

func (k *tokens) ready(t testing.TB) *Token {
	t.Helper()
	token := mustOpen(t, k.uri("sallyport"))
	if err := token.EnsureKey(t.Context()); err != nil {
		t.Fatal(err)
	}
	return token
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
