package proof

import (
	"bytes"
	"crypto/ecdsa"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/sallyport/sallyport/attestation/strictjson"
)

// The HTTP headers that ask for a reply proof and carry it.
const (
	NonceHeader = "X-Sallyport-Nonce"
	ReplyHeader = "X-Sallyport-Proof"
)

const (
	// MinNonce is the least length of a client's nonce, in bytes: below it two
	// clients might choose the same one.
	MinNonce = 16
	// MaxNonce is the greatest one: above it there is nothing to gain.
	MaxNonce = 64

	replyLabel = "sallyport reply proof v1"

	// maxHeader bounds a header that is parsed. A proof is about 850 bytes.
	maxHeader = 2048
)

// Reply is the statement that a reply proof signs. The client knows the first
// six fields itself; the other four are the enclave's word.
type Reply struct {
	QuorumPublicKey []byte   // SEC 1 uncompressed, 65 bytes
	Path            string   // URL path without prefix or query
	Status          int      // HTTP status, 100 to 599
	RequestHash     [32]byte // SHA-256 of the exact request body
	ReplyHash       [32]byte // SHA-256 of the exact reply body
	Nonce           []byte   // the client's, MinNonce to MaxNonce bytes

	TimeMs      int64    // enclave time, Unix milliseconds
	JournalSize uint64   // durable entries when the reply was made
	JournalHead [32]byte // chain head over them
	Epoch       uint64   // the journal's epoch
}

// replyProof is the JSON inside the header.
type replyProof struct {
	PublicKey   strictjson.Hex `json:"publicKey" strict:"required"`
	TimeMs      decimal        `json:"timeMs" strict:"required"`
	JournalSize decimal        `json:"journalSize" strict:"required"`
	JournalHead strictjson.Hex `json:"journalHead" strict:"required"`
	Epoch       decimal        `json:"epoch" strict:"required"`
	Signature   strictjson.Hex `json:"signature" strict:"required"`
}

// Sign returns the value of [ReplyHeader] for r. The signing half of
// publicKey, its last 65 bytes, must be that of signing.
func (r Reply) Sign(signing *ecdsa.PrivateKey, publicKey []byte) (header string, err error) {
	if err := r.check(); err != nil {
		return "", err
	}
	if err := matches(signing, publicKey); err != nil {
		return "", err
	}
	sig, err := sign(signing, r.statement())
	if err != nil {
		return "", err
	}
	b, err := strictjson.Marshal(replyProof{
		PublicKey:   publicKey,
		TimeMs:      decimal(r.TimeMs),
		JournalSize: decimal(r.JournalSize),
		JournalHead: r.JournalHead[:],
		Epoch:       decimal(r.Epoch),
		Signature:   sig,
	})
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(b), nil
}

// VerifyReply checks the value of a [ReplyHeader] against want, in which the
// caller has set what it knows: quorum key, path, status, the hashes of both
// bodies and its nonce. It returns want with the enclave's fields filled in,
// and the ephemeral public key that signed.
//
// The caller must then see that public key in an attestation document that it
// verified: until then nothing is known about the signer.
func VerifyReply(header string, want Reply) (got Reply, publicKey []byte, err error) {
	p, err := parseReply(header)
	if err != nil {
		return Reply{}, nil, err
	}
	got = want
	got.QuorumPublicKey, got.Nonce = bytes.Clone(want.QuorumPublicKey), bytes.Clone(want.Nonce)
	got.TimeMs = int64(p.TimeMs)
	got.JournalSize = uint64(p.JournalSize)
	got.JournalHead = [32]byte(p.JournalHead)
	got.Epoch = uint64(p.Epoch)
	if err := got.check(); err != nil {
		return Reply{}, nil, err
	}
	signing, err := SigningKey(p.PublicKey)
	if err != nil {
		return Reply{}, nil, err
	}
	if err := verify(signing, got.statement(), p.Signature); err != nil {
		return Reply{}, nil, err
	}
	return got, p.PublicKey, nil
}

func parseReply(header string) (*replyProof, error) {
	if len(header) > maxHeader {
		return nil, fmt.Errorf("reply proof: must be at most %d bytes", maxHeader)
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(header)
	if err != nil || strings.ContainsAny(header, "\r\n") {
		return nil, errors.New("reply proof: must be base64url without padding")
	}
	var p replyProof
	if err := strictjson.Decode(b, &p); err != nil {
		return nil, fmt.Errorf("reply proof: %w", err)
	}
	if len(p.JournalHead) != 32 {
		return nil, errors.New("reply proof: journalHead: must be 32 bytes")
	}
	again, err := strictjson.Marshal(p)
	if err != nil || !bytes.Equal(again, b) {
		return nil, errors.New("reply proof: must be in its canonical form")
	}
	return &p, nil
}

func (r Reply) check() error {
	switch {
	case r.Path == "" || len(r.Path) > 1024:
		return errors.New("path: must be 1 to 1024 bytes")
	case r.Status < 100 || r.Status > 599:
		return errors.New("status: must be 100 to 599")
	case len(r.Nonce) < MinNonce || len(r.Nonce) > MaxNonce:
		return fmt.Errorf("nonce: must be %d to %d bytes", MinNonce, MaxNonce)
	case r.TimeMs <= 0:
		return errors.New("timeMs: must be positive")
	}
	return checkPoint("quorumPublicKey", r.QuorumPublicKey)
}

// statement returns the bytes that are signed:
//
//	label || lp(quorum key) || lp(path) || u16be(status)
//	|| SHA-256(request) || SHA-256(reply) || lp(nonce)
//	|| u64be(timeMs) || u64be(journalSize) || journalHead || u64be(epoch)
//
// with lp(x) the length of x as four bytes, big endian, and x.
func (r Reply) statement() []byte {
	b := append(make([]byte, 0, 384), replyLabel...)
	b = appendPrefixed(b, r.QuorumPublicKey)
	b = appendPrefixed(b, []byte(r.Path))
	b = binary.BigEndian.AppendUint16(b, uint16(r.Status))
	b = append(b, r.RequestHash[:]...)
	b = append(b, r.ReplyHash[:]...)
	b = appendPrefixed(b, r.Nonce)
	b = binary.BigEndian.AppendUint64(b, uint64(r.TimeMs))
	b = binary.BigEndian.AppendUint64(b, r.JournalSize)
	b = append(b, r.JournalHead[:]...)
	return binary.BigEndian.AppendUint64(b, r.Epoch)
}

func appendPrefixed(b, x []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(x)))
	return append(b, x...)
}
