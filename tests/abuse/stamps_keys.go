package main

import (
	"bytes"
	"crypto/elliptic"
	"encoding/hex"
	"strings"

	"filippo.io/nistec"

	"github.com/sallyport/sallyport/host/client"
)

// stampKeyRows are forms of a public key that must not be taken, in stamps and
// when keys are registered.
var stampKeyRows = []row{
	{id: "C4", what: "public key uncompressed, hybrid, in capitals, x of p, off the curve, the identity", run: keyForms},
	{id: "C4b", what: "the same forms registered as API keys", run: registerForms},
	{id: "C4c", what: "Ed25519 key of small order registered", run: smallOrder},
}

// otherForms are encodings of a P-256 key, or of none, that must not be taken.
func otherForms(compressed string) []string {
	raw, _ := hex.DecodeString(compressed)
	point, err := nistec.NewP256Point().SetBytes(raw)
	if err != nil {
		panic(err.Error())
	}
	whole := point.Bytes()
	hybrid := bytes.Clone(whole)
	hybrid[0] = 6 | whole[64]&1
	p := elliptic.P256().Params().P
	off := bytes.Clone(raw)
	for { // the next x that is on no point
		off[32]++
		if x, _ := elliptic.UnmarshalCompressed(elliptic.P256(), off); x == nil {
			break
		}
	}
	return []string{
		hex.EncodeToString(whole), hex.EncodeToString(hybrid), strings.ToUpper(compressed), "0x" + compressed,
		"02" + hex.EncodeToString(p.Bytes()), hex.EncodeToString(off), "00", strings.Repeat("00", 33), "05" + compressed[2:],
		compressed[:64], compressed + "00", "", compressed + " ",
	}
}

func keyForms(w *world) (string, error) {
	return each(otherForms(w.main.key().PublicHex()), func(form string) (string, error) {
		return w.altered(func(s *rawStamp) { s.PublicKey = form })
	})
}

func registerForms(w *world) (string, error) {
	k, err := client.NewAPIKey()
	if err != nil {
		return "", err
	}
	return each(otherForms(k.PublicHex()), func(form string) (string, error) {
		return w.main.stamped(invalid, keysPath, w.main.body(typeKeys, w.main.register(client.CurveP256, form, "")), "publicKey")
	})
}

func smallOrder(w *world) (string, error) {
	return each([]string{
		strings.Repeat("00", 32), "01" + strings.Repeat("00", 31), "01" + strings.Repeat("00", 30) + "80",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
		"ec" + strings.Repeat("ff", 30) + "7f", "ed" + strings.Repeat("ff", 30) + "7f", "ee" + strings.Repeat("ff", 30) + "7f",
	}, func(point string) (string, error) {
		return w.main.stamped(invalid, keysPath, w.main.body(typeKeys, w.main.register("API_KEY_CURVE_ED25519", point, "")), "not a key of its curve")
	})
}
