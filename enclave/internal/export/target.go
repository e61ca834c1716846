package export

import (
	"bytes"
	"crypto/ecdh"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"filippo.io/nistec"
	"github.com/decred/dcrd/dcrec/secp256k1/v4"
)

// ParseTarget reads the targetPublicKey of an export request: the
// recipient's P-256 public key as 130 hexadecimal digits, uncompressed (SEC 1,
// section 2.3.3), or as 66, compressed. It returns the 65-byte form, which is
// what a bundle is bound to whichever form was sent.
//
// Errors name the field and the rule, never the digits: what was sent by
// mistake may be a private key.
func ParseTarget(digits string) ([]byte, error) {
	if err := checkDigits(digits); err != nil {
		return nil, fmt.Errorf("targetPublicKey: %w", err)
	}
	raw, err := hex.DecodeString(digits)
	if err != nil {
		return nil, errors.New("targetPublicKey: must be 130 hexadecimal digits")
	}
	if len(raw) == 33 {
		raw, err = decompress(raw)
	} else {
		err = judge(raw)
	}
	if err != nil {
		return nil, fmt.Errorf("targetPublicKey: %w", err)
	}
	return raw, nil
}

func checkDigits(digits string) error {
	if strings.HasPrefix(digits, "0x") || strings.HasPrefix(digits, "0X") {
		return errors.New("must be 130 hexadecimal digits without a prefix 0x")
	}
	for _, c := range []byte(digits) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') && (c < 'A' || c > 'F') {
			return errors.New("must be 130 hexadecimal digits")
		}
	}
	switch len(digits) {
	case 130, 66:
		return nil
	case 0:
		return errors.New("must not be empty")
	case 2:
		if digits == "00" {
			return errIdentity
		}
	case 64:
		return errors.New("looks like a private key (32 bytes): send the public key, " +
			"and make a new key pair because this private key has been disclosed")
	case 128:
		return errors.New("must be 130 hexadecimal digits, not 128: the first byte, 04, is missing")
	}
	return fmt.Errorf("must be 130 hexadecimal digits, not %d", len(digits))
}

var errIdentity = errors.New("is the identity (the point at infinity), to which nothing can be sealed")

// judge says what is wrong with 65 bytes, or nil.
func judge(raw []byte) error {
	if allZero(raw) || raw[0] == 4 && allZero(raw[1:]) {
		return errIdentity
	}
	switch raw[0] {
	case 4:
	case 6, 7:
		return errors.New("must be an uncompressed point, which begins with 04: hybrid points (06, 07) are not accepted")
	default:
		return errors.New("must be an uncompressed point, which begins with 04")
	}
	if _, err := ecdh.P256().NewPublicKey(raw); err == nil {
		return nil
	}
	if _, err := secp256k1.ParsePubKey(raw); err == nil {
		return errors.New("is on the curve secp256k1: it must be on P-256")
	}
	return errors.New("is not on the curve P-256")
}

// decompress reads 33 bytes. Whether such a point was meant for another curve
// cannot be told in general: half of all x coordinates lie on each curve.
func decompress(raw []byte) ([]byte, error) {
	if allZero(raw) {
		return nil, errIdentity
	}
	if raw[0] != 2 && raw[0] != 3 {
		return nil, errors.New("must be a compressed point, which begins with 02 or 03, if it has 66 digits")
	}
	p, err := nistec.NewP256Point().SetBytes(raw)
	if err != nil {
		if _, err := secp256k1.ParsePubKey(raw); err == nil {
			return nil, errors.New("is not on the curve P-256, perhaps on secp256k1: it must be on P-256")
		}
		return nil, errors.New("is not on the curve P-256")
	}
	return p.Bytes(), nil
}

func allZero(b []byte) bool { return len(bytes.Trim(b, "\x00")) == 0 }
