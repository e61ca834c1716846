package cli

import (
	"context"

	"github.com/sallyport/sallyport/host/client"
)

type keyGroup struct {
	Generate keyGenerate     `cmd:"" help:"Make an API key: NAME.key, mode 0600. Prints the public key, to hand to whoever makes you a user."`
	Operator operatorCommand `cmd:"" help:"Make an operator's key, to sign manifests: NAME.operator, encrypted."`
	Holder   holderCommand   `cmd:"" help:"Make a holder's key, for a share of the root: NAME.holder, encrypted."`
	Target   keyTarget       `cmd:"" help:"Make a target key for an export by the node API: NAME.target, mode 0600. Prints the target_public_key."`
}

type keyTarget struct {
	Name string `arg:"" help:"The file is NAME.target."`
	JSON bool   `name:"json" help:"Print one JSON document on standard output."`
}

// Run makes a target key file.
func (k *keyTarget) Run(_ context.Context, s *Streams) error {
	return explain(k.run(&session{Streams: s, json: k.JSON}))
}

func (k *keyTarget) run(s *session) error {
	key, err := client.NewTargetKey()
	if err != nil {
		return err
	}
	path := k.Name + ".target"
	if err := writeNew(path, targetFileJSON{TargetPublicKey: key.PublicHex(), TargetPrivateKey: key.PrivateHex()}); err != nil {
		return err
	}
	if !s.json {
		s.note("wrote %s; it opens what is sealed to it, once", safe(path))
	}
	return s.show(struct {
		TargetPublicKey string `json:"targetPublicKey"`
		TargetFile      string `json:"targetFile"`
	}{key.PublicHex(), path}, func(p *printer) { p.line("%s", key.PublicHex()) })
}

type keyGenerate struct {
	Name string `arg:"" help:"The file is NAME.key."`
	JSON bool   `name:"json" help:"Print one JSON document on standard output."`
}

// Run makes a key file.
func (k *keyGenerate) Run(_ context.Context, s *Streams) error {
	return explain(k.run(&session{Streams: s, json: k.JSON}))
}

func (k *keyGenerate) run(s *session) error {
	key, err := client.NewAPIKey()
	if err != nil {
		return err
	}
	private, err := key.PrivateHex()
	if err != nil {
		return err
	}
	path := k.Name + ".key"
	if err := writeNew(path, keyFileJSON{key.PublicHex(), private}); err != nil {
		return err
	}
	if !s.json {
		s.note("wrote %s; keep it to yourself", safe(path))
	}
	return s.show(struct {
		PublicKey string `json:"publicKey"`
		CurveType string `json:"curveType"`
		KeyFile   string `json:"keyFile"`
	}{key.PublicHex(), client.CurveP256, path}, func(p *printer) { p.line("%s", key.PublicHex()) })
}
