package codec

import (
	"encoding/hex"
	"testing"
)

type pair struct {
	A uint64 `cbor:"1,keyasint"`
	B []byte `cbor:"2,keyasint"`
}

func TestEncodingIsFixed(t *testing.T) {
	// map(2), 1: 500, 2: bytes(2) 0102
	if got := hex.EncodeToString(Encode(pair{500, []byte{1, 2}})); got != "a2011901f402420102" {
		t.Errorf("got %s", got)
	}
}

func TestDecodingIsStrict(t *testing.T) {
	for name, text := range map[string]string{
		"unknown key":       "a301190001024102034103",
		"repeated key":      "a201010102",
		"indefinite length": "bf0101ff",
		"tag":               "c1a10101",
		"trailing bytes":    "a1010100",
		"truncated":         "a10119",
	} {
		b, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		var p pair
		if err := Decode(b, &p); err == nil {
			t.Errorf("%s was read as %+v", name, p)
		}
	}
}
