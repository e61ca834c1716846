package cli

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/sallyport/sallyport/attestation"
)

type manifestGroup struct {
	New    manifestNew    `cmd:"" help:"Write a genesis manifest: who signs, who holds the root, which images run."`
	Next   manifestNext   `cmd:"" help:"Write the successor of a manifest, with other images."`
	Sign   manifestSign   `cmd:"" help:"Add an operator's signature to a manifest."`
	Show   manifestShow   `cmd:"" help:"Show what a manifest says, and who has signed it."`
	Verify manifestVerify `cmd:"" help:"Check that enough operators have signed a manifest."`
	Diff   manifestDiff   `cmd:"" help:"Show what differs between two manifests, and whether the second may follow the first."`
}

type manifestNew struct {
	Name              string            `required:"" help:"For people: 1 to 64 characters."`
	Measurements      string            `type:"path" placeholder:"FILE" xor:"platform" help:"Accepted images of AWS Nitro: JSON with pcr0, pcr1 and pcr2, or a list of such."`
	Local             bool              `xor:"platform" help:"For the local platform, which protects nothing."`
	Operator          map[string]string `placeholder:"NAME=HEX" mapsep:"none" help:"An operator and their public key, from: sallyport key operator. Once for each."`
	OperatorThreshold int64             `placeholder:"K" help:"How many operators sign a manifest (default 2)." default:"2"`
	Holder            map[string]string `placeholder:"NAME=HEX" mapsep:"none" help:"A holder of a root share and their public key, from: sallyport key holder. Once for each."`
	HolderThreshold   int64             `placeholder:"K" help:"How many holders give the root (default 2)." default:"2"`
	KMSKey            string            `name:"kms-key" placeholder:"ARN" help:"Need this AWS KMS key too (asymmetric RSA), for half of the root."`
	KMSPublicKey      string            `name:"kms-public-key" type:"path" placeholder:"FILE" help:"Its public half, PEM, from: sallyport kms public."`
	OpenOrganizations bool              `help:"Let anybody found an organization."`
	SingleCustodian   bool              `help:"Accept a threshold of 1. Every verifier shows it."`
	Out               string            `required:"" type:"path" placeholder:"FILE" help:"Where to write it. Never overwrites."`
}

// Run writes a manifest without signatures.
func (c *manifestNew) Run(_ context.Context, s *Streams) error {
	m, err := c.manifest()
	if err != nil {
		return explain(err)
	}
	return explain(writeManifest(s, c.Out, m))
}

func (c *manifestNew) manifest() (*attestation.Manifest, error) {
	m := &attestation.Manifest{
		Name: c.Name, Flags: attestation.Flags{OpenOrganizations: c.OpenOrganizations, SingleCustodian: c.SingleCustodian},
		OperatorThreshold: c.OperatorThreshold, Root: &attestation.RootPlan{Set: 1, Threshold: c.HolderThreshold},
	}
	var err error
	if m.Assurance, m.Measurements, err = platformOf(c.Local, c.Measurements); err != nil {
		return nil, err
	}
	for _, p := range sortedPairs(c.Operator) {
		key, err := hex.DecodeString(p[1])
		if err != nil {
			return nil, usage("", "--operator: %s: must be hex", p[0])
		}
		m.Operators = append(m.Operators, attestation.Operator{Name: p[0], PublicKey: key})
	}
	if m.Root.Holders, err = holdersOf(c.Holder); err != nil {
		return nil, err
	}
	if m.Root.KMS, err = kmsPlan(c.KMSKey, c.KMSPublicKey); err != nil {
		return nil, err
	}
	if len(m.Root.Holders) == 0 && m.Root.KMS != nil {
		m.Root.Threshold = 0
	}
	return m, asUsage(m.Check())
}

func platformOf(local bool, measurements string) (string, []attestation.Measurements, error) {
	switch {
	case local:
		return attestation.AssuranceLocal, []attestation.Measurements{attestation.LocalMeasurements()}, nil
	case measurements == "":
		return "", nil, usage("", "--measurements or --local: one must be given")
	}
	list, err := readMeasurements(measurements)
	return attestation.AssuranceNitro, list, err
}

// writeManifest writes a manifest that nobody has signed yet.
func writeManifest(s *Streams, path string, m *attestation.Manifest) error {
	r, err := reserve(path)
	if err != nil {
		return err
	}
	signed := &attestation.Signed{Manifest: m.Encode()}
	if err := r.write(append(signed.Encode(), '\n')); err != nil {
		return err
	}
	_, _ = fmt.Fprintf(s.Err, "wrote %s; %d of %d operators sign it next: sallyport manifest sign %s --key FILE\n",
		safe(path), m.OperatorThreshold, len(m.Operators), safe(path))
	_, _ = fmt.Fprintln(s.Out, hex.EncodeToString(attestation.Hash(signed.Manifest)))
	return nil
}

type manifestNext struct {
	File            string            `arg:"" type:"path" help:"The manifest in force."`
	Measurements    string            `type:"path" placeholder:"FILE" help:"All images that are accepted from now on, as for manifest new (default: the same)."`
	Holder          map[string]string `placeholder:"NAME=HEX" mapsep:"none" help:"The holders from now on, once for each: makes an order for new shares, for ceremony resplit."`
	HolderThreshold int64             `placeholder:"K" help:"How many of them give the root (default: as before)."`
	Out             string            `required:"" type:"path" placeholder:"FILE" help:"Where to write it. Never overwrites."`
}

// Run writes a successor without signatures.
func (c *manifestNext) Run(_ context.Context, s *Streams) error {
	prev, _, err := readManifest(c.File)
	if err != nil {
		return explain(err)
	}
	m := *prev
	m.Version++
	if c.Measurements != "" {
		if m.Measurements, err = readMeasurements(c.Measurements); err != nil {
			return explain(err)
		}
	}
	if err := c.holders(&m); err != nil {
		return explain(err)
	}
	if err := errors.Join(m.Check(), m.Follows(prev)); err != nil {
		return explain(asUsage(err))
	}
	return explain(writeManifest(s, c.Out, &m))
}

// holders makes an order of a manifest that names others.
func (c *manifestNext) holders(m *attestation.Manifest) error {
	if len(c.Holder) == 0 && c.HolderThreshold == 0 {
		return nil
	}
	if m.Root == nil {
		return usage("", "--holder: the manifest has no root that holders give")
	}
	plan := *m.Root
	plan.Sharing = nil
	if c.HolderThreshold != 0 {
		plan.Threshold = c.HolderThreshold
	}
	if len(c.Holder) > 0 {
		var err error
		if plan.Holders, err = holdersOf(c.Holder); err != nil {
			return err
		}
	}
	m.Root = &plan
	return nil
}

func holdersOf(flags map[string]string) (out []attestation.Holder, err error) {
	for _, p := range sortedPairs(flags) {
		key, err := hex.DecodeString(p[1])
		if err != nil {
			return nil, usage("", "--holder: %s: must be hex", p[0])
		}
		out = append(out, attestation.Holder{Name: p[0], PublicKey: key})
	}
	return out, nil
}

type manifestSign struct {
	Passphrase `embed:""`
	File       string `arg:"" type:"path" help:"The manifest; the signature is added to it."`
	Key        string `required:"" placeholder:"FILE|URI" help:"The operator's key, from: sallyport key operator; or the PKCS#11 URI of one in a token."`
}

// Run adds a signature.
func (c *manifestSign) Run(_ context.Context, s *Streams) error {
	m, signed, err := readManifest(c.File)
	if err != nil {
		return explain(err)
	}
	key, err := c.readPersonKey(c.Key, s)
	if err != nil {
		return explain(err)
	}
	name := ""
	for _, o := range m.Operators {
		if hex.EncodeToString(o.PublicKey) == compressedHex(publicOf(key)) {
			name = o.Name
		}
	}
	if name == "" {
		_, _ = fmt.Fprintln(s.Err, "note: this key is of no operator of the manifest itself; it counts where the manifest before names it")
	}
	for _, sig := range signed.Signatures {
		if !signed.Good(sig) {
			return explain(usage("have a clean copy from the operators", "%s: the signature of the key %x does not verify", c.File, sig.PublicKey))
		}
	}
	if err := signed.Sign(key); err != nil {
		return explain(err)
	}
	if err := replace(c.File, append(signed.Encode(), '\n')); err != nil {
		return explain(usage("", "%w", err))
	}
	_, _ = fmt.Fprintf(s.Out, "signed by %d, %d needed\n", len(signed.Signatures), m.OperatorThreshold)
	return nil
}

// readManifest reads a file with or without signatures, and does not count them.
func readManifest(path string) (*attestation.Manifest, *attestation.Signed, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, usage("", "manifest: %w", err)
	}
	signed, err := attestation.ParseSigned(trimNewline(b))
	if err != nil {
		return nil, nil, err
	}
	m, err := attestation.ParseManifest(signed.Manifest)
	return m, signed, err
}

func trimNewline(b []byte) []byte { return []byte(strings.TrimSuffix(string(b), "\n")) }

// replace puts new content in place of a file, whole or not at all.
func replace(path string, content []byte) error {
	before, err := os.Stat(path)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".manifest-*")
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = errors.Join(os.Chmod(f.Name(), before.Mode().Perm()), os.Rename(f.Name(), path))
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}

func readMeasurements(path string) ([]attestation.Measurements, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, usage("", "measurements: %w", err)
	}
	var list []attestation.Measurements
	if json.Unmarshal(b, &list) != nil {
		list = make([]attestation.Measurements, 1)
		if err := json.Unmarshal(b, &list[0]); err != nil {
			return nil, usage("", "measurements: %s: must be JSON with pcr0, pcr1 and pcr2, 96 lower-case hex digits each", path)
		}
	}
	return list, nil
}
