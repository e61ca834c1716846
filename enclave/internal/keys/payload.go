package keys

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"unicode/utf8"

	"golang.org/x/crypto/sha3"
)

// The encodings and hash functions of a payload in the activity API.
const (
	EncodingHexadecimal = "PAYLOAD_ENCODING_HEXADECIMAL"
	EncodingText        = "PAYLOAD_ENCODING_TEXT_UTF8"

	HashNoOp          = "HASH_FUNCTION_NO_OP"
	HashSHA256        = "HASH_FUNCTION_SHA256"
	HashKeccak256     = "HASH_FUNCTION_KECCAK256"
	HashNotApplicable = "HASH_FUNCTION_NOT_APPLICABLE"
)

// Payload turns the payload of a signing request into what [Sign] takes: a
// digest of 32 bytes for the ECDSA curves, the message for Ed25519.
//
// A hexadecimal payload may begin with 0x and mix cases. NO_OP takes a
// payload that is a digest already, of exactly 32 bytes; KECCAK256 is the one
// of Ethereum, not SHA-3. NOT_APPLICABLE belongs to Ed25519, which hashes by
// itself, and Ed25519 takes no other. Errors name the field and the rule.
func Payload(encoding, hashFunction string, c Curve, payload string) ([]byte, error) {
	if _, err := modulus(c); err != nil {
		return nil, err
	}
	raw, err := decodePayload(encoding, payload)
	if err != nil {
		return nil, err
	}
	if (c == Ed25519) != (hashFunction == HashNotApplicable) && knownHash(hashFunction) {
		return nil, fmt.Errorf("hashFunction: %s cannot be used with %v", hashFunction, c)
	}
	switch hashFunction {
	case HashNotApplicable:
		return raw, nil
	case HashNoOp:
		if len(raw) != 32 {
			return nil, fmt.Errorf("payload: must be a digest of exactly 32 bytes with %s, not %d", HashNoOp, len(raw))
		}
		return raw, nil
	case HashSHA256:
		digest := sha256.Sum256(raw)
		return digest[:], nil
	case HashKeccak256:
		return keccak256(raw), nil
	default:
		return nil, fmt.Errorf("hashFunction: %.64q is not supported", hashFunction)
	}
}

func knownHash(name string) bool {
	switch name {
	case HashNoOp, HashSHA256, HashKeccak256, HashNotApplicable:
		return true
	}
	return false
}

func decodePayload(encoding, payload string) ([]byte, error) {
	switch encoding {
	case EncodingText:
		if !utf8.ValidString(payload) {
			return nil, fmt.Errorf("payload: must be valid UTF-8 with %s", EncodingText)
		}
		return []byte(payload), nil
	case EncodingHexadecimal:
		digits := payload
		if len(digits) >= 2 && digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X') {
			digits = digits[2:]
		}
		raw, err := hex.DecodeString(digits)
		if err != nil {
			return nil, fmt.Errorf("payload: must be an even number of hexadecimal digits with %s", EncodingHexadecimal)
		}
		return raw, nil
	case "PAYLOAD_ENCODING_EIP712", "PAYLOAD_ENCODING_EIP7702_AUTHORIZATION":
		return nil, fmt.Errorf("encoding: %s is not supported", encoding)
	default:
		return nil, fmt.Errorf("encoding: %.64q is not supported", encoding)
	}
}

func keccak256(data []byte) []byte {
	h := sha3.NewLegacyKeccak256()
	_, _ = h.Write(data)
	return h.Sum(nil)
}
