package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/sallyport/sallyport/tests/appliance"
)

// A token is a SoftHSM token that holds the key over the root. SoftHSM is a library
// that keeps its keys in files: it shows how a token is used, and protects nothing.
type token struct {
	dir string
	uri string
}

const softHSM = "/usr/lib/softhsm/libsofthsm2.so"

// newToken makes a token in the demo's folder.
func (s *stage) newToken() (*token, error) {
	t := &token{dir: filepath.Join(s.dir, "tokens")}
	conf, pin := filepath.Join(s.dir, "softhsm2.conf"), filepath.Join(s.dir, "pin")
	for path, text := range map[string]string{conf: "directories.tokendir = " + t.dir + "\nobjectstore.backend = file\nlog.level = ERROR\n", pin: "1234\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	if err := errors.Join(os.Mkdir(t.dir, 0o700), os.Setenv("SOFTHSM2_CONF", conf)); err != nil {
		return nil, err
	}
	t.uri = "pkcs11:token=demo?module-path=" + softHSM + "&pin-source=file:" + pin
	args := []string{"--init-token", "--free", "--label", "demo", "--pin", "1234", "--so-pin", "5678"}
	fmt.Printf("   $ softhsm2-util %s\n", strings.Join(args, " "))
	if out, err := exec.Command("softhsm2-util", args...).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("softhsm2-util: %w: %s", err, out)
	}
	return t, nil
}

// startOnToken starts an appliance whose root a token wraps.
func (s *stage) startOnToken() error {
	var err error
	if s.token, err = s.newToken(); err != nil {
		return err
	}
	if _, err := s.say("sallyport", []string{"pkcs11", "check", s.token.uri, "--role", "root"}); err != nil {
		return err
	}
	if err := s.boot(); err != nil {
		return err
	}
	fmt.Printf("     listening on %s; the quorum key to pin is %s...\n", s.appliance.BaseURL, s.appliance.QuorumPublicKey[:16])
	fmt.Println("     SOFTHSM PROTECTS NOTHING: its keys are files. The root secret lies here only wrapped by a key of the token:")
	wrapped, err := os.ReadFile(filepath.Join(s.dir, "data", "root.wrapped"))
	if err != nil {
		return err
	}
	fmt.Printf("     root.wrapped %x...\n", wrapped[:16])
	return nil
}

func (s *stage) boot() (err error) {
	fmt.Printf("   $ sallyport dev --data data --root '%s'\n", s.token.uri)
	s.appliance, err = appliance.Start(s.bin, "--data", filepath.Join(s.dir, "data"), "--root", s.token.uri)
	return err
}

// removeToken takes the token away while the appliance serves, and puts it back.
func (s *stage) removeToken() error {
	away := s.token.dir + ".away"
	fmt.Println("   the token is taken away")
	if err := os.Rename(s.token.dir, away); err != nil {
		return err
	}
	fmt.Println("     the appliance goes on: a token is asked once in a start")
	if _, err := s.say("sallyport", []string{"keys", "list"}); err != nil {
		return err
	}
	if err := s.appliance.Stop(); err != nil {
		return err
	}
	fmt.Println("   and now it is started again, without the token")
	err := s.boot()
	if err == nil {
		return errors.New("the appliance started without its token")
	}
	s.appliance = nil
	fmt.Printf("     refused: %s\n", lastLine(err))
	fmt.Println("   the token is put back")
	if err := os.Rename(away, s.token.dir); err != nil {
		return err
	}
	if err := s.boot(); err != nil {
		return err
	}
	_, err = s.say("sallyport", []string{"keys", "list"})
	return err
}

func lastLine(err error) string {
	lines := strings.Split(strings.TrimSpace(err.Error()), "\n")
	return lines[len(lines)-1]
}
