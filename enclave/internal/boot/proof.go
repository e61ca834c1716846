package boot

import "github.com/sallyport/sallyport/attestation/proof"

// SignProof signs a proof payload with this boot's ephemeral key.
func (b *Boot) SignProof(payload []byte) (proof.AppProof, error) {
	return proof.Sign(b.ephemeral, b.PublicKey, payload)
}

// SignReply signs a statement about one reply.
func (b *Boot) SignReply(r proof.Reply) (header string, err error) {
	return r.Sign(b.ephemeral, b.PublicKey)
}
