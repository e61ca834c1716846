package org

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestEveryMadeEd25519KeyIsOnTheCurve(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		seed := rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "seed")
		if !onEdwards(ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey)) {
			t.Fatal("a made key is refused")
		}
	})
}

// What the standard library cannot use as a key is refused, and so is every y
// that is p or more.
func TestEncodingsThatAreNoPointAreRefused(t *testing.T) {
	on := 0
	for y := range 256 {
		pub := make([]byte, 32)
		pub[0] = byte(y)
		// The library tells a bad key by its error, before it looks at anything else.
		err := ed25519.VerifyWithOptions(pub, nil, make([]byte, 64), &ed25519.Options{})
		if bad := strings.Contains(err.Error(), "public key") || strings.Contains(err.Error(), "point"); bad && onEdwards(pub) {
			t.Errorf("y = %d is taken and no point", y)
		}
		if onEdwards(pub) {
			on++
		}
	}
	if on < 100 || on > 156 {
		t.Errorf("%d of 256 encodings are points, about half should be", on)
	}
	for last := 0xed; last <= 0xff; last++ {
		for _, top := range []byte{0x7f, 0xff} {
			pub := append([]byte{byte(last)}, append([]byte(strings.Repeat("\xff", 30)), top)...)
			if onEdwards(pub) {
				t.Errorf("%x is taken", pub)
			}
		}
	}
}

func FuzzParseStamp(f *testing.F) {
	good := `{"publicKey":"` + strings.Repeat("02", 33) + `","scheme":"SIGNATURE_SCHEME_TK_API_P256","signature":"3006020101020101"}`
	for _, s := range []string{good, strings.Replace(good, "{", `{"x":1,`, 1), "{}", "null", ""} {
		f.Add([]byte(base64.RawURLEncoding.EncodeToString([]byte(s))))
		f.Add([]byte(base64.URLEncoding.EncodeToString([]byte(s))))
	}
	f.Add([]byte("===="))
	f.Fuzz(func(t *testing.T, header []byte) {
		st, err := parseStamp(header)
		if err != nil {
			return
		}
		if st.key.hex() != st.PublicKey {
			t.Errorf("key %s is read as %s", st.PublicKey, st.key.hex())
		}
		if !strings.EqualFold(hex.EncodeToString(st.signature), st.Signature) {
			t.Error("the signature reads otherwise")
		}
		if pub, ok := st.key.parse(); ok && pub.verify([]byte("nobody signed this"), st.signature) {
			t.Error("verifies")
		}
		text := strings.TrimRight(string(header), "=")
		raw, err := base64.RawURLEncoding.DecodeString(text)
		if err != nil || base64.RawURLEncoding.EncodeToString(raw) != text {
			t.Errorf("%q is a second encoding of %q", header, raw)
		}
	})
}
