package keys

import (
	"encoding/hex"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestPayloadsBecomeWhatIsSigned(t *testing.T) {
	digest := strings.Repeat("aB", 32)
	for _, tt := range []struct {
		encoding, hash, payload, want string
		curve                         Curve
	}{
		{EncodingText, HashSHA256, "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", P256},
		{EncodingText, HashKeccak256, "", "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470", Secp256k1},
		{EncodingText, HashKeccak256, "testing", "5f16f4c7f149ac4f9510d9cf8cf384038ad348b3bcdc01915f95de12df9d1b02", Secp256k1},
		{EncodingHexadecimal, HashSHA256, "616263", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", Secp256k1},
		{EncodingHexadecimal, HashSHA256, "0x616263", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", Secp256k1},
		{EncodingHexadecimal, HashSHA256, "0X616263", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", Secp256k1},
		{EncodingHexadecimal, HashNoOp, digest, strings.ToLower(digest), P256},
		{EncodingHexadecimal, HashNoOp, "0x" + digest, strings.ToLower(digest), Secp256k1},
		{EncodingText, HashNoOp, strings.Repeat("x", 32), strings.Repeat("78", 32), Secp256k1},
		{EncodingHexadecimal, HashNotApplicable, "0x00ff", "00ff", Ed25519},
		{EncodingText, HashNotApplicable, "", "", Ed25519},
		{EncodingText, HashNotApplicable, "0x00", "30783030", Ed25519},
	} {
		got, err := Payload(tt.encoding, tt.hash, tt.curve, tt.payload)
		if err != nil || hex.EncodeToString(got) != tt.want {
			t.Errorf("%s %s %q: got %x, %v, want %s", tt.encoding, tt.hash, tt.payload, got, err, tt.want)
		}
	}
}

func TestPayloadErrorsNameFieldAndRule(t *testing.T) {
	for _, tt := range []struct {
		encoding, hash, payload, want string
		curve                         Curve
	}{
		{"PAYLOAD_ENCODING_EIP712", HashNoOp, "{}", "encoding: PAYLOAD_ENCODING_EIP712 is not supported", Secp256k1},
		{"PAYLOAD_ENCODING_EIP7702_AUTHORIZATION", HashNoOp, "{}", "encoding: PAYLOAD_ENCODING_EIP7702_AUTHORIZATION is not supported", Secp256k1},
		{"", HashSHA256, "", `encoding: "" is not supported`, Secp256k1},
		{EncodingText, "", "", `hashFunction: "" is not supported`, Secp256k1},
		{EncodingText, "", "", `hashFunction: "" is not supported`, Ed25519},
		{EncodingText, "HASH_FUNCTION_SHA512", "", `hashFunction: "HASH_FUNCTION_SHA512" is not supported`, P256},
		{EncodingHexadecimal, HashSHA256, "abc", "payload: must be an even number of hexadecimal digits with PAYLOAD_ENCODING_HEXADECIMAL", P256},
		{EncodingHexadecimal, HashSHA256, "0x0x00", "payload: must be an even number of hexadecimal digits with PAYLOAD_ENCODING_HEXADECIMAL", P256},
		{EncodingHexadecimal, HashSHA256, "zz", "payload: must be an even number of hexadecimal digits with PAYLOAD_ENCODING_HEXADECIMAL", P256},
		{EncodingText, HashSHA256, "\xff", "payload: must be valid UTF-8 with PAYLOAD_ENCODING_TEXT_UTF8", P256},
		{EncodingHexadecimal, HashNoOp, strings.Repeat("00", 31), "payload: must be a digest of exactly 32 bytes with HASH_FUNCTION_NO_OP, not 31", P256},
		{EncodingHexadecimal, HashNoOp, strings.Repeat("00", 33), "payload: must be a digest of exactly 32 bytes with HASH_FUNCTION_NO_OP, not 33", Secp256k1},
		{EncodingHexadecimal, HashNoOp, strings.Repeat("00", 32), "hashFunction: HASH_FUNCTION_NO_OP cannot be used with CURVE_ED25519", Ed25519},
		{EncodingText, HashSHA256, "", "hashFunction: HASH_FUNCTION_SHA256 cannot be used with CURVE_ED25519", Ed25519},
		{EncodingText, HashKeccak256, "", "hashFunction: HASH_FUNCTION_KECCAK256 cannot be used with CURVE_ED25519", Ed25519},
		{EncodingText, HashNotApplicable, "", "hashFunction: HASH_FUNCTION_NOT_APPLICABLE cannot be used with CURVE_P256", P256},
		{EncodingText, HashNotApplicable, "", "hashFunction: HASH_FUNCTION_NOT_APPLICABLE cannot be used with CURVE_SECP256K1", Secp256k1},
		{EncodingText, HashSHA256, "", "keys: CURVE_UNKNOWN(0) is not supported", 0},
	} {
		if _, err := Payload(tt.encoding, tt.hash, tt.curve, tt.payload); err == nil || err.Error() != tt.want {
			t.Errorf("%s %s %q: got %v, want %s", tt.encoding, tt.hash, tt.payload, err, tt.want)
		}
	}
}

func FuzzPayload(f *testing.F) {
	f.Add(EncodingHexadecimal, HashNoOp, uint8(1), "0x"+strings.Repeat("ab", 32))
	f.Add(EncodingText, HashNotApplicable, uint8(3), "text")
	f.Add(EncodingHexadecimal, HashKeccak256, uint8(2), "0x0")
	f.Fuzz(func(t *testing.T, encoding, hash string, curve uint8, payload string) {
		got, err := Payload(encoding, hash, Curve(curve), payload)
		if err != nil {
			if !utf8.ValidString(err.Error()) || len(err.Error()) > 400 {
				t.Errorf("error text %q", err)
			}
			return
		}
		if Curve(curve) != Ed25519 && len(got) != 32 {
			t.Errorf("digest of %d bytes", len(got))
		}
	})
}
