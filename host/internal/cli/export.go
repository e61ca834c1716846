package cli

import (
	"context"
	"errors"
	"os"

	"github.com/sallyport/sallyport/host/client"
)

type exportCommand struct {
	Connection `embed:""`
	Key        string   `xor:"what" placeholder:"ID" help:"The private key to take out: its id, name, or one of its addresses."`
	Activity   string   `xor:"what" placeholder:"ID" help:"Collect an export that had to wait for approvals; needs its --target."`
	Combine    []string `xor:"what" sep:"none" type:"path" placeholder:"FILE" help:"Combine the shares of an MPC key: what one node answered to an export with mode shares. Once for each; needs --target, and --quorum-key lists all nodes, with commas."`
	Format     string   `enum:"hex,xprv" default:"hex" help:"With --combine: hex, or xprv of a key on secp256k1."`
	Out        string   `xor:"where" type:"path" placeholder:"FILE" help:"Write the secret here as hex, mode 0600. Never overwrites."`
	Stdout     bool     `xor:"where" help:"Print the secret on standard output."`
	Target     string   `type:"path" placeholder:"FILE" help:"Keep the target key here, from before the request until the secret is written. Without it the key is kept only when the export has to wait, in ACTIVITY.target."`
	BundleOut  string   `type:"path" placeholder:"FILE" help:"Keep the bundle too: evidence for sallyport-verify, sealed."`
}

// Validate checks what the flags say together.
func (c *exportCommand) Validate() error {
	switch {
	case len(c.Combine) > 0:
		if err := c.validateCombine(); err != nil {
			return err
		}
	case c.Format != formatHex:
		return errors.New("--format: goes with --combine")
	case c.Key == "" && c.Activity == "":
		return errors.New("--key, --activity or --combine: one must be given")
	}
	switch {
	case c.Out == "" && !c.Stdout:
		return errors.New("--out or --stdout: one must be given, for the secret")
	case c.Activity != "" && c.Target == "":
		return errors.New("--activity: needs --target, the target key that the export was asked for with")
	}
	return nil
}

// Run exports or collects.
func (c *exportCommand) Run(ctx context.Context, s *Streams) error {
	if len(c.Combine) > 0 {
		return explain(c.combine(s))
	}
	return c.run(ctx, s, needUser, c.work)
}

// An outlet is where an export's files go. They are made before anything is
// asked for.
type outlet struct{ secret, bundle *reserved }

func (c *exportCommand) reserve() (o *outlet, err error) {
	o = &outlet{}
	if c.Out != "" {
		if o.secret, err = reserve(c.Out); err != nil {
			return nil, err
		}
	}
	if c.BundleOut != "" {
		if o.bundle, err = reserve(c.BundleOut); err != nil {
			o.discard()
			return nil, err
		}
	}
	return o, nil
}

// discard removes what has not been written.
func (o *outlet) discard() {
	o.secret.discard()
	o.bundle.discard()
}

func (c *exportCommand) work(ctx context.Context, s *session) error {
	o, err := c.reserve()
	if err != nil {
		return err
	}
	defer o.discard()
	var e *client.Export
	if c.Activity != "" {
		e, err = c.collect(ctx, s)
	} else {
		e, err = c.export(ctx, s)
	}
	if err != nil {
		return err
	}
	defer clear(e.Secret)
	if err := o.write(e); err != nil {
		return err
	}
	if err := c.show(s, e); err != nil {
		return err
	}
	if c.Target != "" {
		return c.forget(s)
	}
	return nil
}

// forget removes the target key: it could open the bundle again, wherever a copy
// of that is.
func (c *exportCommand) forget(s *session) error {
	if err := os.Remove(c.Target); err != nil {
		return usage("remove it: it opens the bundle", "target key: %w", err)
	}
	s.note("removed the target key %s", safe(c.Target))
	return nil
}

func (c *exportCommand) collect(ctx context.Context, s *session) (*client.Export, error) {
	target, err := readTargetFile(c.Target, s.Streams)
	if err != nil {
		return nil, err
	}
	return s.CollectExport(ctx, c.Activity, target)
}

// export asks for an export. With --target the key is durable before the
// request is sent, and goes again only when the appliance has refused.
func (c *exportCommand) export(ctx context.Context, s *session) (*client.Export, error) {
	key, err := s.findKey(ctx, c.Key)
	if err != nil {
		return nil, err
	}
	target, err := client.NewTargetKey()
	if err != nil {
		return nil, err
	}
	if c.Target != "" {
		if err := writeTarget(c.Target, key, target); err != nil {
			return nil, err
		}
	}
	e, err := s.ExportPrivateKey(ctx, key.PrivateKeyID, target)
	var pending *client.PendingError
	var refused *client.APIError
	switch {
	case errors.As(err, &pending):
		return nil, c.wait(s, key, pending)
	case errors.As(err, &refused) && c.Target != "":
		_ = os.Remove(c.Target)
	}
	return e, err
}

// wait keeps the target key of an export that needs approvals.
func (c *exportCommand) wait(s *session, key *client.PrivateKey, pending *client.PendingError) error {
	path := c.Target
	if path == "" {
		path = pending.Activity.ID + ".target"
		if err := writeTarget(path, key, pending.Target); err != nil {
			return err
		}
	}
	s.targetFile = path
	s.note("the target key is in %s; once it is approved, collect with:", safe(path))
	s.note("  sallyport export --activity %s --target %s --out FILE", safe(pending.Activity.ID), safe(path))
	return pending
}

func writeTarget(path string, key *client.PrivateKey, target *client.TargetKey) error {
	return writeNew(path, targetFileJSON{
		PrivateKeyID: key.PrivateKeyID, TargetPublicKey: target.PublicHex(), TargetPrivateKey: target.PrivateHex(),
	})
}

func (o *outlet) write(e *client.Export) error {
	if o.secret != nil {
		if err := o.secret.write([]byte(e.Secret.Hex() + "\n")); err != nil {
			return err
		}
	}
	if o.bundle != nil {
		return o.bundle.write(append(e.Bundle, '\n'))
	}
	return nil
}

// show prints the secret only when it was asked for on standard output.
func (c *exportCommand) show(s *session, e *client.Export) error {
	doc := struct {
		ActivityID   string `json:"activityId"`
		Fingerprint  string `json:"fingerprint"`
		PrivateKeyID string `json:"privateKeyId"`
		PublicKey    string `json:"publicKey"`
		Curve        string `json:"curve"`
		Assurance    string `json:"assurance"`
		Live         bool   `json:"live"`
		PrivateKey   string `json:"privateKey,omitempty"`
		Out          string `json:"out,omitempty"`
		BundleOut    string `json:"bundleOut,omitempty"`
	}{
		e.ActivityID, e.Verified.Statement.ActivityFingerprint, e.Key.PrivateKeyID, e.Key.PublicKey, e.Key.Curve,
		e.Verified.Assurance, e.Verified.Live, "", c.Out, c.BundleOut,
	}
	if c.Stdout {
		doc.PrivateKey = e.Secret.Hex()
	}
	return s.show(doc, func(p *printer) {
		if c.Stdout {
			s.note("verified: %s", exported(e))
			p.line("%s", e.Secret.Hex())
			return
		}
		p.line("%s", "verified: "+exported(e))
		p.line("wrote %s", c.Out)
	})
}

func exported(e *client.Export) string {
	return curveName(e.Key.Curve) + " key " + safe(e.Key.PrivateKeyName) + " (" + e.Key.PublicKey + "), assurance " + e.Verified.Assurance
}
