// Package tests holds what is true of the whole module: who may link whom.
// Its folders hold the stories, the abuses and the clients.
package tests

import (
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/enclave/wire"
)

const module = "github.com/sallyport/sallyport"

// A wall is what a package must never link, and why.
type wall struct {
	pkg  string
	tags string
	// never is a list of import paths; one that ends in /... covers all below.
	never []string
	why   string
}

var walls = []wall{
	{"./enclave", "", []string{"enclave/internal/simulator", "pkcs11", "enclave/enclavetest", "attestation/attestationtest", "host/...", "=testing"}, "the production enclave holds nothing that simulates, tests or is of the host"},
	{"./enclave", "", []string{"=net/http", "=crypto/tls"}, "the enclave parses no HTTP and speaks no TLS"},
	{"./enclave", "local", []string{"enclave/enclavetest", "attestation/attestationtest", "host/...", "=testing", "=net/http"}, "the local enclave is the production one with another root"},
	{"./enclave/wire", "", []string{"enclave/internal/...", "host/...", "attestation/...", "=net/http", "=crypto/tls"}, "the door carries messages and knows nothing"},
	{"./host", "", []string{"enclave/internal/...", "enclave/enclavetest", "pkcs11", "attestation/attestationtest", "=testing"}, "the host cannot touch what the enclave holds"},
	{"./host/client", "", []string{"enclave/internal/...", "host/internal/...", "pkcs11"}, "a client links what a client needs"},
	{"./attestation/verify", "", []string{"enclave/...", "host/...", "pkcs11", "=net/http"}, "the verifier is small and works offline"},
	{"./enclave/internal/policy/...", "", []string{"=net", "=os"}, "policy is pure"},
	{"./enclave/internal/kms", "", []string{"host/...", "=net/http", "=crypto/tls"}, "the host carries what the enclave asks of KMS"},
}

func TestWallsHold(t *testing.T) {
	for _, w := range walls {
		for _, dep := range deps(t, w.pkg, w.tags) {
			for _, never := range w.never {
				if matches(dep, never) {
					t.Errorf("%s (tags %q) links %s: %s", w.pkg, w.tags, dep, w.why)
				}
			}
		}
	}
}

func matches(dep, never string) bool {
	if std, ok := strings.CutPrefix(never, "="); ok {
		return dep == std
	}
	never = module + "/" + never
	if below, ok := strings.CutSuffix(never, "/..."); ok {
		return dep == below || strings.HasPrefix(dep, below+"/")
	}
	return dep == never
}

// TestVerifierLinksLittle lists all that a third party takes in with the
// attestation packages beside the standard library.
func TestVerifierLinksLittle(t *testing.T) {
	allowed := []string{module + "/attestation", "github.com/hf/nitrite", "github.com/fxamacker/cbor/v2", "github.com/x448/float16"}
	for _, pkg := range []string{"./attestation", "./attestation/bundle", "./attestation/proof", "./attestation/strictjson", "./attestation/verify"} {
		for _, dep := range deps(t, pkg, "") {
			if !strings.Contains(strings.SplitN(dep, "/", 2)[0], ".") {
				continue // the standard library
			}
			if !hasPrefix(dep, allowed) {
				t.Errorf("%s links %s, which third parties would take in", pkg, dep)
			}
		}
	}
}

func hasPrefix(s string, prefixes []string) bool {
	for _, p := range prefixes {
		if s == p || strings.HasPrefix(s, p+"/") {
			return true
		}
	}
	return false
}

func deps(t *testing.T, pkg, tags string) []string {
	t.Helper()
	cmd := exec.Command("go", "list", "-deps", "-tags", tags, pkg)
	cmd.Dir = ".."
	out, err := cmd.Output()
	if err != nil {
		if strings.HasSuffix(pkg, "/...") {
			return nil
		}
		t.Fatalf("go list %s: %v", pkg, err)
	}
	return strings.Fields(string(out))
}

// TestNoSecretCrossesTheDoor walks the types of the door: none may hold
// anything but plain data.
func TestNoSecretCrossesTheDoor(t *testing.T) {
	seen := map[reflect.Type]bool{}
	for _, v := range []any{wire.Request{}, wire.Reply{}, wire.Status{}, wire.Error{}} {
		walk(t, reflect.TypeOf(v), seen)
	}
}

func walk(t *testing.T, typ reflect.Type, seen map[reflect.Type]bool) {
	if seen[typ] {
		return
	}
	seen[typ] = true
	if strings.Contains(typ.PkgPath(), "/internal/") {
		t.Errorf("%v of %s crosses the door", typ, typ.PkgPath())
	}
	switch typ.Kind() {
	case reflect.Struct:
		for i := range typ.NumField() {
			walk(t, typ.Field(i).Type, seen)
		}
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		walk(t, typ.Elem(), seen)
	case reflect.Func, reflect.Chan, reflect.UnsafePointer, reflect.Interface:
		t.Errorf("%v cannot cross the door", typ)
	}
}

// TestEveryPackageSaysWhatItIs wants a package comment in every package.
func TestEveryPackageSaysWhatItIs(t *testing.T) {
	documented := map[string]bool{}
	err := filepath.WalkDir("..", func(path string, entry os.DirEntry, err error) error {
		if err != nil || !entry.IsDir() && !strings.HasSuffix(path, ".go") {
			return err
		}
		if entry.IsDir() {
			if name := entry.Name(); name == "node_modules" || name == "testdata" || name == ".git" || name == "bin" {
				return filepath.SkipDir
			}
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.PackageClauseOnly|parser.ParseComments)
		if err != nil {
			return err
		}
		dir := filepath.Dir(path)
		documented[dir] = documented[dir] || f.Doc != nil
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for dir, ok := range documented {
		if !ok {
			t.Errorf("package in %s has no comment that says what it does", dir)
		}
	}
}

// TestOneReplaceAtMost keeps go.mod installable by others but for what the
// threshold library needs.
func TestOneReplaceAtMost(t *testing.T) {
	mod, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(mod), "\nreplace "); n > 1 {
		t.Errorf("go.mod has %d replace lines", n)
	}
}
