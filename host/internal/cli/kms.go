package cli

import (
	"context"
	"encoding/pem"
	"os"

	"github.com/sallyport/sallyport/attestation"
	"github.com/sallyport/sallyport/host/internal/kms"
)

type kmsGroup struct {
	Policy kmsPolicy `cmd:"" help:"Print the key policy that lets enclaves under a manifest, and nothing else, have their half of the root."`
	Public kmsPublic `cmd:"" help:"Fetch the public half of a key, for manifest new --kms-public-key."`
}

type kmsPolicy struct {
	File    string `arg:"" type:"path" help:"The operating manifest: the policy names its hash and its images."`
	Account string `required:"" placeholder:"ID" help:"The account of the host, 12 digits."`
	Role    string `required:"" placeholder:"NAME" help:"The host's role, with its path if it has one."`
}

// Run prints the policy.
func (c *kmsPolicy) Run(_ context.Context, s *Streams) error {
	m, signed, err := readManifest(c.File)
	if err != nil {
		return explain(err)
	}
	if m.Root == nil || m.Root.KMS == nil {
		return explain(usage("manifest new --kms-key", "the manifest names no key of a key management service"))
	}
	if m.Version == 0 {
		_, _ = s.Err.Write([]byte("note: this is a genesis manifest, under which no enclave asks; the policy is for the operating one\n"))
	}
	b, err := kms.Policy(c.Account, c.Role, m.Root.KMS.KeyID, m.Measurements, attestation.Hash(signed.Manifest))
	if err != nil {
		return explain(asUsage(err))
	}
	_, err = s.Out.Write(b)
	return err
}

type kmsPublic struct {
	Key      string `arg:"" help:"The key's ARN."`
	Endpoint string `placeholder:"URL" help:"Where KMS is reached (default: AWS's, of the key's region)."`
	Out      string `required:"" type:"path" placeholder:"FILE" help:"Where to write it, PEM. Never overwrites."`
}

// Run fetches the key under the caller's own credentials. The operators compare it
// with what the console shows, before they sign.
func (c *kmsPublic) Run(ctx context.Context, s *Streams) error {
	client, err := kms.New(ctx, kms.Options{Endpoint: c.Endpoint})
	if err != nil {
		return explain(err)
	}
	der, err := client.PublicKey(ctx, c.Key)
	if err != nil {
		return explain(err)
	}
	r, err := reserve(c.Out)
	if err == nil {
		err = r.write(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	}
	return explain(err)
}

// kmsPlan is what the flags of manifest new say.
func kmsPlan(key, file string) (*attestation.KMSPlan, error) {
	switch {
	case key == "" && file == "":
		return nil, nil
	case key == "" || file == "":
		return nil, usage("sallyport kms public ARN --out FILE", "--kms-key and --kms-public-key: only one is given")
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, usage("", "--kms-public-key: %w", err)
	}
	block, _ := pem.Decode(b)
	if block == nil || block.Type != "PUBLIC KEY" {
		return nil, usage("", "--kms-public-key: %s holds no PEM public key", file)
	}
	return &attestation.KMSPlan{KeyID: key, PublicKey: block.Bytes}, nil
}
