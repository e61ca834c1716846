// Command demo shows what Sallyport is for, on this machine, in the commands
// that a user would type: it starts an appliance on the local platform, makes
// an organization of two people, a key that neither can take out alone, and
// takes it out through the attested exit. It cleans up after itself.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

func main() {
	onToken := flag.Bool("softhsm", false, "keep the root in a SoftHSM token, and take that away for a while")
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: demo [-softhsm] BIN")
		os.Exit(2)
	}
	bin, err := filepath.Abs(flag.Arg(0))
	if err == nil {
		err = run(bin, *onToken)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// An act is one step of the demo.
type act struct {
	title string
	play  func(*stage) error
}

func run(bin string, onToken bool) error {
	s, err := newStage(bin)
	if err != nil {
		return err
	}
	defer s.close()
	acts := acts()
	if onToken {
		acts[0] = act{"Make a SoftHSM token and start an appliance on it", (*stage).startOnToken}
		acts = slices.Insert(acts, 4, act{"Take the token away, and put it back", (*stage).removeToken})
	}
	for i, act := range acts {
		fmt.Printf("\n%d. %s\n", i+1, act.title)
		if err := act.play(s); err != nil {
			return fmt.Errorf("step %d: %w", i+1, err)
		}
	}
	fmt.Println("\nDone. This was the local platform: its attestation root and its root secret lay on")
	fmt.Println("this disk, so it protected nothing. On Nitro the same code runs under AWS's root.")
	return nil
}

func acts() []act {
	return []act{
		{"Start an appliance on the local platform", (*stage).start},
		{"Two people make API keys and found an organization: both must agree", (*stage).found},
		{"Alice asks for a key; Bob approves; the enclave makes it", (*stage).create},
		{"They sign a message with it", (*stage).sign},
		{"Alice asks to take the key out, sealed to a target key of hers", (*stage).export},
		{"Bob looks at exactly what Alice signed, and approves", (*stage).approve},
		{"Alice collects: attestation and bundle are verified before anything is opened", (*stage).collect},
		{"Anybody can verify the bundle later, with a small tool and no network", (*stage).verify},
		{"A bundle with one byte changed is refused", (*stage).tamper},
		{"The exported key made the signature of its message", (*stage).check},
	}
}
