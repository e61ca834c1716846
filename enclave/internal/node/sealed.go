package node

import (
	"context"
	"crypto/sha256"
	"encoding/hex"

	"github.com/sallyport/sallyport/attestation/bundle"
	"github.com/sallyport/sallyport/attestation/bundle/shares"
	"github.com/sallyport/sallyport/attestation/proof"
	"github.com/sallyport/sallyport/enclave/internal/export"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
)

// An exportEntry records a bundle. It holds no secret.
type exportEntry struct {
	Key      uid      `cbor:"1,keyasint"`
	Target   []byte   `cbor:"2,keyasint"`
	DataHash [32]byte `cbor:"3,keyasint"` // of the bundle's signed data
	Request  [32]byte `cbor:"4,keyasint"` // SHA-256 of the body that asked
}

func applyExport(*state, *exportEntry, int64) error { return nil }

// exportShare seals this node's own share: no machine but the client's ever has
// the whole key. All parties of the room must have been asked for the same.
func (s *Service) exportShare(ctx context.Context, c *call, x *exporting, share *mpc.Share) (any, error) {
	terms := x.terms()
	if err := s.Runner.Agree(ctx, x.where, share, terms); err != nil {
		return nil, err
	}
	if err := s.markEverywhere(x.held, x.where, terms).pass(ctx); err != nil {
		return nil, err
	}
	out := &shares.Share{
		Curve: shares.Curve(share.Curve), Threshold: share.Threshold, Public: share.Public, ChainCode: share.ChainCode,
		Party: share.Self.String(), Secret: share.Secret.Expose(),
	}
	for _, m := range share.Members {
		out.Members = append(out.Members, shares.Member{Party: m.Party.String(), X: m.X[:], Public: m.Public})
	}
	plain, err := out.Encode()
	if err != nil {
		return nil, err
	}
	defer clear(plain)
	return s.sealed(ctx, c, x, plain)
}

// sealed seals a key or share to the target key, in an attested bundle.
func (s *Service) sealed(ctx context.Context, c *call, x *exporting, plain []byte) (any, error) {
	organization := bundle.NodeOrganization(s.Boot.QuorumPublic)
	envelope, err := export.NewEnvelope(s.Rand, x.target)
	if err != nil {
		return nil, err
	}
	if err := envelope.Seal(plain); err != nil {
		return nil, err
	}
	outer := &bundle.Outer{
		Version: bundle.Version, EnclaveQuorumPublic: s.Boot.QuorumPublic, AttestationDocument: s.Boot.Document(), Manifest: s.Boot.Manifest,
	}
	if outer.Data, err = envelope.Data(organization); err != nil {
		return nil, err
	}
	if outer.DataSignature, err = bundle.Sign(s.Quorum, outer.Data); err != nil {
		return nil, err
	}
	if outer.AttestationProof, err = s.proveExport(ctx, c, x, organization, outer.Data); err != nil {
		return nil, err
	}
	if len(c.req.Nonce) > 0 {
		if outer.FreshAttestation, err = s.Boot.Challenge(ctx, c.req.Nonce); err != nil {
			return nil, err
		}
	}
	text, err := outer.Encode()
	return exportResult{Bundle: text, OrganizationID: organization}, err
}

// proveExport records the bundle, and signs a statement that names the entry.
func (s *Service) proveExport(ctx context.Context, c *call, x *exporting, organization string, data []byte) (p proof.AppProof, err error) {
	request := sha256.Sum256(c.req.Body)
	statement := proof.ExportStatement{
		DataHash: sha256.Sum256(data), OrganizationID: organization, PrivateKeyID: x.id.String(),
		PublicKey: hex.EncodeToString(x.share.public), TargetPublicKey: x.target,
		ActivityFingerprint: "sha256:" + hex.EncodeToString(request[:]), QuorumPublicKey: s.Boot.QuorumPublic,
	}
	err = recordAt(ctx, s, EntryExport, func(*state) (func(uint64, int64) (exportEntry, error), error) {
		return func(index uint64, timeMs int64) (exportEntry, error) {
			statement.JournalIndex, statement.TimestampMs = index, timeMs
			payload, err := statement.Encode()
			if err != nil {
				return exportEntry{}, err
			}
			p, err = s.Boot.SignProof(payload)
			return exportEntry{x.id, x.target, statement.DataHash, request}, err
		}, nil
	})
	return p, err
}
