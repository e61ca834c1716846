package cli

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"os"
	"strings"

	"github.com/sallyport/sallyport/attestation"
	"github.com/sallyport/sallyport/attestation/bundle/shares"
	"github.com/sallyport/sallyport/host/client"
)

// Formats of a key that was combined.
const (
	formatHex  = "hex"
	formatXPrv = "xprv"
)

// combine makes a key of what nodes answered to an export of shares. It talks to
// nobody.
func (c *exportCommand) combine(s *Streams) error {
	target, err := readTargetFile(c.Target, s)
	if err != nil {
		return err
	}
	appliances, err := c.appliances(s)
	if err != nil {
		return err
	}
	var answers [][]byte
	for _, path := range c.Combine {
		b, err := os.ReadFile(path)
		if err != nil {
			return usage("", "--combine: %w", err)
		}
		answers = append(answers, b)
	}
	se := &session{Streams: s, json: c.JSON}
	if appliances[0].Trust.Assurance() == attestation.AssuranceLocal {
		se.note("%s", localWarning)
	}
	o, err := c.reserve()
	if err != nil {
		return err
	}
	defer o.discard()
	k, err := client.CombineShares(target, appliances, answers...)
	if err != nil {
		return err
	}
	defer clear(k.Secret)
	text, err := c.text(k)
	if err != nil {
		return err
	}
	if o.secret != nil {
		if err := o.secret.write([]byte(text + "\n")); err != nil {
			return err
		}
	}
	if err := c.showCombined(se, k, text); err != nil {
		return err
	}
	return c.forget(se)
}

// text is the key in its format.
func (c *exportCommand) text(k *client.Combined) (string, error) {
	if c.Format != formatXPrv {
		return k.Secret.Hex(), nil
	}
	if k.Curve != shares.Secp256k1 {
		return "", usage("give --format hex", "--format: only a key on secp256k1 has an xprv")
	}
	return shares.XPriv(k.Secret, k.ChainCode)
}

func (c *exportCommand) showCombined(s *session, k *client.Combined, text string) error {
	doc := struct {
		PublicKey  string `json:"publicKey"`
		Format     string `json:"format"`
		Shares     int    `json:"shares"`
		Assurance  string `json:"assurance"`
		PrivateKey string `json:"privateKey,omitempty"`
		Out        string `json:"out,omitempty"`
	}{k.PublicKey, c.Format, len(k.Verified), k.Verified[0].Assurance, "", c.Out}
	if k.Curve == shares.Ed25519 {
		doc.Format = "ed25519-scalar"
	}
	if c.Stdout {
		doc.PrivateKey = text
	}
	return s.show(doc, func(p *printer) {
		for _, v := range k.Verified {
			s.note("verified: a share of key %s by the node with quorum key %s, assurance %s",
				safe(v.Statement.PrivateKeyID), hex.EncodeToString(v.Statement.QuorumPublicKey), v.Assurance)
		}
		if k.Curve == shares.Ed25519 {
			s.note("this is the private scalar of an Ed25519 key, big endian; it has no seed")
		}
		if c.Stdout {
			p.line("%s", text)
			return
		}
		p.line("combined the key of %s out of %d shares", k.PublicKey, len(k.Verified))
		p.line("wrote %s", c.Out)
	})
}

// appliances are the pinned nodes: by --dev, or by several quorum keys, with one
// root or measurements for all, or a certificate for each.
func (c *exportCommand) appliances(s *Streams) ([]client.Appliance, error) {
	if c.Dev != "" {
		return devAppliances(c.Dev)
	}
	v, err := c.settle(s)
	if err != nil {
		return nil, err
	}
	if v.quorumKey == "" || v.localRoot == "" && v.measurements == "" {
		return nil, usage("or for development --dev FILE", "--combine: needs --quorum-key, of each node, and --measurements or --local-root")
	}
	keys := strings.Split(v.quorumKey, ",")
	trusts, err := v.trusts(len(keys))
	if err != nil {
		return nil, err
	}
	out := make([]client.Appliance, len(keys))
	for i, text := range keys {
		if out[i].QuorumPublicKey, err = client.ParseQuorumPublicKey(text); err != nil {
			return nil, err
		}
		out[i].Trust = trusts[i]
	}
	return out, nil
}

// trusts are those of n nodes: one for all, or by as many certificates.
func (v *settings) trusts(n int) (out []attestation.Trust, err error) {
	var blocks [][]byte
	if v.localRoot != "" {
		b, err := os.ReadFile(v.localRoot)
		if err != nil {
			return nil, usage("", "local root: %w", err)
		}
		for block, rest := pem.Decode(b); block != nil; block, rest = pem.Decode(rest) {
			blocks = append(blocks, block.Bytes)
		}
	}
	if len(blocks) <= 1 {
		t, err := v.trust()
		for range n {
			out = append(out, t)
		}
		return out, err
	}
	if len(blocks) != n {
		return nil, usage("one for all, or one for each in the same order", "local root: %s has %d certificates, --quorum-key %d keys", v.localRoot, len(blocks), n)
	}
	for _, der := range blocks {
		t, err := trustLocal(v.localRoot, der)
		if err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	return out, nil
}

func devAppliances(path string) ([]client.Appliance, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, usage("", "--dev: %w", err)
	}
	var d struct {
		Nodes []struct {
			QuorumPublicKey string `json:"quorum_public_key"`
			AttestationRoot string `json:"attestation_root"`
		} `json:"nodes"`
	}
	if err := json.NewDecoder(bytes.NewReader(b)).Decode(&d); err != nil || len(d.Nodes) == 0 {
		return nil, usage("make one: sallyport dev --nodes 3 --json > FILE", "--dev: %s is not what sallyport dev --nodes prints", path)
	}
	out := make([]client.Appliance, len(d.Nodes))
	for i, n := range d.Nodes {
		v := settings{localRoot: n.AttestationRoot}
		if out[i].Trust, err = v.trust(); err != nil {
			return nil, err
		}
		if out[i].QuorumPublicKey, err = client.ParseQuorumPublicKey(n.QuorumPublicKey); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// validateCombine checks what the flags say together.
func (c *exportCommand) validateCombine() error {
	switch {
	case c.Key != "" || c.Activity != "":
		return errors.New("--combine: goes without --key and --activity")
	case c.Target == "":
		return errors.New("--combine: needs --target, the target key that the shares are sealed to")
	case c.BundleOut != "":
		return errors.New("--bundle-out: the bundles are there already")
	}
	return nil
}
