package proof

import (
	"bytes"
	"errors"

	"github.com/sallyport/sallyport/attestation/strictjson"
)

// The types of a ceremony's payloads.
const (
	TypeGenesis      = "APP_PROOF_TYPE_GENESIS"
	TypeSharing      = "APP_PROOF_TYPE_SHARING"
	TypeRootReceiver = "APP_PROOF_TYPE_ROOT_RECEIVER"
)

// OutcomeStatement says what a ceremony made: what it was asked for, and the operating
// manifest and sharing document that came of it, each by its SHA-256.
type OutcomeStatement struct {
	Type        string   // [TypeGenesis], or [TypeSharing] for new shares of a root
	TimestampMs int64    // the enclave's time, Unix milliseconds
	Asked       [32]byte // the genesis manifest, or the order
	Manifest    [32]byte
	Sharing     [32]byte
}

type outcomePayload struct {
	Type         string      `json:"type" strict:"required"`
	TimestampMs  decimal     `json:"timestampMs" strict:"required"`
	OutcomeProof outcomeBody `json:"outcomeProof" strict:"required"`
}

type outcomeBody struct {
	AskedHash    strictjson.Hex `json:"askedHash" strict:"required"`
	ManifestHash strictjson.Hex `json:"manifestHash" strict:"required"`
	SharingHash  strictjson.Hex `json:"sharingHash" strict:"required"`
}

// Encode returns the payload bytes.
func (s OutcomeStatement) Encode() ([]byte, error) {
	switch {
	case s.Type != TypeGenesis && s.Type != TypeSharing:
		return nil, errors.New("type: must be " + TypeGenesis + " or " + TypeSharing)
	case s.TimestampMs <= 0:
		return nil, errors.New("timestampMs: must be positive")
	}
	return strictjson.Marshal(outcomePayload{s.Type, decimal(s.TimestampMs), outcomeBody{s.Asked[:], s.Manifest[:], s.Sharing[:]}})
}

// ParseOutcomeStatement reads payload bytes of one type, exactly as Encode writes them.
func ParseOutcomeStatement(kind string, payload []byte) (s OutcomeStatement, err error) {
	var p outcomePayload
	if err := strictjson.Decode(payload, &p); err != nil {
		return s, err
	}
	o := p.OutcomeProof
	switch {
	case p.Type != kind:
		return s, errors.New("type: must be " + kind)
	case len(o.AskedHash) != 32 || len(o.ManifestHash) != 32 || len(o.SharingHash) != 32:
		return s, errors.New("outcomeProof: hashes must be 32 bytes")
	}
	s = OutcomeStatement{p.Type, int64(p.TimestampMs), [32]byte(o.AskedHash), [32]byte(o.ManifestHash), [32]byte(o.SharingHash)}
	return s, canonical(s.Encode, payload)
}

// RootReceiverStatement names the key that a booting enclave receives root shares
// by, and for which manifest. That key lives until the enclave has its root.
type RootReceiverStatement struct {
	TimestampMs int64
	Manifest    [32]byte // SHA-256
	PublicKey   []byte   // SEC 1 uncompressed P-256, 65 bytes
}

type receiverPayload struct {
	Type              string       `json:"type" strict:"required"`
	TimestampMs       decimal      `json:"timestampMs" strict:"required"`
	RootReceiverProof receiverBody `json:"rootReceiverProof" strict:"required"`
}

type receiverBody struct {
	ManifestHash strictjson.Hex `json:"manifestHash" strict:"required"`
	PublicKey    strictjson.Hex `json:"publicKey" strict:"required"`
}

// Encode returns the payload bytes.
func (s RootReceiverStatement) Encode() ([]byte, error) {
	if s.TimestampMs <= 0 {
		return nil, errors.New("timestampMs: must be positive")
	}
	if err := checkPoint("rootReceiverProof.publicKey", s.PublicKey); err != nil {
		return nil, err
	}
	return strictjson.Marshal(receiverPayload{TypeRootReceiver, decimal(s.TimestampMs), receiverBody{s.Manifest[:], s.PublicKey}})
}

// ParseRootReceiverStatement reads payload bytes, exactly as Encode writes them.
func ParseRootReceiverStatement(payload []byte) (s RootReceiverStatement, err error) {
	var p receiverPayload
	if err := strictjson.Decode(payload, &p); err != nil {
		return s, err
	}
	switch {
	case p.Type != TypeRootReceiver:
		return s, errors.New("type: must be " + TypeRootReceiver)
	case len(p.RootReceiverProof.ManifestHash) != 32:
		return s, errors.New("rootReceiverProof.manifestHash: must be 32 bytes")
	}
	s = RootReceiverStatement{int64(p.TimestampMs), [32]byte(p.RootReceiverProof.ManifestHash), p.RootReceiverProof.PublicKey}
	return s, canonical(s.Encode, payload)
}

// canonical wants a statement to encode again as it was read.
func canonical(encode func() ([]byte, error), payload []byte) error {
	again, err := encode()
	if err == nil && !bytes.Equal(again, payload) {
		err = errors.New("the statement must be in its canonical form")
	}
	return err
}
