package cli

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/sallyport/sallyport/attestation"
)

type manifestShow struct {
	File string `arg:"" type:"path" help:"The manifest."`
	JSON bool   `name:"json" help:"Print the manifest itself, the bytes that are signed."`
}

// Run shows a manifest.
func (c *manifestShow) Run(_ context.Context, s *Streams) error {
	m, signed, err := readManifest(c.File)
	if err != nil {
		return explain(err)
	}
	if c.JSON {
		_, err = s.Out.Write(append(bytes.Clone(signed.Manifest), '\n'))
		return err
	}
	p := &printer{w: s.Out}
	p.field("name", m.Name)
	p.field("version", fmt.Sprintf("%d, epoch %d", m.Version, m.Epoch))
	p.field("sha256", hex.EncodeToString(attestation.Hash(signed.Manifest)))
	p.field("assurance", m.Assurance)
	for _, image := range m.Measurements {
		p.field("image", fmt.Sprintf("PCR0 %x", image.PCR0))
	}
	by := map[string]bool{}
	for _, sig := range signed.Signatures {
		by[string(sig.PublicKey)] = true
	}
	p.field("operators", fmt.Sprintf("%d of %d sign", m.OperatorThreshold, len(m.Operators)))
	for _, o := range m.Operators {
		p.line("  %-16s %x%s", o.Name, o.PublicKey, map[bool]string{true: "  signed"}[by[string(o.PublicKey)]])
	}
	showRoot(p, m.Root)
	if m.Version > 0 {
		p.field("appliance", hex.EncodeToString(m.Appliance))
		p.field("quorum key", hex.EncodeToString(m.QuorumPublicKey))
	}
	for name, set := range flagsOf(m) {
		if set {
			p.field("flag", name)
		}
	}
	return p.err
}

func showRoot(p *printer, r *attestation.RootPlan) {
	if r == nil {
		return
	}
	p.field("root", fmt.Sprintf("set %d, %d of %d holders", r.Set, r.Threshold, len(r.Holders)))
	for _, h := range r.Holders {
		p.line("  %-16s %x", h.Name, h.PublicKey)
	}
	if r.KMS != nil {
		p.field("root", "and KMS key "+r.KMS.KeyID)
	}
}

func flagsOf(m *attestation.Manifest) map[string]bool {
	return map[string]bool{
		"unsigned": m.Flags.Unsigned, "open organizations": m.Flags.OpenOrganizations,
		"single custodian": m.Flags.SingleCustodian, "plaintext export": m.Flags.PlaintextExport,
	}
}

type manifestVerify struct {
	File  string `arg:"" type:"path" help:"The manifest."`
	After string `type:"path" placeholder:"FILE" help:"The manifest before, whose operators must have signed this one too."`
}

// Run checks the signatures.
func (c *manifestVerify) Run(_ context.Context, s *Streams) error {
	m, signed, err := readManifest(c.File)
	if err != nil {
		return explain(err)
	}
	if _, err := signed.Verify(); err != nil {
		return explain(err)
	}
	if c.After != "" {
		prev, _, err := readManifest(c.After)
		if err == nil {
			err = signed.Succeeds(prev)
		}
		if err != nil {
			return explain(err)
		}
	}
	_, err = fmt.Fprintf(s.Out, "verified: version %d, signed by %d of its %d operators or more\n", m.Version, m.OperatorThreshold, len(m.Operators))
	return err
}

type manifestDiff struct {
	Old string `arg:"" type:"path" help:"The manifest before."`
	New string `arg:"" type:"path" help:"The manifest after."`
}

// Run shows the members that differ, one line for each side.
func (c *manifestDiff) Run(_ context.Context, s *Streams) error {
	before, old, err := readManifest(c.Old)
	if err != nil {
		return explain(err)
	}
	after, signed, err := readManifest(c.New)
	if err != nil {
		return explain(err)
	}
	p := &printer{w: s.Out}
	was, is := flatten(old.Manifest), flatten(signed.Manifest)
	all := maps.Clone(was)
	maps.Copy(all, is)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if was[name] == is[name] {
			continue
		}
		p.line("%s", name)
		for sign, v := range map[string]string{"-": was[name], "+": is[name]} {
			if v != "" {
				p.line("  %s %s", sign, v)
			}
		}
	}
	if err := after.Follows(before); err != nil {
		p.line("the second may not follow the first: %s", err.Error())
		return p.err
	}
	p.line("%s", "the second may follow the first, signed by the operators of the first")
	return p.err
}

// flatten names every value of a manifest by its path.
func flatten(manifest []byte) map[string]string {
	var v any
	_ = json.Unmarshal(manifest, &v) // it was parsed before
	out := map[string]string{}
	var walk func(at string, v any)
	walk = func(at string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for name, inner := range v {
				walk(at+"."+name, inner)
			}
		case []any:
			for i, inner := range v {
				walk(fmt.Sprintf("%s[%d]", at, i), inner)
			}
		default:
			out[at[1:]] = fmt.Sprint(v)
		}
	}
	walk("", v)
	return out
}

// sortedPairs are the entries of a map by name.
func sortedPairs(m map[string]string) (out [][2]string) {
	for _, name := range slices.Sorted(maps.Keys(m)) {
		out = append(out, [2]string{name, m[name]})
	}
	return out
}
