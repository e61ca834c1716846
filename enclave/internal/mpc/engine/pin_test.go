package engine

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// The gate was written for one version of the library: which messages it has, how
// many numbers are in them, when it reads what is signed, and which checks it
// lacks. Before these are changed, the gate has to be held to the new version.
const (
	pinned    = "github.com/bnb-chain/tss-lib/v2 v2.0.2"
	pinnedSum = "h1:dL2GJFCSYsYQ0bHkGll+hNM2JWsC1rxDmJJJQEmUy9g="
	library   = "github.com/bnb-chain/tss-lib"
)

// root of the module, from this package's folder.
var root = filepath.Join("..", "..", "..", "..")

func lines(t *testing.T, name string) []string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(string(b), "\n")
}

func TestLibraryIsTheOneThatTheGateIsFor(t *testing.T) {
	found := 0
	for _, line := range lines(t, "go.mod") {
		line, _, _ = strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "require "), "//")
		if !strings.HasPrefix(strings.TrimPrefix(line, "replace "), library) {
			continue
		}
		if found++; strings.TrimSpace(line) != pinned {
			t.Errorf("go.mod has %q, and the gate is for %q", line, pinned)
		}
	}
	if found != 1 {
		t.Errorf("go.mod names the library %d times", found)
	}
	found = 0
	for _, line := range lines(t, "go.sum") {
		if strings.HasPrefix(line, library) && !strings.Contains(line, "/go.mod ") {
			if found++; line != pinned+" "+pinnedSum {
				t.Errorf("go.sum has %q", line)
			}
		}
	}
	if found != 1 {
		t.Errorf("go.sum names the library %d times", found)
	}
}

// Without the proofs of its modulus a party may learn the others' shares.
func TestNobodyTurnsProofsOff(t *testing.T) {
	switches := []string{"SetNoProof" + "Mod", "SetNoProof" + "Fac"}
	files := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == ".git" || d.Name() == "node_modules") {
			return filepath.SkipDir
		}
		if d.IsDir() || filepath.Ext(path) != ".go" {
			return nil
		}
		files++
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, s := range switches {
			if strings.Contains(string(b), s) {
				t.Errorf("%s has %s", path, s)
			}
		}
		return onlyTheEngineImportsIt(t, path, b)
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 100 {
		t.Errorf("looked at %d files only", files)
	}
}

// onlyTheEngineImportsIt, for its messages must pass the gate.
func onlyTheEngineImportsIt(t *testing.T, path string, source []byte) error {
	file, err := parser.ParseFile(token.NewFileSet(), path, source, parser.ImportsOnly)
	if err != nil {
		return err
	}
	for _, i := range file.Imports {
		name, err := strconv.Unquote(i.Path.Value)
		if err != nil {
			return err
		}
		if strings.HasPrefix(name, library) && filepath.Dir(path) != filepath.Join(root, "enclave", "internal", "mpc", "engine") {
			t.Errorf("%s imports %s, which only the engine may", path, name)
		}
	}
	return nil
}
