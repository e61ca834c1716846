package appliance

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"testing"
)

const module = "github.com/sallyport/sallyport/"

// programs are how each is built, as make build does it but for the speed.
var programs = map[string][]string{
	"sallyport":               {module + "host"},
	"sallyport-enclave":       {module + "enclave"},
	"sallyport-enclave-local": {"-tags", "local", module + "enclave"},
	"sallyport-engine":        {module + "enclave/engine"},
	"sallyport-pkcs11":        {module + "pkcs11/tool"},
}

// Build makes some of the programs in a folder that goes with the test.
func Build(t testing.TB, names ...string) (bin string) {
	t.Helper()
	bin = t.TempDir()
	if err := BuildInto(bin, names...); err != nil {
		t.Fatal(err)
	}
	return bin
}

// BuildInto makes some of the programs in a folder.
func BuildInto(bin string, names ...string) error {
	for _, name := range names {
		args := append([]string{"build", "-o", filepath.Join(bin, name)}, programs[name]...)
		if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
			return fmt.Errorf("building %s: %w\n%s", name, err, out)
		}
	}
	return nil
}
