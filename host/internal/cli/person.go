package cli

import (
	"context"
	"crypto/ecdsa"
)

// personCommand makes the key of an operator or of a holder.
type personCommand struct {
	Passphrase `embed:""`
	Name       string `arg:"" help:"The file is NAME.operator, or NAME.holder; with --token the key's label."`
	Token      string `placeholder:"URI" help:"Make the key in a PKCS#11 token, where it stays (RFC 7512 URI, the PIN by pin-source). It is then named by URI;object=NAME."`
	JSON       bool   `name:"json" help:"Print one JSON document on standard output."`
}

type operatorCommand struct {
	personCommand `embed:""`
}

// Run makes an operator's key file.
func (c *operatorCommand) Run(_ context.Context, s *Streams) error {
	return explain(c.make(s, ".operator", "manifest new --operator", compressedHex))
}

type holderCommand struct {
	personCommand `embed:""`
}

// Run makes a holder's key file.
func (c *holderCommand) Run(_ context.Context, s *Streams) error {
	return explain(c.make(s, ".holder", "manifest new --holder", uncompressedHex))
}

func (c *personCommand) make(s *Streams, suffix, use string, public func(*ecdsa.PublicKey) string) error {
	if c.Token != "" {
		return c.makeOnToken(s, use, public)
	}
	passphrase, err := c.newPassphrase(s)
	if err != nil {
		return err
	}
	defer clear(passphrase)
	path := c.Name + suffix
	key, err := makePersonKey(path, c.Name, passphrase)
	if err != nil {
		return err
	}
	se := &session{Streams: s, json: c.JSON}
	if !c.JSON {
		se.note("wrote %s, encrypted under the passphrase; the public key is for: %s", safe(path), use)
	}
	return se.show(struct {
		PublicKey string `json:"publicKey"`
		KeyFile   string `json:"keyFile"`
	}{public(&key.PublicKey), path}, func(p *printer) { p.line("%s", public(&key.PublicKey)) })
}

func (c *personCommand) makeOnToken(s *Streams, use string, public func(*ecdsa.PublicKey) string) error {
	if !onToken(c.Token) {
		return usage("pkcs11:token=NAME?module-path=/PATH&pin-source=file:/PATH", "--token: must be a PKCS#11 URI")
	}
	key, err := openTokenKey(c.Token, c.Name, s)
	if err != nil {
		return err
	}
	se := &session{Streams: s, json: c.JSON}
	if !c.JSON {
		se.note("made %s in the token; the public key is for: %s", safe(c.Name), use)
	}
	return se.show(struct {
		PublicKey string `json:"publicKey"`
		Label     string `json:"label"`
	}{public(key.public), c.Name}, func(p *printer) { p.line("%s", public(key.public)) })
}
