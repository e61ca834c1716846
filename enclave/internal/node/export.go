package node

import (
	"context"
	"crypto/sha256"
	"encoding/hex"

	"github.com/sallyport/sallyport/attestation/strictjson"
	"github.com/sallyport/sallyport/enclave/internal/export"
	"github.com/sallyport/sallyport/enclave/internal/keys"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
	"github.com/sallyport/sallyport/enclave/internal/mpc/hd"
)

// Formats of an exported key. All numbers are big endian, also the scalar of an
// Ed25519 key: it has no seed, so no format that starts from one can hold it.
const (
	formatXPriv  = "xpriv"          // BIP-32 text, with the chain code; also called xprv
	formatHex    = "hex"            // 64 digits
	formatScalar = "ed25519-scalar" // 64 digits
)

// modeShares lets each party seal its own share to the target key.
const modeShares = "shares"

type exportBody struct {
	Key    string `json:"key_id" strict:"required"`
	Room   string `json:"room_uuid" strict:"required"`
	To     string `json:"export_to"`
	Format string `json:"format"`
	Target string `json:"target_public_key"`
	Mode   string `json:"mode"`
	Relay  string `json:"relay_address"`
}

// An exportResult is what the recipient gets. To the others it is {"private_key":""}.
type exportResult struct {
	PrivateKey string `json:"private_key"`
	// Additions.
	Format         string         `json:"format,omitempty"` // of private_key, when it is not an extended key
	Bundle         strictjson.Raw `json:"bundle,omitempty"`
	OrganizationID string         `json:"organization_id,omitempty"` // that the bundle names
}

func exportID(s *Service, _ context.Context, c *call) (any, error) {
	h, err := s.holdReady(c, c.id)
	if err != nil {
		return nil, err
	}
	return map[string]string{"export_id": h.party.String()}, nil
}

// An exporting is an export that was checked.
type exporting struct {
	*held
	where  mpc.Where
	to     string // party id; may be empty with mode shares
	party  mpc.PartyID
	format string
	target []byte // SEC 1 uncompressed; nil for plaintext
	shares bool
}

func exportFull(s *Service, ctx context.Context, c *call) (any, error) {
	var in exportBody
	if err := c.read(&in); err != nil {
		return nil, err
	}
	x, err := s.exporting(c, &in)
	if err != nil {
		return nil, err
	}
	if err := s.ask(ctx, x.held, x.question(c)); err != nil {
		return nil, err
	}
	share, err := s.load(ctx, x.held)
	if err != nil {
		return nil, err
	}
	defer share.Erase()
	if x.shares {
		return s.exportShare(ctx, c, x, share)
	}
	terms := x.terms()
	gate := s.markEverywhere(x.held, x.where, terms)
	key, err := s.Runner.Export(ctx, &mpc.ExportRequest{
		Where: x.where, Share: share, To: x.party, Terms: terms, Contribute: gate.open,
	})
	if err != nil {
		return nil, gate.or(err)
	}
	defer key.Erase()
	if key == nil {
		return exportResult{}, nil
	}
	if x.target != nil {
		return s.sealed(ctx, c, x, key.Expose())
	}
	return x.plain(key)
}

func (s *Service) exporting(c *call, in *exportBody) (*exporting, error) {
	h, err := s.holdReady(c, in.Key)
	if err != nil {
		return nil, err
	}
	x := &exporting{held: h, to: in.To, shares: in.Mode == modeShares}
	if x.where, err = where(in.Room, in.Relay, h.share.threshold, len(h.share.members)); err != nil {
		return nil, err
	}
	if in.Mode != "" && !x.shares {
		return nil, bad("mode: must be %s, or not be given", modeShares)
	}
	if in.Target != "" {
		if x.target, err = export.ParseTarget(in.Target); err != nil {
			return nil, bad("%s", snake(err))
		}
	}
	if err := x.checkTo(); err != nil {
		return nil, err
	}
	if err := x.checkFormat(in.Format); err != nil {
		return nil, err
	}
	switch {
	case x.target == nil && x.shares:
		return nil, bad("mode: %s needs target_public_key", modeShares)
	case x.target == nil && !s.Rules.Plaintext:
		return nil, refuse(typePolicy, "plaintext export is not allowed by this node's manifest: send target_public_key and get an attested bundle, "+
			"or with mode %q a bundle of each party's share", modeShares)
	}
	return x, nil
}

// snake gives a target's error the field's name in this API.
func snake(err error) string {
	const theirs, ours = "targetPublicKey", "target_public_key"
	if text := err.Error(); len(text) > len(theirs) && text[:len(theirs)] == theirs {
		return ours + text[len(theirs):]
	}
	return ours + ": " + err.Error()
}

// checkTo wants the recipient to be a party of this version of the key.
func (x *exporting) checkTo() (err error) {
	if x.to == "" && x.shares {
		return nil
	}
	if x.party, err = mpc.ParsePartyID(x.to); err != nil {
		return bad("export_to: %v", err)
	}
	for _, m := range x.share.members {
		if m.Party == x.party {
			return nil
		}
	}
	return bad("export_to: is not the export id of a party of this key")
}

func (x *exporting) checkFormat(format string) error {
	if format == "xprv" {
		format = formatXPriv
	}
	switch {
	case x.curve == keys.Ed25519 && (format == "" || format == formatHex || format == formatScalar):
		x.format = formatScalar
	case x.curve != keys.Ed25519 && format == "" && x.target == nil, x.curve != keys.Ed25519 && format == formatXPriv:
		x.format = formatXPriv
	case x.curve != keys.Ed25519 && (format == "" || format == formatHex):
		x.format = formatHex
	case x.curve == keys.Ed25519:
		return bad("format: must be %s, or not be given", formatScalar)
	default:
		return bad("format: must be %s or %s", formatXPriv, formatHex)
	}
	if x.format == formatXPriv && x.target != nil {
		return bad("format: a bundle holds the key alone: %s, or none", formatHex)
	}
	return nil
}

// terms are what all parties of the room must have been asked for.
func (x *exporting) terms() mpc.Terms {
	to, mode := "plaintext", "full"
	if x.target != nil {
		sum := sha256.Sum256(x.target)
		to = hex.EncodeToString(sum[:])
	}
	if x.shares {
		mode = modeShares
	}
	return mpc.Terms{Operation: "export/full", Details: [][]byte{x.share.tag[:], []byte(x.to), []byte(to), []byte(x.format), []byte(mode)}}
}

func (x *exporting) question(c *call) *question {
	r := map[string]any{
		"key_id": x.id, "pubkey": hex.EncodeToString(x.share.public), "export_to": x.to, "format": x.format, "plaintext": x.target == nil,
	}
	if x.target != nil {
		r["target_public_key"] = hex.EncodeToString(x.target)
	}
	if x.shares {
		r["mode"] = modeShares
	}
	return &question{action: "export_" + c.scheme.name, request: r}
}

// plain writes the key as text: the one place where it leaves in the clear.
func (x *exporting) plain(key *keys.Secret) (any, error) {
	if x.format != formatXPriv {
		return exportResult{PrivateKey: hex.EncodeToString(key.Expose()), Format: x.format}, nil
	}
	text, err := hd.XPriv(key, x.share.chainCode)
	if err != nil {
		return nil, err
	}
	defer text.Erase()
	return exportResult{PrivateKey: string(text.Expose())}, nil
}
