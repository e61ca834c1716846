package engine

import (
	"flag"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/enclave/internal/mpc"
)

var sweepAll = flag.Bool("sweep", false, "try everything that the gate lets through to the end")

// A sweep replaces each number of each message of the attacker, one at a time, by
// ones that are wrong for most: what is left for the library's proofs to refuse
// must be few, and must end in a failure.
func sweep(t *testing.T, operation string) (left []change, names []string) {
	t.Helper()
	r := record(t, operation)
	n, nTilde := moduliOf(t, victim)
	values := map[string][]byte{
		"nothing": nil, "zero": zero, "one": {1}, "32 bytes": []byte(strings.Repeat("\xff", 32)), "huge": huge,
		"the victim's N": n, "the victim's N-tilde": nTilde, "N^2": square(integer(n)).Bytes(),
		"the order": order.Bytes(),
	}
	cases, seen := 0, map[string]bool{}
	for i := range r.mail {
		_, _ = tamper(t, r.mail[i].body, func(content any) bool {
			v := reflect.ValueOf(content).Elem()
			if seen[v.Type().String()] {
				return false
			}
			seen[v.Type().String()] = true
			for _, name := range slices.Sorted(maps.Keys(places(v))) {
				for _, what := range slices.Sorted(maps.Keys(values)) {
					cases++
					f := func(content any) bool {
						w := reflect.ValueOf(content).Elem()
						if w.Type() != v.Type() {
							return false
						}
						places(w)[name].SetBytes(slices.Clone(values[what]))
						return true
					}
					if failed, _ := r.replay(t, f); failed == nil {
						left, names = append(left, f), append(names, v.Type().String()+" "+name+" "+what)
					} else if failed.Cause != mpc.CauseMessage {
						t.Errorf("%s: %v", name, failed)
					}
				}
			}
			return false
		})
	}
	t.Logf("%s: the gate stops %d of %d", operation, cases-len(left), cases)
	return left, names
}

// places are the numbers of a message: all, or of long lists the first, the last and
// one between.
func places(v reflect.Value) map[string]reflect.Value {
	out := map[string]reflect.Value{}
	for i := range v.NumField() {
		f, name := v.Field(i), v.Type().Field(i).Name
		if !v.Type().Field(i).IsExported() {
			continue
		}
		switch b := f.Interface().(type) {
		case []byte:
			out[name] = f
		case [][]byte:
			for j := range b {
				if len(b) < 20 || j == 0 || j == len(b)/2 || j == len(b)-1 {
					out[fmt.Sprintf("%s[%d]", name, j)] = f.Index(j)
				}
			}
		}
	}
	return out
}

// every is how many of what the gate lets through is tried to the end: with one, the
// whole takes an hour.
var every = map[string]int{"ed25519 keygen": 1, "ed25519 sign": 1, "ed25519 reshare": 1, "secp256k1 sign": 23}

func TestSweep(t *testing.T) {
	for _, operation := range operations {
		t.Run(operation, func(t *testing.T) {
			left, names := sweep(t, operation)
			step := every[operation]
			if *sweepAll {
				step = 1
			}
			for i := 0; step > 0 && i < len(left); i += step {
				if o := attack(t, operation, left[i]); o.Failure == nil || o.Result != nil {
					t.Errorf("%s: got %+v", names[i], o)
				}
			}
		})
	}
}
