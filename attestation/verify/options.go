package main

import (
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
)

// options are the arguments. Strings are as they were given; parsed bytes
// stand beside them.
type options struct {
	command string
	file    string
	json    bool

	localRoot    string
	measurements string
	manifest     string
	nonce        hexFlag

	quorumKey       hexFlag
	organization    string
	targetPublicKey hexFlag
	targetKey       string
	out             string
	keyID           string
	publicKey       string
	fingerprint     string

	kind string
}

// hexFlag is bytes given as hex digits.
type hexFlag []byte

func (h *hexFlag) String() string { return hex.EncodeToString(*h) }

// Set does not repeat the value in its error: it might be the wrong key.
func (h *hexFlag) Set(s string) error {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) == 0 {
		return errors.New("must be hex digits")
	}
	*h = b
	return nil
}

var errHelp = errors.New("help was asked for")

// bothFlags, bundleFlags and documentFlags say which command knows which flag.
var (
	bothFlags   = []string{"json", "local-root", "measurements", "manifest", "nonce"}
	bundleFlags = []string{
		"quorum-key", "organization", "target-public-key", "target-key", "out", "key-id", "public-key", "fingerprint",
	}
	documentFlags = []string{"kind"}
)

func (o *options) flags() *flag.FlagSet {
	f := flag.NewFlagSet("sallyport-verify", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.Usage = func() {}
	f.BoolVar(&o.json, "json", false, "")
	f.StringVar(&o.localRoot, "local-root", "", "")
	f.StringVar(&o.measurements, "measurements", "", "")
	f.StringVar(&o.manifest, "manifest", "", "")
	f.Var(&o.nonce, "nonce", "")
	f.Var(&o.quorumKey, "quorum-key", "")
	f.StringVar(&o.organization, "organization", "", "")
	f.Var(&o.targetPublicKey, "target-public-key", "")
	f.StringVar(&o.targetKey, "target-key", "", "")
	f.StringVar(&o.out, "out", "", "")
	f.StringVar(&o.keyID, "key-id", "", "")
	f.StringVar(&o.publicKey, "public-key", "", "")
	f.StringVar(&o.fingerprint, "fingerprint", "", "")
	f.StringVar(&o.kind, "kind", "", "")
	return f
}

// parseArgs reads flags and words in any order. The options are never nil, so
// that even a refused call knows whether it should answer in JSON.
func parseArgs(args []string) (*options, error) {
	o := new(options)
	// A refusal before --json was reached answers in JSON all the same.
	o.json = slices.Contains(args, "--json") || slices.Contains(args, "-json")
	f := o.flags()
	var words []string
	for rest := args; ; {
		if err := f.Parse(rest); err != nil {
			if errors.Is(err, flag.ErrHelp) {
				return o, errHelp
			}
			return o, &usageError{err.Error()}
		}
		if f.NArg() == 0 {
			break
		}
		words, rest = append(words, f.Arg(0)), f.Args()[1:]
	}
	if len(words) != 2 || words[0] != "bundle" && words[0] != "document" {
		return o, &usageError{"a call is: sallyport-verify bundle|document FILE, with flags; see --help"}
	}
	o.command, o.file = words[0], words[1]
	return o, o.check(f)
}

// check refuses flags that the command would ignore, and asks for those that
// it needs. An empty value is not a value: it is what an unset variable in a
// script looks like, and must not switch off a check.
func (o *options) check(f *flag.FlagSet) error {
	known := append(slices.Clone(bothFlags), documentFlags...)
	if o.command == "bundle" {
		known = append(slices.Clone(bothFlags), bundleFlags...)
	}
	var err error
	f.Visit(func(set *flag.Flag) {
		switch {
		case !slices.Contains(known, set.Name):
			err = &usageError{fmt.Sprintf("--%s does not belong to the command %s", set.Name, o.command)}
		case set.Value.String() == "":
			err = &usageError{fmt.Sprintf("--%s must not be empty", set.Name)}
		}
	})
	if err != nil {
		return err
	}
	if (o.localRoot == "") == (o.measurements == "") {
		return &usageError{"one of --local-root and --measurements is required: what is to be trusted"}
	}
	if o.command == "bundle" {
		return o.checkBundle()
	}
	return o.checkDocument()
}

func (o *options) checkBundle() error {
	switch {
	case o.quorumKey == nil:
		return &usageError{"--quorum-key is required: the appliance's, 130 hex digits, known from elsewhere"}
	case o.organization == "":
		return &usageError{"--organization is required"}
	case o.targetKey != "" && o.targetPublicKey != nil:
		return &usageError{"--target-key and --target-public-key exclude each other"}
	case o.out != "" && o.targetKey == "":
		return &usageError{"--out needs --target-key"}
	case o.out == "-":
		return &usageError{"--out must be a new file: keys are not printed"}
	}
	return nil
}

func (o *options) checkDocument() error {
	switch o.kind {
	case "boot", "challenge":
		if o.manifest == "" {
			return &usageError{fmt.Sprintf("--manifest is required for a %s document", o.kind)}
		}
	case "any":
	case "":
		return &usageError{"--kind is required: boot, challenge or any"}
	default:
		return &usageError{"--kind must be boot, challenge or any"}
	}
	if o.nonce != nil && o.kind != "challenge" {
		return &usageError{"--nonce needs --kind challenge: other documents have none"}
	}
	return nil
}

func help() string {
	return strings.TrimLeft(`
sallyport-verify checks what an appliance gave you, offline.

  sallyport-verify bundle FILE --quorum-key HEX --organization UUID TRUST [flags]
  sallyport-verify document FILE --kind boot|challenge|any TRUST [flags]

FILE - is standard input. A document is raw or base64; with --kind challenge
also a freshAttestation as JSON. Flags may stand anywhere.

TRUST is one of
  --measurements FILE   JSON list of {"pcr0","pcr1","pcr2"} to accept under the
                        AWS root: those that your own build of the image gives
  --local-root FILE     PEM certificate of a local platform. It protects nothing

Both commands
  --manifest FILE       the manifest that must be in force
  --nonce HEX           require a fresh attestation for this nonce, made just now
  --json                print JSON

bundle
  --quorum-key HEX      the appliance's quorum key, 130 digits: required
  --organization UUID   your organization: required
  --target-public-key HEX  the target key of the request, 130 digits
  --target-key FILE     the target key's private half in hex: also decrypts
  --out FILE            with --target-key: write the key to a new file, mode 0600:
                        hex digits for a key of 32 bytes, text for a mnemonic
  --key-id ID  --public-key HEX  --fingerprint sha256:HEX
                        the key and the activity that were asked for

Exit status: 0 verified, 1 refused, 2 the call was wrong.
`, "\n")
}
