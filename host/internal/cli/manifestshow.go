package cli

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

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
	p.field("kind", kindOf(m))
	p.field("version", fmt.Sprintf("%d, epoch %d", m.Version, m.Epoch))
	p.field("sha256", hex.EncodeToString(attestation.Hash(signed.Manifest)))
	p.field("assurance", m.Assurance)
	for _, image := range m.Measurements {
		p.field("image", fmt.Sprintf("PCR0 %x", image.PCR0))
		p.line("  PCR1 %x", image.PCR1)
		p.line("  PCR2 %x", image.PCR2)
	}
	showOperators(p, m, signed)
	showRoot(p, m.Root)
	showRest(p, m)
	return p.err
}

// kindOf says what a manifest is for.
func kindOf(m *attestation.Manifest) string {
	switch {
	case m.Version == 0:
		return "genesis: under it an enclave makes the keys, and nothing else"
	case m.IsOrder():
		return "order: it asks a running enclave for new shares, and nothing boots under it"
	}
	return "operating: an enclave serves under it"
}

// showOperators verifies what they have signed.
func showOperators(p *printer, m *attestation.Manifest, signed *attestation.Signed) {
	marks := map[string]string{}
	for _, sig := range signed.Signatures {
		marks[string(sig.PublicKey)] = "  signed"
		if !signed.Good(sig) {
			marks[string(sig.PublicKey)] = "  BAD SIGNATURE: no enclave accepts this file"
		}
	}
	p.field("operators", fmt.Sprintf("%d of %d sign", m.OperatorThreshold, len(m.Operators)))
	for _, o := range m.Operators {
		p.line("  %-16s %x%s", o.Name, o.PublicKey, marks[string(o.PublicKey)])
		delete(marks, string(o.PublicKey))
	}
	for _, key := range slices.Sorted(maps.Keys(marks)) {
		p.line("  %-16s %x%s", "(no operator)", []byte(key), marks[key])
	}
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
		p.line("  its public key has SHA-256 %x", sha256.Sum256(r.KMS.PublicKey))
	}
	if len(r.Sharing) > 0 {
		p.field("sharing", hex.EncodeToString(r.Sharing))
	}
}

func showRest(p *printer, m *attestation.Manifest) {
	if m.Version > 0 {
		p.field("appliance", hex.EncodeToString(m.Appliance))
		p.field("quorum key", hex.EncodeToString(m.QuorumPublicKey))
		p.field("checkpoint key", hex.EncodeToString(m.CheckpointPublicKey))
		p.field("genesis", hex.EncodeToString(m.Genesis))
	}
	for _, peer := range m.Peers {
		p.field("peer", peer.Name)
		p.line("  quorum key %x", peer.QuorumPublicKey)
		for _, image := range peer.Measurements {
			p.line("  PCR0 %x", image.PCR0)
		}
	}
	if m.KeyGroup != nil {
		p.field("key group", fmt.Sprintf("%d of %d members sign", m.KeyGroup.Threshold, len(m.Peers)+1))
	}
	if n := m.NodeAPI; n != nil {
		p.field("node API", fmt.Sprintf("admin token SHA-256 %x, backup %v", n.AdminTokenSHA256, n.Backup))
		for _, k := range n.AdminKeys {
			p.line("  admin key %x", k)
		}
		p.line("  a bearer credential alone may: %s", strings.Join(n.BearerMay, ", "))
	}
	flags := flagsOf(m)
	for _, name := range slices.Sorted(maps.Keys(flags)) {
		if flags[name] {
			p.field("flag", name)
		}
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
