package cli

import (
	"context"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"

	"github.com/sallyport/sallyport/attestation"
	"github.com/sallyport/sallyport/host/client/ceremony"
)

type ceremonyGroup struct {
	Genesis   ceremonyGenesis   `cmd:"" help:"Have an enclave under a signed genesis manifest make an appliance's keys, and verify what it made."`
	Resplit   ceremonyResplit   `cmd:"" help:"Have a running enclave make new shares of the same root, for the holders of a signed order."`
	Provision ceremonyProvision `cmd:"" help:"Give your share of the root to an enclave, once it is verified."`
}

// ceremonyFlags are those of both.
type ceremonyFlags struct {
	BaseURL      string `name:"base-url" required:"" placeholder:"URL" help:"Where the appliance's host is."`
	Manifest     string `required:"" type:"path" placeholder:"FILE" help:"The signed manifest that the enclave must have booted under. Have it from the operators, not from the host."`
	LocalRoot    string `type:"path" placeholder:"FILE" xor:"trust" help:"Trust a local platform by its attestation root, a PEM file; it protects nothing."`
	Measurements string `type:"path" placeholder:"FILE" xor:"trust" help:"The images that you have built or checked yourself: JSON with pcr0, pcr1 and pcr2, or a list of such."`
	JSON         bool   `name:"json" help:"Print one JSON document on standard output."`
}

func (c *ceremonyFlags) client(s *Streams) (*ceremony.Client, error) {
	v := settings{localRoot: c.LocalRoot, measurements: c.Measurements}
	if v.localRoot == "" && v.measurements == "" {
		return nil, usage("", "--measurements or --local-root: one must be given")
	}
	trust, err := v.trust()
	if err != nil {
		return nil, err
	}
	if trust.Assurance() == attestation.AssuranceLocal {
		(&session{Streams: s}).note("%s", localWarning)
	}
	_, signed, err := readManifest(c.Manifest)
	return &ceremony.Client{BaseURL: c.BaseURL, Trust: trust, Signed: signed}, err
}

type ceremonyGenesis struct {
	ceremonyFlags `embed:""`
	Out           string `required:"" type:"path" placeholder:"DIR" help:"Write manifest.json (to be signed), sharing.json and document.cbor here. Never overwrites."`
}

// Run goes through genesis.
func (c *ceremonyGenesis) Run(ctx context.Context, s *Streams) error {
	cl, err := c.client(s)
	if err != nil {
		return explain(err)
	}
	files, err := reserveOutcome(c.Out)
	if err != nil {
		return explain(err)
	}
	defer files.discard()
	o, err := cl.Genesis(ctx)
	if err != nil {
		return explain(err)
	}
	return explain(files.keep(s, c.JSON, o, "the enclave runs an accepted image under this manifest and has proven what it made"))
}

type ceremonyResplit struct {
	ceremonyFlags `embed:""`
	Order         string `required:"" type:"path" placeholder:"FILE" help:"The signed order, from: sallyport manifest next --holder."`
	Out           string `required:"" type:"path" placeholder:"DIR" help:"Write manifest.json (to be signed), sharing.json and document.cbor here. Never overwrites."`
}

// Run orders new shares.
func (c *ceremonyResplit) Run(ctx context.Context, s *Streams) error {
	cl, err := c.client(s)
	if err != nil {
		return explain(err)
	}
	_, order, err := readManifest(c.Order)
	if err != nil {
		return explain(err)
	}
	files, err := reserveOutcome(c.Out)
	if err != nil {
		return explain(err)
	}
	defer files.discard()
	o, err := cl.Resplit(ctx, order)
	if err != nil {
		return explain(err)
	}
	_, _ = s.Err.Write([]byte("note: the shares of before still make the same root, wherever they are kept\n"))
	return explain(files.keep(s, c.JSON, o, "the enclave has made new shares of its root and has proven it"))
}

// outcomeFiles are where an outcome goes. They are made before anything is asked for.
type outcomeFiles struct{ manifest, sharing, document *reserved }

func reserveOutcome(dir string) (f *outcomeFiles, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, usage("", "--out: %w", err)
	}
	f = &outcomeFiles{}
	for name, to := range map[string]**reserved{"manifest.json": &f.manifest, "sharing.json": &f.sharing, "document.cbor": &f.document} {
		if *to, err = reserve(filepath.Join(dir, name)); err != nil {
			f.discard()
			return nil, err
		}
	}
	return f, nil
}

// discard removes what has not been written.
func (f *outcomeFiles) discard() {
	f.manifest.discard()
	f.sharing.discard()
	f.document.discard()
}

// keep writes what a ceremony made.
func (f *outcomeFiles) keep(s *Streams, asJSON bool, o *ceremony.Outcome, verified string) error {
	signed := &attestation.Signed{Manifest: o.Manifest.Encode()}
	manifest := f.manifest.path
	if err := errors.Join(f.sharing.write(append(o.Sharing, '\n')), f.document.write(o.Document), f.manifest.write(append(signed.Encode(), '\n'))); err != nil {
		return err
	}
	hash := hex.EncodeToString(attestation.Hash(signed.Manifest))
	se := &session{Streams: s, json: asJSON}
	return se.show(struct {
		Manifest        string `json:"manifest"`
		ManifestHash    string `json:"manifestHash"`
		QuorumPublicKey string `json:"quorumPublicKey"`
		Holders         int    `json:"holders"`
		Threshold       int64  `json:"threshold"`
	}{manifest, hash, hex.EncodeToString(o.Manifest.QuorumPublicKey), len(o.Manifest.Root.Holders), o.Manifest.Root.Threshold}, func(p *printer) {
		p.line("verified: %s", verified)
		p.field("quorum key", hex.EncodeToString(o.Manifest.QuorumPublicKey))
		p.field("manifest", hash)
		p.line("next: %d operators sign %s; then start the enclave under it, and %d of %d holders provision it",
			o.Manifest.OperatorThreshold, manifest, o.Manifest.Root.Threshold, len(o.Manifest.Root.Holders))
	})
}

type ceremonyProvision struct {
	ceremonyFlags `embed:""`
	Passphrase    `embed:""`
	Key           string `required:"" placeholder:"FILE|URI" help:"Your holder's key, from: sallyport key holder; or the PKCS#11 URI of one in a token."`
}

// Run gives a share.
func (c *ceremonyProvision) Run(ctx context.Context, s *Streams) error {
	cl, err := c.client(s)
	if err != nil {
		return explain(err)
	}
	key, err := c.readPersonKey(c.Key, s)
	if err != nil {
		return explain(err)
	}
	holder, err := exchangerOf(key)
	if err != nil {
		return explain(usage("", "--key: %w", err))
	}
	progress, err := cl.Provision(ctx, holder)
	if refused, ok := errors.AsType[*ceremony.RefusedError](err); ok && refused.HTTPStatus == 404 {
		return explain(usage("see: sallyport status", "the enclave waits for no shares: it has its root, or booted under another kind of manifest"))
	}
	if err != nil {
		return explain(err)
	}
	se := &session{Streams: s, json: c.JSON}
	return se.show(progress, func(p *printer) {
		p.line("verified the enclave and gave it the share; %d of %d holders have", progress.Received, progress.Threshold)
	})
}
