package node

import (
	"context"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"math/big"
	"strings"

	"github.com/sallyport/sallyport/enclave/internal/keys"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
)

// An ecdsaBody and an ed25519Body are signing requests of the two schemes.
type ecdsaBody struct {
	signBody
	Hash string `json:"hash_algo" strict:"required"`
}

type signBody struct {
	Room  string   `json:"room_uuid" strict:"required"`
	Key   string   `json:"key_id" strict:"required"`
	Msg   string   `json:"msg" strict:"required"`
	Path  []uint32 `json:"derivation_path"`
	Extra string   `json:"extra_data"` // for this node's own rule servers
	Relay string   `json:"relay_address"`
}

// An ecdsaSignature has r and s as 64 digits each; s is low.
type ecdsaSignature struct {
	DER string `json:"der"`
	R   string `json:"r"`
	S   string `json:"s"`
	V   uint8  `json:"v"`
}

type ed25519Signature struct {
	Signature string `json:"signature"`
}

func sign(s *Service, ctx context.Context, c *call) (any, error) {
	in, err := c.readSign()
	if err != nil {
		return nil, err
	}
	return s.sign(ctx, c, in)
}

// readSign reads the body of either scheme; Ed25519 has no hash.
func (c *call) readSign() (*ecdsaBody, error) {
	var in ecdsaBody
	if c.scheme.curve == keys.Ed25519 {
		return &in, c.read(&in.signBody)
	}
	return &in, c.read(&in)
}

// A signing is a request that was checked.
type signing struct {
	*held
	where  mpc.Where
	msg    []byte
	digest []byte // or the message, for Ed25519
	hash   string // lower case; "" for Ed25519
	path   []uint32
	child  *child
	extra  []byte
}

// presignPool names the half-done signatures of this API: the same on all nodes.
const presignPool = "node"

// sign signs one message with the other parties of a room.
func (s *Service) sign(ctx context.Context, c *call, in *ecdsaBody) (any, error) {
	g, err := s.signing(c, in)
	if err != nil {
		return nil, err
	}
	if err := s.ask(ctx, g.held, g.question(c)); err != nil {
		return nil, err
	}
	share, err := s.load(ctx, g.held)
	if err != nil {
		return nil, err
	}
	defer share.Erase()
	hashed := sha256.Sum256(g.msg)
	terms := mpc.Terms{Operation: "sign", Details: [][]byte{[]byte(g.hash), hashed[:], pathBytes(g.path)}}
	gate := s.contribution(g.held, g.where, terms)
	sig, err := s.Runner.Sign(ctx, &mpc.SignRequest{
		Where: g.where, Share: share, Digest: g.digest, Delta: g.child.delta, Terms: terms,
		Contribute: gate.open, Presign: presignPool,
	})
	if err != nil {
		return nil, gate.or(err)
	}
	return showSignature(g.curve, sig)
}

func (s *Service) signing(c *call, in *ecdsaBody) (*signing, error) {
	h, err := s.holdReady(c, in.Key)
	if err != nil {
		return nil, err
	}
	if err := h.usable(); err != nil {
		return nil, err
	}
	if err := s.sound(mpc.OpSign, h.curve); err != nil {
		return nil, err
	}
	g := &signing{held: h, path: in.Path, hash: strings.ToLower(in.Hash)}
	if g.where, err = where(in.Room, in.Relay, h.share.threshold, len(h.share.members)); err != nil {
		return nil, err
	}
	if g.msg, err = hexField("msg", in.Msg); err != nil {
		return nil, err
	}
	if g.extra, err = hexField("extra_data", in.Extra); err != nil {
		return nil, err
	}
	if g.digest = g.msg; h.curve != keys.Ed25519 {
		if g.digest, err = digest(g.hash, g.msg); err != nil {
			return nil, err
		}
	}
	g.child, err = h.derive(in.Path)
	return g, err
}

func (g *signing) question(c *call) *question {
	r := map[string]any{"msg": hex.EncodeToString(g.msg), "pubkey": hex.EncodeToString(g.child.public), "key_id": g.id}
	if g.hash != "" {
		r["hash_algo"] = g.hash
	}
	if len(g.path) > 0 {
		r["derivation_path"] = g.path
	}
	return &question{action: "sign_" + c.scheme.name, request: r, extra: g.extra}
}

// showSignature writes r || s || v as the API does.
func showSignature(curve keys.Curve, sig []byte) (any, error) {
	if len(sig) != keys.SignatureSize {
		return nil, errors.New("internal error: a signature of another size")
	}
	if curve == keys.Ed25519 {
		return ed25519Signature{hex.EncodeToString(sig[:64])}, nil
	}
	der, err := asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:64])})
	if err != nil {
		return nil, err
	}
	return ecdsaSignature{hex.EncodeToString(der), hex.EncodeToString(sig[:32]), hex.EncodeToString(sig[32:64]), sig[64]}, nil
}

func derivePubkey(s *Service, _ context.Context, c *call) (any, error) {
	var in struct {
		Key  string   `json:"key_id" strict:"required"`
		Path []uint32 `json:"derivation_path" strict:"required"`
	}
	if err := c.read(&in); err != nil {
		return nil, err
	}
	h, err := s.hold(c, in.Key)
	if err != nil {
		return nil, err
	}
	if h.share == nil {
		return nil, refuse(typeKeygenMissing, "key_id: the key was created but not generated: call keygen first")
	}
	derived, err := h.derive(in.Path)
	if err != nil {
		return nil, err
	}
	return pubkeyResult{hex.EncodeToString(derived.public)}, nil
}
