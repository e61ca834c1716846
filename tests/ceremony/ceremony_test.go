// Package ceremony tells the stories of how an appliance gets its keys and its root,
// with the built programs, as their users type them.
package ceremony

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/sallyport/sallyport/tests/appliance"
)

func TestStories(t *testing.T) {
	bin := appliance.Build(t, "sallyport", "sallyport-enclave-local", "sallyport-pkcs11")
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(e *testscript.Env) error {
			// Sockets' paths are short, work folders' are not.
			sockets, err := os.MkdirTemp("", "c")
			if err != nil {
				return err
			}
			e.Defer(func() { _ = os.RemoveAll(sockets) })
			e.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
			e.Setenv("S", sockets)
			e.Setenv("SALLYPORT_PASSPHRASE_FILE", filepath.Join(e.WorkDir, "passphrase"))
			return os.WriteFile(filepath.Join(e.WorkDir, "passphrase"), []byte("of a test\n"), 0o600)
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"await": await, "phase": phaseOf("URL"), "nextphase": phaseOf("NEXT"), "output": output,
		},
	})
}

const patience = 20 * time.Second

// until asks again and again.
func until(ts *testscript.TestScript, what string, good func() bool) {
	for end := time.Now().Add(patience); !good(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			ts.Fatalf("%s: not within %v", what, patience)
		}
	}
}

// await FILE waits for a host's ready file and sets URL, and NEXT, to where it listens.
func await(ts *testscript.TestScript, _ bool, args []string) {
	until(ts, args[0], func() bool {
		var ready struct {
			Listen string
			Next   string `json:"next_listen"`
		}
		b, err := os.ReadFile(ts.MkAbs(ts.Getenv("S") + "/" + args[0]))
		if err != nil || json.Unmarshal(b, &ready) != nil {
			return false
		}
		ts.Setenv("URL", "http://"+ready.Listen)
		ts.Setenv("NEXT", "http://"+ready.Next)
		return true
	})
}

// phaseOf makes the command phase NAME [WORD...]: it waits until the enclave behind a
// URL is in a phase, for a reason that holds the words.
func phaseOf(url string) func(ts *testscript.TestScript, neg bool, args []string) {
	return func(ts *testscript.TestScript, _ bool, args []string) {
		var last string
		until(ts, "phase "+strings.Join(args, " "), func() bool {
			answer, err := http.Get(ts.Getenv(url) + "/sallyport/v1/status")
			if err != nil {
				return false
			}
			defer func() { _ = answer.Body.Close() }()
			var s struct{ Phase, Reason string }
			if json.NewDecoder(answer.Body).Decode(&s) != nil {
				return false
			}
			if now := s.Phase + ": " + s.Reason; now != last {
				ts.Logf("%s", now)
				last = now
			}
			return s.Phase == args[0] && strings.Contains(s.Reason, strings.Join(args[1:], " "))
		})
	}
}

// output VAR sets a variable to what the last command printed.
func output(ts *testscript.TestScript, _ bool, args []string) {
	ts.Setenv(args[0], strings.TrimSpace(ts.ReadFile("stdout")))
}
