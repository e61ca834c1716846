package client

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/sallyport/sallyport/attestation"
	"github.com/sallyport/sallyport/attestation/bundle"
	"github.com/sallyport/sallyport/attestation/bundle/shares"
)

// An Appliance is what a caller pins of one node that holds a share of a key.
type Appliance struct {
	Trust           attestation.Trust
	QuorumPublicKey []byte // SEC 1 uncompressed, 65 bytes
}

// Combined is a key that came as bundles of its parties' shares.
type Combined struct {
	Curve     shares.Curve
	PublicKey string // hex: 33 bytes compressed, or 32 bytes of Ed25519
	ChainCode []byte // 32 bytes
	// Secret is the private scalar, 32 bytes big endian, also of Ed25519.
	Secret Secret
	// Verified is what each bundle says, in the order of the answers.
	Verified []*bundle.Verified
}

// CombineShares opens what several nodes answered to one export with mode
// "shares", and combines the key here: no machine of the operator ever had it.
// An answer is the whole body, or the bundle in it. All of them are verified,
// each against the appliance whose quorum key it names, before any is opened for
// good; the error is a [*bundle.Error] or [*shares.Error] that names the answer,
// counted from 1, or the party.
func CombineShares(target *TargetKey, appliances []Appliance, answers ...[]byte) (*Combined, error) {
	out := &Combined{}
	var list []*shares.Share
	defer func() {
		for _, s := range list {
			s.Erase()
		}
	}()
	for i, answer := range answers {
		s, v, err := openShare(target, appliances, answer)
		if err != nil {
			return nil, fmt.Errorf("answer %d: %w", i+1, err)
		}
		list, out.Verified = append(list, s), append(out.Verified, v)
	}
	secret, err := shares.Combine(list)
	if err != nil {
		return nil, err
	}
	first := list[0]
	out.Curve, out.PublicKey, out.ChainCode = first.Curve, hex.EncodeToString(first.Public), bytes.Clone(first.ChainCode)
	out.Secret = secret
	return out, nil
}

func openShare(target *TargetKey, appliances []Appliance, answer []byte) (*shares.Share, *bundle.Verified, error) {
	text := bundleOf(answer)
	o, err := bundle.Parse(text)
	if err != nil {
		return nil, nil, err
	}
	pinned := pinnedBy(appliances, o.EnclaveQuorumPublic)
	if pinned == nil {
		return nil, nil, &bundle.Error{Reason: bundle.ReasonQuorumKey, Message: "enclaveQuorumPublic: must be one of the pinned quorum keys"}
	}
	plain, v, err := bundle.Open(text, target.private, bundle.Expect{
		Trust: pinned.Trust, QuorumPublicKey: pinned.QuorumPublicKey, OrganizationID: bundle.NodeOrganization(pinned.QuorumPublicKey),
	})
	if err != nil {
		return nil, nil, err
	}
	defer clear(plain)
	s, err := shares.Parse(plain)
	if err != nil {
		return nil, nil, &bundle.Error{Reason: bundle.ReasonKey, Message: err.Error()}
	}
	if err := ofItsNode(s, v); err != nil {
		s.Erase()
		return nil, nil, err
	}
	return s, v, nil
}

// ofItsNode compares a share with what its enclave said of it: its key, and that
// the party is one of the node that sealed it. A party's id is hex of a version, the
// node's quorum key, compressed, and 16 random bytes.
func ofItsNode(s *shares.Share, v *bundle.Verified) error {
	key := v.Statement.QuorumPublicKey
	node := hex.EncodeToString(append([]byte{1, 2 | key[64]&1}, key[1:33]...))
	switch {
	case v.Statement.PublicKey != hex.EncodeToString(s.Public):
		return &bundle.Error{Reason: bundle.ReasonKey, Message: "the sealed share must be of the key that the proof names"}
	case !strings.HasPrefix(s.Party, node):
		return &bundle.Error{Reason: bundle.ReasonKey, Message: "the sealed share must be of a party of the node that sealed it"}
	}
	return nil
}

// bundleOf finds the bundle in an answer of the node API.
func bundleOf(answer []byte) []byte {
	var body struct {
		Bundle json.RawMessage `json:"bundle"`
	}
	if json.Unmarshal(answer, &body) == nil && len(body.Bundle) > 0 {
		return body.Bundle
	}
	return answer
}

func pinnedBy(appliances []Appliance, quorumKey []byte) *Appliance {
	for i := range appliances {
		if bytes.Equal(appliances[i].QuorumPublicKey, quorumKey) {
			return &appliances[i]
		}
	}
	return nil
}
