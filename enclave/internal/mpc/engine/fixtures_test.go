package engine_test

import (
	"crypto/rand"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/sallyport/sallyport/enclave/internal/keys"
	"github.com/sallyport/sallyport/enclave/internal/mpc/engine"
	"github.com/sallyport/sallyport/enclave/internal/mpc/mpctest"
	"github.com/sallyport/sallyport/enclave/internal/mpc/preparams"
)

var update = flag.Bool("update", false, "make the committed keys of package mpctest again, and pre-parameters that are missing")

// TestFixtures reads what package mpctest has committed, or makes it.
func TestFixtures(t *testing.T) {
	dir := filepath.Join("..", "mpctest", "testdata")
	for i := range mpctest.Sets {
		name := filepath.Join(dir, fmt.Sprintf("preparams%d.cbor", i))
		if _, err := os.Stat(name); err != nil && *update {
			set, err := preparams.Generate(t.Context(), rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			write(t, name, set.Encode().Expose())
		}
	}
	for _, c := range []keys.Curve{keys.Secp256k1, keys.Ed25519} {
		if *update {
			shares := mpctest.Keygen(t, engine.New(), c, mpctest.KeyParties, mpctest.KeyThreshold)
			write(t, filepath.Join(dir, fmt.Sprintf("key%d.cbor", c)), mpctest.EncodeKey(shares))
			continue
		}
		shares := mpctest.Key(t, c)
		combine(t, shares, 0, 1)
		combine(t, shares, 2, 1)
	}
	if *update {
		return // what is embedded is older
	}
	for i := range mpctest.Sets {
		if _, err := preparams.Decode(mpctest.PreParams(i)); err != nil {
			t.Errorf("set %d: %v", i, err)
		}
	}
}

func write(t *testing.T, name string, b []byte) {
	t.Helper()
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
}
