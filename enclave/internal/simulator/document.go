package simulator

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha512"
	"fmt"

	"github.com/fxamacker/cbor/v2"
)

// protectedES384 is the protected header of a document, {1: -35}.
var protectedES384 = []byte{0xa1, 0x01, 0x38, 0x22}

// document makes one attestation document: an untagged COSE_Sign1 (RFC 9052
// section 4.2). The payload is a map of indefinite length with the members in
// the order of hardware; absent options are null; only locked registers are
// listed. It costs one signature, and a certificate chain every three hours.
func (s *Simulator) document(f *documentFields) ([]byte, error) {
	now := s.now()
	c, err := s.currentChain(now)
	if err != nil {
		return nil, err
	}
	payload := []byte{0xbf}
	for _, member := range []struct {
		name  string
		value any
	}{
		{"module_id", s.moduleID},
		{"digest", "SHA384"},
		{"timestamp", uint64(now.UnixMilli())},
		{"pcrs", s.lockedPCRs()},
		{"certificate", c.leaf},
		{"cabundle", c.bundle},
		{"public_key", f.PublicKey},
		{"user_data", f.UserData},
		{"nonce", f.Nonce},
	} {
		payload = append(payload, encode(member.name)...)
		payload = append(payload, encode(member.value)...)
	}
	return sign(append(payload, 0xff), c.key)
}

// lockedPCRs returns the registers that documents list, encoded in order.
func (s *Simulator) lockedPCRs() cbor.RawMessage {
	count, body := 0, []byte(nil)
	for i, locked := range s.locked {
		if locked {
			body = append(body, encode(i)...)
			body = append(body, encode(s.pcrs[i][:])...)
			count++
		}
	}
	// A map of count pairs: major type 5, and from 24 on a length byte.
	head := []byte{5<<5 | byte(count)}
	if count >= 24 {
		head = []byte{5<<5 | 24, byte(count)}
	}
	return append(head, body...)
}

func sign(payload []byte, key *ecdsa.PrivateKey) ([]byte, error) {
	digest := sha512.Sum384(encode([]any{"Signature1", protectedES384, []byte{}, payload}))
	r, t, err := ecdsa.Sign(rand.Reader, key, digest[:])
	if err != nil {
		return nil, fmt.Errorf("simulator: signing a document: %w", err)
	}
	// RFC 9053 section 2.1: r || s, each as long as the curve's order.
	signature := make([]byte, 96)
	r.FillBytes(signature[:48])
	t.FillBytes(signature[48:])
	return encode([]any{protectedES384, map[int]int{}, payload, signature}), nil
}
