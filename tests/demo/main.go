// Command demo shows what Sallyport is for, on this machine, in the commands
// that a user would type: it starts an appliance on the local platform, makes
// an organization of two people, a key that neither can take out alone, and
// takes it out through the attested exit. It cleans up after itself.
package main

import (
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: demo BIN")
		os.Exit(2)
	}
	bin, err := filepath.Abs(os.Args[1])
	if err == nil {
		err = run(bin)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(bin string) error {
	s, err := newStage(bin)
	if err != nil {
		return err
	}
	defer s.close()
	for i, act := range []struct {
		title string
		play  func(*stage) error
	}{
		{"Start an appliance on the local platform", (*stage).start},
		{"Two people make API keys and found an organization: both must agree", (*stage).found},
		{"Alice asks for a key; Bob approves; the enclave makes it", (*stage).create},
		{"They sign a message with it", (*stage).sign},
		{"Alice asks to take the key out, sealed to a target key of hers", (*stage).export},
		{"Bob looks at exactly what Alice signed, and approves", (*stage).approve},
		{"Alice collects: attestation and bundle are verified before anything is opened", (*stage).collect},
		{"Anybody can verify the bundle later, with a small tool and no network", (*stage).verify},
		{"A bundle with one byte changed is refused", (*stage).tamper},
		{"The exported key made the signature of step 4", (*stage).check},
	} {
		fmt.Printf("\n%d. %s\n", i+1, act.title)
		if err := act.play(s); err != nil {
			return fmt.Errorf("step %d: %w", i+1, err)
		}
	}
	fmt.Println("\nDone. This was the local platform: its attestation root and its root secret lay on")
	fmt.Println("this disk, so it protected nothing. On Nitro the same code runs under AWS's root.")
	return nil
}
