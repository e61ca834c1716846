package keys

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"strings"
	"testing"
)

var allCurves = []Curve{Secp256k1, P256, Ed25519}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func generate(t testing.TB, c Curve) (*Secret, []byte) {
	t.Helper()
	s, err := Generate(c, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public, err := PublicKey(c, s)
	if err != nil {
		t.Fatal(err)
	}
	return s, public
}

// The generators and, for scalar 2, well-known doubles; RFC 8032, section 7.1,
// tests 1 and 2; RFC 6979, section A.2.5.
func TestPublicKeysOfKnownPrivateKeys(t *testing.T) {
	for _, tt := range []struct {
		curve           Curve
		private, public string
	}{
		{Secp256k1, strings.Repeat("00", 31) + "01", "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"},
		{Secp256k1, strings.Repeat("00", 31) + "02", "02c6047f9441ed7d6d3045406e95c07cd85c778e4b8cef3ca7abac09b95c709ee5"},
		{Secp256k1, "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364140", "0379be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"},
		{P256, strings.Repeat("00", 31) + "01", "036b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"},
		{P256, "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721", "0360fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6"},
		{Ed25519, "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60", "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"},
		{Ed25519, "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb", "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"},
	} {
		got, err := PublicKey(tt.curve, NewSecret(unhex(t, tt.private)))
		if err != nil {
			t.Fatal(err)
		}
		if hex.EncodeToString(got) != tt.public {
			t.Errorf("%v %s: got %x, want %s", tt.curve, tt.private, got, tt.public)
		}
	}
}

func TestPrivateKeysOutOfRangeAreRefused(t *testing.T) {
	for _, tt := range []struct {
		name  string
		curve Curve
		raw   string
		want  string
	}{
		{"zero", Secp256k1, strings.Repeat("00", 32), "private key: must not be zero"},
		{"order", Secp256k1, "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141", "private key: must be below the group order"},
		{"above", Secp256k1, strings.Repeat("ff", 32), "private key: must be below the group order"},
		{"zero", P256, strings.Repeat("00", 32), "private key: must not be zero"},
		{"order", P256, "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551", "private key: must be below the group order"},
		{"zero", Ed25519, strings.Repeat("00", 32), "private key: must not be zero"},
		{"above prime", Ed25519, strings.Repeat("ff", 32), "private key: must be below the group order"},
		{"short", P256, "01", "private key: must be 32 bytes, not 1"},
		{"long", Ed25519, strings.Repeat("01", 33), "private key: must be 32 bytes, not 33"},
		{"erased", Secp256k1, "", "private key: must be 32 bytes, not 0"},
		{"unknown curve", Curve(9), strings.Repeat("01", 32), "keys: CURVE_UNKNOWN(9) is not supported"},
	} {
		t.Run(tt.curve.String()+"/"+tt.name, func(t *testing.T) {
			s := NewSecret(unhex(t, tt.raw))
			for name, err := range map[string]error{
				"Check":     Check(tt.curve, s.Expose()),
				"PublicKey": second(PublicKey(tt.curve, s)),
				"Sign":      second(Sign(tt.curve, s, make([]byte, 32))),
				"Split":     second(Split(tt.curve, s, 2, 3, rand.Reader)),
			} {
				if err == nil || err.Error() != tt.want {
					t.Errorf("%s: got %v, want %q", name, err, tt.want)
				}
			}
		})
	}
}

func TestGenerateRejectsAndDrawsAgain(t *testing.T) {
	good := bytes.Repeat([]byte{7}, 32)
	for _, c := range allCurves {
		source := append(bytes.Repeat([]byte{0xff}, 32), make([]byte, 32)...)
		s, err := Generate(c, bytes.NewReader(append(source, good...)))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(s.Expose(), good) {
			t.Errorf("%v: got another key than the first good one", c)
		}
	}
}

func TestGenerateGivesUpOnBrokenSources(t *testing.T) {
	for _, c := range allCurves {
		if _, err := Generate(c, bytes.NewReader(make([]byte, 31))); err == nil {
			t.Errorf("%v: a short read gave a key", c)
		}
		if _, err := Generate(c, bytes.NewReader(make([]byte, 1<<16))); err == nil {
			t.Errorf("%v: a source of zeros gave a key", c)
		}
	}
}

func TestCurveNamesGoBothWays(t *testing.T) {
	for _, c := range allCurves {
		got, err := ParseCurve(c.String())
		if err != nil || got != c {
			t.Errorf("%v: got %v, %v", c, got, err)
		}
	}
	if _, err := ParseCurve("curve_p256"); err == nil {
		t.Error("a lower-case name was accepted")
	}
}

func second[T any](_ T, err error) error { return err }
