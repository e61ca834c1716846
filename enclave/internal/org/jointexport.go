package org

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/hex"
	"errors"

	"github.com/sallyport/sallyport/attestation/bundle"
	"github.com/sallyport/sallyport/enclave/internal/codec"
	"github.com/sallyport/sallyport/enclave/internal/export"
	"github.com/sallyport/sallyport/enclave/internal/keys"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
	"github.com/sallyport/sallyport/enclave/wire"
)

// reasonNoSeed marks keys that have no seed to export.
const reasonNoSeed = "KEY_HAS_NO_SEED"

// checkJointExport refuses keys that a bundle cannot hold.
func (g *KeyGroup) checkJointExport(k *privateKey) error {
	if g == nil || k.curve != keys.Ed25519 {
		return nil
	}
	return wire.Errorf(wire.FailedPrecondition, reasonNoSeed,
		"private key %s is an Ed25519 key that the members of a key group made together: it has a scalar and no seed, and an export bundle "+
			"of this API holds the seed from which clients derive the key; keys that are to be exported so must be made on secp256k1", k.id)
}

// jointlyExport gathers a key in this member's enclave, and seals it to the target
// key. All members know by now that it is being exported.
func jointlyExport(ctx context.Context, s *Service, t task, in *exportIntent, k *privateKey) (exportResult, error) {
	var out exportResult
	envelope, err := export.NewEnvelope(s.Rand, in.target)
	if err != nil {
		return out, err
	}
	t.Operation = opExport
	y, err := s.together(ctx, t)
	if err != nil {
		return out, err
	}
	keys.WithSecret(func() { err = sealKey(envelope, k, y.secret) })
	y.erase()
	if err != nil {
		return out, err
	}
	return s.bundle(ctx, t, in, k, envelope)
}

// sealKey seals what the runner gathered, if it is the key.
func sealKey(envelope *export.Envelope, k *privateKey, secret *keys.Secret) error {
	if secret == nil {
		return errors.New("internal error: the runner gave no key")
	}
	public, err := keys.ScalarPublic(k.curve, secret)
	if err != nil || !bytes.Equal(public, k.public) {
		return errors.New("internal error: the runner gave another key")
	}
	return envelope.Seal(secret.Expose())
}

// A bundleEntry records that this member made a bundle. It is the entry that the
// bundle's proof names; whether the bundle is the activity's is for the order.
type bundleEntry struct {
	Organization id          `cbor:"1,keyasint"`
	Fingerprint  fingerprint `cbor:"2,keyasint"`
	DataHash     [32]byte    `cbor:"3,keyasint"`
}

// bundle signs what was sealed and proves how, in an entry of its own.
func (s *Service) bundle(ctx context.Context, t task, in *exportIntent, k *privateKey, envelope *export.Envelope) (out exportResult, err error) {
	if out.Data, err = envelope.Data(t.Organization.String()); err != nil {
		return out, err
	}
	if out.Signature, err = bundle.Sign(s.Quorum, out.Data); err != nil {
		return out, err
	}
	document := s.Boot.Document()
	name := sha256.Sum256(document)
	out.Document, out.Manifest, out.Evidence = name[:], s.Boot.ManifestHash, [][]byte{document, s.Boot.Manifest}
	out.PublicKey, out.Quorum = s.Boot.PublicKey, s.Boot.QuorumPublic
	j := job{t.Organization, t.Fingerprint}
	s.mu.Lock()
	ticket, err := s.propose(EntryBundle, func(index uint64, timeMs int64) ([]byte, error) {
		var err error
		out.Payload, out.Proof, err = s.exportProof(j, in.target, k, out.Data, position{index, timeMs})
		return codec.Encode(bundleEntry{t.Organization, t.Fingerprint, sha256.Sum256(out.Data)}), err
	})
	s.mu.Unlock()
	if err != nil {
		return out, err
	}
	if err := s.journal.Wait(ctx, ticket); err != nil {
		return out, s.unavailable(err)
	}
	return out, nil
}

// verifyExported judges a bundle: signed by the member that brings it, for this
// organization, with the evidence that it names.
func verifyExported(o *organization, by mpc.NodeID, _ *exportIntent, _ *privateKey, r exportResult) error {
	if !isNode(hex.EncodeToString(r.Quorum), by) {
		return bad("result: is not signed by the member that brings it")
	}
	quorum, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), r.Quorum)
	if err != nil {
		return bad("result: has no quorum key")
	}
	digest := sha256.Sum256(r.Data)
	if !ecdsa.VerifyASN1(quorum, digest[:], r.Signature) {
		return bad("result: the signature of the bundle does not verify")
	}
	if !bytes.Contains(r.Data, []byte(o.id.String())) {
		return bad("result: the bundle is of another organization")
	}
	if len(r.Evidence) != 2 || len(r.Document) != sha256.Size || len(r.Manifest) != sha256.Size ||
		sha256.Sum256(r.Evidence[0]) != [32]byte(r.Document) || sha256.Sum256(r.Evidence[1]) != [32]byte(r.Manifest) {
		return bad("result: the evidence is not what the bundle names")
	}
	return nil
}
