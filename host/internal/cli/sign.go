package cli

import (
	"context"
	"errors"

	"github.com/sallyport/sallyport/host/client"
)

type signCommand struct {
	Connection `embed:""`
	Key        string  `required:"" placeholder:"ID" help:"The key's id, name, or one of its addresses."`
	Payload    *string `xor:"payload" placeholder:"TEXT" help:"Text to sign, as UTF-8."`
	Hex        *string `xor:"payload" placeholder:"HEX" help:"Bytes to sign."`
	Hash       string  `default:"auto" enum:"auto,sha256,keccak256,none,not-applicable" help:"auto (not-applicable for ed25519, else sha256), sha256, keccak256, none (the payload is a digest of 32 bytes), not-applicable."`
}

var hashes = map[string]string{
	"sha256": client.HashSHA256, "keccak256": client.HashKeccak256, "none": client.HashNoOp, "not-applicable": client.HashNotApplicable,
}

// Validate checks what the flags say together.
func (c *signCommand) Validate() error {
	if c.Payload == nil && c.Hex == nil {
		return errors.New("--payload or --hex: one must be given")
	}
	return nil
}

// Run signs.
func (c *signCommand) Run(ctx context.Context, s *Streams) error {
	return c.run(ctx, s, needUser, c.work)
}

func (c *signCommand) work(ctx context.Context, s *session) error {
	key, err := s.findKey(ctx, c.Key)
	if err != nil {
		return err
	}
	p := client.SignRawPayloadParams{SignWith: key.PrivateKeyID, HashFunction: hashes[c.Hash]}
	switch {
	case c.Hash == "auto" && key.Curve == client.KeyCurveEd25519:
		p.HashFunction = client.HashNotApplicable
	case c.Hash == "auto":
		p.HashFunction = client.HashSHA256
	}
	if c.Payload != nil {
		p.Payload, p.Encoding = *c.Payload, client.EncodingText
	} else {
		p.Payload, p.Encoding = *c.Hex, client.EncodingHexadecimal
	}
	sig, err := s.SignRawPayload(ctx, p)
	if err != nil {
		return err
	}
	return s.show(struct {
		*client.Signature
		PrivateKeyID string `json:"privateKeyId"`
		PublicKey    string `json:"publicKey"`
		HashFunction string `json:"hashFunction"`
	}{sig, key.PrivateKeyID, key.PublicKey, p.HashFunction}, func(out *printer) {
		out.line("r  %s", sig.R)
		out.line("s  %s", sig.S)
		out.line("v  %s", sig.V)
	})
}
