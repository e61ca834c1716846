package org

import (
	"context"
	"crypto/sha256"
	"encoding/hex"

	"github.com/sallyport/sallyport/attestation/bundle"
	"github.com/sallyport/sallyport/attestation/proof"
	"github.com/sallyport/sallyport/attestation/strictjson"
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

// outer is the bundle of an export as clients get it.
func (r *exportResult) outer() *bundle.Outer {
	return &bundle.Outer{
		Version: bundle.Version, Data: r.Data, DataSignature: r.Signature, EnclaveQuorumPublic: r.Quorum,
		AttestationDocument: r.Document, Manifest: r.Manifest,
		AttestationProof: proof.AppProof{
			Scheme: proof.SchemeEphemeralP256, PublicKey: hex.EncodeToString(r.PublicKey),
			ProofPayload: string(r.Payload), Signature: hex.EncodeToString(r.Proof),
		},
	}
}

// An exportView is the result of an export. The bundle is a JSON string.
type exportView struct {
	privateKeyID string
	outer        *bundle.Outer
}

// MarshalJSON writes the bundle as the string that published clients decrypt.
func (v *exportView) MarshalJSON() ([]byte, error) {
	text, err := v.outer.Encode()
	if err != nil {
		return nil, err
	}
	return strictjson.Marshal(struct {
		PrivateKeyID string `json:"privateKeyId"`
		ExportBundle string `json:"exportBundle"`
	}{v.privateKeyID, string(text)})
}

// freshen adds an attestation over the client's nonce to the bundle of an
// export, when this boot made the bundle: the document proves that the boot
// whose key signed the export is alive now.
func (s *Service) freshen(ctx context.Context, view *activityView, nonce []byte) error {
	v, ok := view.Result["exportPrivateKeyResult"].(*exportView)
	if !ok || len(nonce) == 0 || v.outer.AttestationProof.PublicKey != hex.EncodeToString(s.Boot.PublicKey) {
		return nil
	}
	fresh, err := s.Boot.Challenge(ctx, nonce)
	if err != nil {
		return err
	}
	v.outer.FreshAttestation = fresh
	return nil
}
