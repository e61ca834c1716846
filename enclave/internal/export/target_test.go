package export

import (
	"bytes"
	"crypto/ecdh"
	"encoding/hex"
	"strings"
	"testing"
)

// The generators of P-256 and secp256k1, SEC 2, sections 2.4.2 and 2.4.1.
const (
	p256X = "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
	p256Y = "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"
	secpX = "79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"
	secpY = "483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8"
)

func TestTargetsInEveryFormAreOnePoint(t *testing.T) {
	want, _ := hex.DecodeString("04" + p256X + p256Y)
	for _, digits := range []string{
		"04" + p256X + p256Y,
		strings.ToUpper("04" + p256X + p256Y),
		"03" + p256X,
		"03" + strings.ToUpper(p256X),
	} {
		got, err := ParseTarget(digits)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: got %x, %v", digits, got, err)
		}
	}
	got, err := ParseTarget("02" + p256X)
	if err != nil || bytes.Equal(got, want) || !bytes.Equal(got[:33], want[:33]) {
		t.Errorf("the other y: got %x, %v", got, err)
	}
}

func TestUnusableTargetsAreRefusedByRule(t *testing.T) {
	zero, ones := strings.Repeat("00", 32), strings.Repeat("ff", 32)
	const prime = "ffffffff00000001000000000000000000000000ffffffffffffffffffffffff"
	for _, tt := range []struct{ name, digits, want string }{
		{"empty", "", "must not be empty"},
		{"prefix", "0x04" + p256X + p256Y, "must be 130 hexadecimal digits without a prefix 0x"},
		{"upper prefix", "0X04" + p256X + p256Y, "must be 130 hexadecimal digits without a prefix 0x"},
		{"prefixed private key", "0x" + p256X, "must be 130 hexadecimal digits without a prefix 0x"},
		{"private key", p256X, "looks like a private key (32 bytes): send the public key, and make a new key pair because this private key has been disclosed"},
		{"no first byte", p256X + p256Y, "must be 130 hexadecimal digits, not 128: the first byte, 04, is missing"},
		{"66 bytes", "04" + p256X + p256Y + "00", "must be 130 hexadecimal digits, not 132"},
		{"odd", "04" + p256X + p256Y[1:], "must be 130 hexadecimal digits, not 129"},
		{"der", "3059301306072a8648ce3d020106082a8648ce3d030107034200" + "04" + p256X + p256Y, "must be 130 hexadecimal digits, not 182"},
		{"no digits", strings.Repeat("g", 130), "must be 130 hexadecimal digits"},
		{"space", " 4" + p256X + p256Y, "must be 130 hexadecimal digits"},
		{"newline", "04" + p256X + p256Y[:62] + "\n\n", "must be 130 hexadecimal digits"},
		{"multibyte", strings.Repeat("é", 65), "must be 130 hexadecimal digits"},
		{"identity", "00", errIdentity.Error()},
		{"identity, 33 bytes", "00" + zero, errIdentity.Error()},
		{"identity, 65 bytes", "00" + zero + zero, errIdentity.Error()},
		{"zero coordinates", "04" + zero + zero, errIdentity.Error()},
		{"hybrid even", "06" + p256X + p256Y, "must be an uncompressed point, which begins with 04: hybrid points (06, 07) are not accepted"},
		{"hybrid odd", "07" + p256X + p256Y, "must be an uncompressed point, which begins with 04: hybrid points (06, 07) are not accepted"},
		{"first byte", "05" + p256X + p256Y, "must be an uncompressed point, which begins with 04"},
		{"compressed tag on 65 bytes", "03" + p256X + p256Y, "must be an uncompressed point, which begins with 04"},
		{"uncompressed tag on 33 bytes", "04" + p256X, "must be a compressed point, which begins with 02 or 03, if it has 66 digits"},
		{"private key of 33 bytes", "00" + p256X, "must be a compressed point, which begins with 02 or 03, if it has 66 digits"},
		{"off the curve", "04" + p256X + p256X, "is not on the curve P-256"},
		{"coordinates above the prime", "04" + ones + ones, "is not on the curve P-256"},
		{"x equal to the prime", "04" + prime + p256Y, "is not on the curve P-256"},
		{"x not below the prime, compressed", "03" + ones, "is not on the curve P-256"},
		{"secp256k1", "04" + secpX + secpY, "is on the curve secp256k1: it must be on P-256"},
		{"secp256k1, compressed", "02" + secpX, "is not on the curve P-256, perhaps on secp256k1: it must be on P-256"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseTarget(tt.digits)
			if got != nil || err == nil || err.Error() != "targetPublicKey: "+tt.want {
				t.Errorf("got %x, %v, want %s", got, err, tt.want)
			}
		})
	}
}

func FuzzParseTarget(f *testing.F) {
	f.Add("04" + p256X + p256Y)
	f.Add("03" + p256X)
	f.Add("02" + secpX)
	f.Add("00")
	f.Fuzz(func(t *testing.T, digits string) {
		got, err := ParseTarget(digits)
		if err != nil {
			if got != nil {
				t.Error("a result beside an error")
			}
			if len(digits) >= 16 && strings.Contains(err.Error(), digits) {
				t.Error("the error repeats the digits")
			}
			return
		}
		if _, err := ecdh.P256().NewPublicKey(got); err != nil {
			t.Errorf("accepted %q: %v", digits, err)
		}
		if again, err := ParseTarget(hex.EncodeToString(got)); err != nil || !bytes.Equal(again, got) {
			t.Errorf("%x is not stable: %x, %v", got, again, err)
		}
	})
}
