package node

import (
	"crypto/sha256"

	"github.com/sallyport/sallyport/attestation/proof"
	"github.com/sallyport/sallyport/enclave/wire"
)

// maxProvenPath is what a proof can hold of path and query.
const maxProvenPath = 1024

// target is the path with the query, as the client sent both.
func target(req *wire.Request) string {
	if req.Query == "" {
		return req.Path
	}
	return req.Path + "?" + req.Query
}

// prove adds the reply proof that a client asked for with a nonce. It is made
// last: it covers the exact bytes of the reply and the journal that holds
// what the reply says.
func (s *Service) prove(req *wire.Request, reply *wire.Reply) (*wire.Reply, error) {
	if len(req.Nonce) == 0 {
		return reply, nil
	}
	size, head := s.journal.Head()
	header, err := s.Boot.SignReply(proof.Reply{
		QuorumPublicKey: s.Boot.QuorumPublic, Path: target(req), Status: reply.Status,
		RequestHash: sha256.Sum256(req.Body), ReplyHash: sha256.Sum256(reply.Body), Nonce: req.Nonce,
		TimeMs: s.Now().UnixMilli(), JournalSize: size, JournalHead: head, Epoch: s.Epoch,
	})
	if err != nil {
		return nil, err
	}
	reply.Proof = header
	return reply, nil
}

// checkNonce judges whether a reply to the request can be proven.
func checkNonce(req *wire.Request) error {
	if n := len(req.Nonce); n != 0 && (n < proof.MinNonce || n > proof.MaxNonce) {
		return bad("X-Sallyport-Nonce: must have %d to %d bytes", proof.MinNonce, proof.MaxNonce)
	}
	if len(req.Nonce) != 0 && len(target(req)) > maxProvenPath {
		return bad("X-Sallyport-Nonce: path and query must have at most %d bytes to be proven", maxProvenPath)
	}
	return nil
}
