package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/sallyport/sallyport/tests/appliance"
)

// exitPending is the exit code of a verb that needs more approvals.
const exitPending = 4

// A stage is the folder and the appliance that the demo plays on.
type stage struct {
	bin, dir     string
	appliance    *appliance.Appliance
	token        *token // nil without one
	organization string
	key          string // private key id
	pending      string // the export's activity id
	digest       []byte
	signature    struct{ R, S string }
}

func newStage(bin string) (*stage, error) {
	dir, err := os.MkdirTemp("", "sallyport-demo-")
	return &stage{bin: bin, dir: dir}, err
}

func (s *stage) close() {
	if s.appliance != nil {
		_ = s.appliance.Stop()
	}
	_ = os.RemoveAll(s.dir)
}

// say runs a command as the user would type it, shows both, and returns what
// it printed. A command may end with one of the exit codes given, or with 0.
func (s *stage) say(program string, args []string, allowed ...int) (string, error) {
	fmt.Printf("   $ %s %s\n", program, strings.Join(quoted(args), " "))
	out, err := s.quiet(program, args, allowed...)
	for line := range strings.Lines(out) {
		fmt.Printf("     %s\n", strings.TrimRight(line, "\n"))
	}
	return out, err
}

// quiet runs a command in the demo's folder.
func (s *stage) quiet(program string, args []string, allowed ...int) (string, error) {
	cmd := exec.Command(filepath.Join(s.bin, program), args...)
	cmd.Dir = s.dir
	cmd.Env = append(os.Environ(), s.environment()...)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		for _, code := range allowed {
			if exit.ExitCode() == code {
				return out.String() + errOut.String(), nil
			}
		}
		return out.String(), fmt.Errorf("%s %s: %w: %s", program, args[0], err, errOut.String())
	}
	return out.String(), err
}

// environment is what the user would have exported once.
func (s *stage) environment() []string {
	if s.appliance == nil {
		return nil
	}
	return []string{
		"SALLYPORT_BASE_URL=" + s.appliance.BaseURL,
		"SALLYPORT_QUORUM_KEY=" + s.appliance.QuorumPublicKey,
		"SALLYPORT_LOCAL_ROOT=" + s.appliance.AttestationRoot,
		"SALLYPORT_ORGANIZATION=" + s.organization,
		"SALLYPORT_KEY_FILE=alice.key",
	}
}

// ask runs a verb with --json, without showing it, and decodes its answer.
func (s *stage) ask(v any, args ...string) error {
	out, err := s.quiet("sallyport", append(args, "--json"), exitPending)
	if err != nil {
		return err
	}
	return json.Unmarshal([]byte(firstLine(out)), v)
}

// firstLine is the one JSON document of a verb's standard output.
func firstLine(out string) string {
	line, _, _ := strings.Cut(out, "\n")
	return line
}

// quoted puts quotes around arguments with spaces and shortens long ones.
func quoted(args []string) []string {
	out := make([]string, len(args))
	for i, a := range args {
		if len(a) > 72 {
			a = a[:40] + "..."
		}
		if strings.ContainsAny(a, " ") {
			a = "'" + a + "'"
		}
		out[i] = a
	}
	return out
}
