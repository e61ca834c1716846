package org

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"

	"github.com/sallyport/sallyport/attestation/bundle"
	"github.com/sallyport/sallyport/attestation/proof"
	"github.com/sallyport/sallyport/enclave/wire"
)

// Prove adds the reply proof that a client asked for with a nonce. It is made
// last: it covers the exact bytes of the reply and the journal that holds
// what the reply says.
func (s *Service) Prove(req *wire.Request, reply *wire.Reply) (*wire.Reply, error) {
	if err := checkNonce(req.Nonce); err != nil {
		return nil, err
	}
	if len(req.Nonce) == 0 {
		return reply, nil
	}
	size, head := s.journal.Head()
	header, err := s.Boot.SignReply(proof.Reply{
		QuorumPublicKey: s.Boot.QuorumPublic, Path: req.Path, Status: reply.Status,
		RequestHash: sha256.Sum256(req.Body), ReplyHash: sha256.Sum256(reply.Body), Nonce: req.Nonce,
		TimeMs: millis(s.Now()), JournalSize: size, JournalHead: head, Epoch: s.Epoch,
	})
	if err != nil {
		return nil, err
	}
	reply.Proof = header
	return reply, nil
}

// checkNonce judges the length of a nonce, if there is one.
func checkNonce(nonce []byte) error {
	if n := len(nonce); n != 0 && (n < proof.MinNonce || n > proof.MaxNonce) {
		return bad("X-Sallyport-Nonce must have %d to %d bytes", proof.MinNonce, proof.MaxNonce)
	}
	return nil
}

// exportProof is the statement of one export and the ephemeral key's
// signature over it.
func (s *Service) exportProof(j job, target []byte, k *privateKey, data []byte, at position) (payload, signature []byte, err error) {
	payload, err = proof.ExportStatement{
		TimestampMs: at.timeMs, DataHash: sha256.Sum256(data), OrganizationID: j.org.String(),
		PrivateKeyID: k.id.String(), PublicKey: hex.EncodeToString(k.public), TargetPublicKey: target,
		ActivityFingerprint: j.fingerprint.String(), QuorumPublicKey: s.Boot.QuorumPublic, JournalIndex: at.index,
	}.Encode()
	if err != nil {
		return nil, nil, err
	}
	p, err := s.Boot.SignProof(payload)
	if err != nil {
		return nil, nil, err
	}
	signature, err = hex.DecodeString(p.Signature)
	return payload, signature, err
}

// keepEvidence makes this boot's document and manifest durable, once, for the
// exports that name them.
func (s *Service) keepEvidence(ctx context.Context) (document, manifest []byte, err error) {
	doc := s.Boot.Document()
	name := sha256.Sum256(doc)
	if !s.shares.has(name) {
		err = s.shares.put(ctx, doc, s.Boot.Manifest)
	}
	return name[:], s.Boot.ManifestHash, err
}

// An exportView is the result of an export as clients see it. The bundle is a
// JSON string, written by complete.
type exportView struct {
	PrivateKeyID string `json:"privateKeyId"`
	ExportBundle string `json:"exportBundle"`

	result exportResult
}

// complete writes the bundle of an export. When the client sent a nonce and
// this boot made the export, an attestation over the nonce goes with it: it
// proves that the boot whose key signed the export is alive now.
func (s *Service) complete(ctx context.Context, view *activityView, nonce []byte) error {
	v, ok := view.Result["exportPrivateKeyResult"].(*exportView)
	if !ok {
		return nil
	}
	outer, err := s.outer(ctx, &v.result)
	if err != nil {
		return s.unavailable(err)
	}
	if len(nonce) > 0 && bytes.Equal(v.result.PublicKey, s.Boot.PublicKey) {
		if outer.FreshAttestation, err = s.Boot.Challenge(ctx, nonce); err != nil {
			return err
		}
	}
	text, err := outer.Encode()
	v.ExportBundle = string(text)
	return err
}

// outer is the bundle of a recorded export.
func (s *Service) outer(ctx context.Context, r *exportResult) (*bundle.Outer, error) {
	if len(r.Document) != sha256.Size || len(r.Manifest) != sha256.Size {
		return nil, wire.Errorf(wire.Internal, "", "export in the journal: names are not hashes")
	}
	document, manifest, err := s.evidence(ctx, r)
	if err != nil {
		return nil, err
	}
	return &bundle.Outer{
		Version: bundle.Version, Data: r.Data, DataSignature: r.Signature, EnclaveQuorumPublic: r.Quorum,
		AttestationDocument: document, Manifest: manifest,
		AttestationProof: proof.AppProof{
			Scheme: proof.SchemeEphemeralP256, PublicKey: hex.EncodeToString(r.PublicKey),
			ProofPayload: string(r.Payload), Signature: hex.EncodeToString(r.Proof),
		},
	}, nil
}

// evidence is the document and the manifest that an export names.
func (s *Service) evidence(ctx context.Context, r *exportResult) (document, manifest []byte, err error) {
	if len(r.Evidence) == 2 {
		return r.Evidence[0], r.Evidence[1], nil
	}
	if document, err = s.shares.get(ctx, [32]byte(r.Document)); err != nil {
		return nil, nil, err
	}
	manifest, err = s.shares.get(ctx, [32]byte(r.Manifest))
	return document, manifest, err
}
