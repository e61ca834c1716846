package pkcs11

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/hex"
	"math/big"
	"testing"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
)

func pointOf(t *testing.T, c Curve) []byte {
	t.Helper()
	switch c {
	case Ed25519:
		public, _, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return public
	case Secp256k1:
		key, err := secp256k1.GeneratePrivateKey()
		if err != nil {
			t.Fatal(err)
		}
		return key.PubKey().SerializeUncompressed()
	}
	named := map[Curve]elliptic.Curve{P256: elliptic.P256(), P384: elliptic.P384()}[c]
	key, err := ecdsa.GenerateKey(named, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return point
}

func TestPointsAreReadRawOrInDER(t *testing.T) {
	for _, c := range Curves {
		point := pointOf(t, c)
		der := append([]byte{4, byte(len(point))}, point...)
		for _, form := range [][]byte{point, der} {
			if got, err := curves[c].readPoint(form); err != nil || !bytes.Equal(got, point) {
				t.Errorf("%s: %x: %x, %v", c, form, got, err)
			}
		}
		off := bytes.Clone(point)
		off[len(off)-1] ^= 1 // on Ed25519 every second value is a point
		bits := append([]byte{3, byte(len(point)) + 1, 0}, point...)
		for name, bad := range map[string][]byte{
			"empty": nil, "BIT STRING": bits, "trailing": append(bytes.Clone(der), 0), "long form": append([]byte{4, 0x81, byte(len(point))}, point...),
			"short": point[:len(point)-1], "zeros": make([]byte, len(point)), "off": off, "compressed": append([]byte{2}, point[1:1+(len(point)-1)/2]...),
		} {
			if name == "off" && c == Ed25519 {
				continue
			}
			if got, err := curves[c].readPoint(bad); err == nil {
				t.Errorf("%s: %s: accepted as %x", c, name, got)
			}
		}
	}
}

func TestPointsWithoutSecurityAreRefused(t *testing.T) {
	for _, digits := range []string{
		"0100000000000000000000000000000000000000000000000000000000000000", // the identity
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // order 2
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05", // order 8
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // the identity, not canonical
	} {
		point, err := hex.DecodeString(digits)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := curves[Ed25519].readPoint(point); err == nil {
			t.Errorf("%s is accepted", digits)
		}
	}
	hybrid := pointOf(t, Secp256k1)
	hybrid[0] = 6 | hybrid[64]&1
	if _, err := curves[Secp256k1].readPoint(hybrid); err == nil {
		t.Error("a hybrid point is accepted")
	}
}

func TestSignaturesGetTheLowerS(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point, _ := key.PublicKey.Bytes()
	digest, c := make([]byte, 32), curves[P256]
	r, s, err := ecdsa.Sign(rand.Reader, key, digest)
	if err != nil {
		t.Fatal(err)
	}
	var forms [][]byte
	for _, form := range []*big.Int{s, new(big.Int).Sub(c.order, s)} {
		signature := make([]byte, 64)
		r.FillBytes(signature[:32])
		form.FillBytes(signature[32:])
		got, err := c.finish(point, digest, signature)
		if err != nil {
			t.Fatal(err)
		}
		forms = append(forms, got)
	}
	if !bytes.Equal(forms[0], forms[1]) || new(big.Int).SetBytes(forms[0][32:]).Cmp(new(big.Int).Rsh(c.order, 1)) > 0 {
		t.Errorf("%x", forms)
	}
	for name, bad := range map[string][]byte{
		"empty": nil, "zeros": make([]byte, 64), "short": forms[0][:63], "s too large": append(bytes.Clone(forms[0][:32]), bytes.Repeat([]byte{0xff}, 32)...),
	} {
		if _, err := c.finish(point, digest, bad); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func FuzzReadPoint(f *testing.F) {
	f.Add([]byte{4, 1, 4})
	f.Add(append([]byte{4, 65, 4}, make([]byte, 64)...))
	f.Add(append([]byte{4, 32, 1}, make([]byte, 31)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, c := range Curves {
			point, err := curves[c].readPoint(b)
			if err == nil && (len(point) != curves[c].point || !bytes.HasSuffix(b, point)) {
				t.Errorf("%s: %x is read from %x", c, point, b)
			}
		}
	})
}
