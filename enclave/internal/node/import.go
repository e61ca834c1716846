package node

import (
	"context"
	"crypto/ed25519"
	"crypto/sha512"
	"encoding/hex"
	"io"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/enclave/internal/keys"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
	"github.com/sallyport/sallyport/enclave/internal/mpc/hd"
)

// formatSeed is what most tools call an Ed25519 private key (RFC 8032, section
// 5.1.5). It can be imported, because its scalar signs under the same public key.
const formatSeed = "ed25519-seed"

type importBody struct {
	keygenBody
	// PrivateKey is an extended private key, or 64 digits: the scalar, big endian.
	PrivateKey string `json:"private_key" strict:"required"`
	Format     string `json:"format"` // addition: ed25519-seed
}

// importKey splits an existing key among parties, of which this node is one. The
// host has seen what was sent here in the clear.
func importKey(s *Service, ctx context.Context, c *call) (any, error) {
	var in importBody
	if err := c.read(&in); err != nil {
		return nil, err
	}
	m, err := s.making(c, &in.keygenBody)
	if err != nil {
		return nil, err
	}
	key, chain, err := s.parsePrivate(m.curve, in.Format, in.PrivateKey)
	if err != nil {
		return nil, err
	}
	defer key.Erase()
	public, err := keys.ScalarPublic(m.curve, key)
	if err != nil {
		return nil, bad("private_key: %v", err)
	}
	return s.imported(ctx, c, m, &mpc.ReshareRequest{Public: public, Import: key, ChainCode: chain})
}

// importShare receives a share of a key that another party imports.
func importShare(s *Service, ctx context.Context, c *call) (any, error) {
	var in keygenBody
	if err := c.read(&in); err != nil {
		return nil, err
	}
	m, err := s.making(c, &in)
	if err != nil {
		return nil, err
	}
	// The importer is one of the new parties: nobody else is let in.
	return s.imported(ctx, c, m, &mpc.ReshareRequest{OldParties: m.parties})
}

func (s *Service) imported(ctx context.Context, c *call, m *making, q *mpc.ReshareRequest) (any, error) {
	if err := s.sound(mpc.OpReshare, m.curve); err != nil {
		return nil, err
	}
	request := map[string]any{"key_id": m.id, "keygen_ids": textsOf(m.parties), "threshold": m.threshold}
	if q.Public != nil {
		request["pubkey"] = hex.EncodeToString(q.Public)
	}
	if err := s.ask(ctx, m.held, &question{action: "import_" + c.scheme.name, request: request}); err != nil {
		return nil, err
	}
	if err := s.begin(m.id); err != nil {
		return nil, err
	}
	defer s.end(m.id)
	q.Where, q.Curve, q.New, q.NewSelf, q.NewThreshold = m.where, m.curve, m.parties, &m.party, m.threshold
	q.Terms = mpc.Terms{Operation: "import", Details: [][]byte{number(m.threshold), number(len(m.parties))}}
	share, err := s.Runner.Reshare(ctx, q)
	if err != nil {
		return nil, err
	}
	return s.keepMade(ctx, c, m, share)
}

// parsePrivate reads a key, and makes a chain code where it has none.
func (s *Service) parsePrivate(curve keys.Curve, format, text string) (key *keys.Secret, chain []byte, err error) {
	if format != "" && (format != formatSeed || curve != keys.Ed25519) {
		return nil, nil, bad("format: must be %s, for ed25519, or not be given", formatSeed)
	}
	if strings.HasPrefix(text, "xprv") {
		if curve != keys.Secp256k1 {
			return nil, nil, bad("private_key: an extended private key is for ecdsa")
		}
		if key, chain, err = hd.ParseXPriv(text); err != nil {
			return nil, nil, bad("private_key: %v", err)
		}
		return key, chain, nil
	}
	raw, err := hex.DecodeString(text)
	defer clear(raw)
	if err != nil || len(raw) != keys.Size {
		return nil, nil, bad("private_key: must be an extended private key (xprv), or %d hexadecimal digits", 2*keys.Size)
	}
	if key = keys.NewSecret(raw); format == formatSeed {
		key, err = scalarOfSeed(raw)
	}
	if err == nil {
		err = keys.CheckScalar(curve, key.Expose())
	}
	if err != nil {
		key.Erase()
		return nil, nil, bad("private_key: %v", err)
	}
	chain = make([]byte, 32)
	_, err = io.ReadFull(s.Rand, chain)
	return key, chain, err
}

// scalarOfSeed is RFC 8032, section 5.1.5, steps 1 to 3, modulo the group order.
func scalarOfSeed(seed []byte) (*keys.Secret, error) {
	h := sha512.Sum512(seed[:ed25519.SeedSize])
	defer clear(h[:])
	h[0] &= 248
	h[31] = h[31]&127 | 64
	var wide [64]byte
	defer clear(wide[:])
	copy(wide[32:], h[:32])
	slices.Reverse(wide[32:])
	scalar, err := keys.ReduceScalar(keys.Ed25519, wide)
	defer clear(scalar[:])
	if err != nil {
		return nil, err
	}
	return keys.NewSecret(scalar[:]), nil
}
