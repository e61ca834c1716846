package cli

import (
	"context"
	"strings"

	"github.com/sallyport/sallyport/host/client"
)

type keysGroup struct {
	Create keysCreate `cmd:"" help:"Make a private key inside the enclave."`
	List   keysList   `cmd:"" help:"List private keys."`
}

type keysCreate struct {
	Connection    `embed:""`
	Name          string   `required:"" help:"Name of the key, of its own in the organization."`
	Curve         string   `required:"" enum:"secp256k1,p256,ed25519" help:"secp256k1, p256 or ed25519."`
	AddressFormat []string `placeholder:"FORMAT" help:"Such as ethereum, solana, compressed, bitcoin-mainnet-p2wpkh. Repeat, or separate by commas."`
}

// Run makes a key.
func (k *keysCreate) Run(ctx context.Context, s *Streams) error {
	return k.run(ctx, s, needUser, k.work)
}

func (k *keysCreate) work(ctx context.Context, s *session) error {
	made, err := s.CreatePrivateKeys(ctx, client.NewPrivateKey{
		PrivateKeyName: k.Name, Curve: "CURVE_" + strings.ToUpper(k.Curve), AddressFormats: formats(k.AddressFormat),
	})
	if err != nil {
		return err
	}
	key, err := s.GetPrivateKey(ctx, made[0].PrivateKeyID)
	if err != nil {
		return err
	}
	return s.show(key, func(p *printer) { p.key(key) })
}

// formats turns names of address formats into those of the API.
func formats(names []string) []string {
	out := []string{}
	for _, n := range names {
		n = strings.ReplaceAll(strings.ToUpper(n), "-", "_")
		out = append(out, "ADDRESS_FORMAT_"+strings.TrimPrefix(n, "ADDRESS_FORMAT_"))
	}
	return out
}

type keysList struct {
	Connection `embed:""`
}

// Run lists keys.
func (k *keysList) Run(ctx context.Context, s *Streams) error {
	return k.run(ctx, s, needUser, func(ctx context.Context, s *session) error {
		keys, err := s.ListPrivateKeys(ctx)
		if err != nil {
			return err
		}
		return s.show(map[string]any{"privateKeys": keys}, func(p *printer) {
			if len(keys) == 0 {
				p.line("no private keys")
			}
			for i := range keys {
				p.key(&keys[i])
			}
		})
	})
}

// key is a few lines about a private key.
func (p *printer) key(k *client.PrivateKey) {
	exported := ""
	if k.Exported {
		exported = ", exported"
	}
	p.line("%s  %s (%s%s)", k.PrivateKeyID, k.PrivateKeyName, curveName(k.Curve), exported)
	p.line("  public key  %s", k.PublicKey)
	for _, a := range k.Addresses {
		p.line("  %s  %s", strings.ToLower(strings.TrimPrefix(a.Format, "ADDRESS_FORMAT_")), a.Address)
	}
}

func curveName(curve string) string { return strings.ToLower(strings.TrimPrefix(curve, "CURVE_")) }

// findKey finds a private key by id, name or address.
func (s *session) findKey(ctx context.Context, text string) (*client.PrivateKey, error) {
	if isID(text) {
		return s.GetPrivateKey(ctx, text)
	}
	keys, err := s.ListPrivateKeys(ctx)
	if err != nil {
		return nil, err
	}
	for i, k := range keys {
		if k.PrivateKeyName == text {
			return &keys[i], nil
		}
		for _, a := range k.Addresses {
			if a.Address == text {
				return &keys[i], nil
			}
		}
	}
	return nil, usage("see: sallyport keys list", "--key: no private key has the id, name or address %q", text)
}

// isID reports whether a text has the form of an id: a lower-case UUID.
func isID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i, r := range s {
		switch {
		case i == 8 || i == 13 || i == 18 || i == 23:
			if r != '-' {
				return false
			}
		case !strings.ContainsRune("0123456789abcdef", r):
			return false
		}
	}
	return true
}
