package channel

import (
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"errors"

	"github.com/sallyport/sallyport/attestation"
	"github.com/sallyport/sallyport/enclave/internal/codec"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
)

// A claim is the payload of the steps 2 and 3: who the sender is.
type claim struct {
	Manifest  []byte `cbor:"1,keyasint"` // SHA-256 of the sender's
	Document  []byte `cbor:"2,keyasint"` // attestation, kind channel
	Signature []byte `cbor:"3,keyasint"` // by the quorum key, ASN.1
}

// Roles of signers: a signature of one is none of the other.
const (
	labelInitiator = "sallyport channel initiator v1\x00"
	labelResponder = "sallyport channel responder v1\x00"
)

// nonce binds a document to the handshake so far, which holds the other side's
// fresh key: it is as fresh as that.
func nonce(binding []byte) []byte {
	sum := sha256.Sum256(append([]byte("sallyport channel nonce v1\x00"), binding...))
	return sum[:]
}

// userData binds a document to the sender's identity.
func userData(node mpc.NodeID, manifest []byte) []byte {
	b := append([]byte("sallyport channel identity v1\x00"), node[:]...)
	sum := sha256.Sum256(append(b, manifest...))
	return sum[:]
}

// signed is what the quorum key signs.
func signed(label string, binding []byte, signer, other mpc.NodeID, static, manifest []byte) []byte {
	h := sha256.New()
	h.Write([]byte(label))
	for _, part := range [][]byte{binding, signer[:], other[:], static, manifest} {
		h.Write(part) // each has a fixed length
	}
	return h.Sum(nil)
}

// claim makes this side's payload.
func (c *Channels) claim(ctx context.Context, binding []byte, label string, to mpc.NodeID) ([]byte, error) {
	document, err := c.id.Attester.Attest(ctx, userData(c.self, c.id.ManifestHash[:]), nonce(binding), c.static.Public)
	if err != nil {
		return nil, err
	}
	digest := signed(label, binding, c.self, to, c.static.Public, c.id.ManifestHash[:])
	signature, err := ecdsa.SignASN1(rand.Reader, c.id.Quorum, digest)
	if err != nil {
		return nil, err
	}
	return codec.Encode(claim{Manifest: c.id.ManifestHash[:], Document: document, Signature: signature}), nil
}

// accept judges the other side's payload.
func (c *Channels) accept(payload, binding []byte, label string, from mpc.NodeID, static []byte) error {
	var m claim
	if codec.Decode(payload, &m) != nil || len(m.Manifest) != sha256.Size {
		return refused("the node %s sent no claim", from)
	}
	p := c.peers[from]
	if !ecdsa.VerifyASN1(p.public, signed(label, binding, from, c.self, static, m.Manifest), m.Signature) {
		return refused("what claims to be the node %s has not its quorum key", from)
	}
	_, err := attestation.VerifyLive(m.Document, p.trust, attestation.Expect{
		Kind: attestation.KindChannel, ManifestHash: userData(from, m.Manifest), PublicKey: static,
	}, nonce(binding), c.id.Now())
	if err != nil {
		reason := "unknown"
		if e, ok := errors.AsType[*attestation.Error](err); ok {
			reason = e.Reason
		}
		return refused("the enclave of node %s is not accepted (%s): %v", from, reason, err)
	}
	return nil
}
