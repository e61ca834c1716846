package main

import (
	"bytes"
	"crypto/ecdh"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"math/big"
	"strings"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"

	"github.com/sallyport/sallyport/attestation/bundle"
)

// targetRows are block F: what a key shall be sealed to.
var targetRows = []row{
	{id: "F1", what: "target the identity, zero, with zero coordinates", run: targets(func(string) []string {
		return []string{"00", strings.Repeat("00", 65), "04" + strings.Repeat("00", 64), strings.Repeat("00", 33)}
	}, "identity")},
	{id: "F1b", what: "target off the curve", run: targets(func(good string) []string {
		raw, _ := hex.DecodeString(good)
		return []string{hex.EncodeToString(flipped(raw, 64)), hex.EncodeToString(flipped(raw, 1)), "04" + strings.Repeat("01", 64)}
	}, "not on the curve")},
	{id: "F1c", what: "target with a coordinate of p and more", run: targets(bigCoordinates, "not on the curve")},
	{id: "F1d", what: "target hybrid: 06 and 07", run: targets(func(good string) []string {
		return []string{"06" + good[2:], "07" + good[2:]}
	}, "hybrid")},
	{id: "F1e", what: "target on secp256k1", run: targets(secpPoint, "secp256k1")},
	{id: "F1f", what: "target of 0, 1, 64, 66, 129 and 1,000 bytes", run: targets(func(good string) []string {
		return []string{"", "04", good[:128], good + "00", good + good[2:], strings.Repeat("04", 1000), good[:129]}
	}, "")},
	{id: "F1g", what: "target that looks like a private key", run: targets(func(string) []string {
		return []string{strings.Repeat("ab", 32)}
	}, "private key")},
	{id: "F1h", what: "target with 0x, with spaces, not hex, null", run: targets(func(good string) []string {
		return []string{"0x" + good, " " + good, good[:128] + "zz", strings.Repeat("z", 130), good[:64] + "\x00" + good[65:]}
	}, "")},
	{id: "F2", what: "X25519 keys, low order among them", run: targets(func(string) []string {
		return []string{strings.Repeat("00", 32), "01" + strings.Repeat("00", 31), "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800", strings.Repeat("ff", 32)}
	}, "")},
	{id: "F3", what: "compressed target: the same point, and the bundle names its 65 bytes", run: compressedTarget, writes: true},
	{id: "F5", what: "target swapped by the host behind the stamp", run: swappedTarget},
	{id: "F6", what: "members that would choose another suite or form", run: suites},
	{id: "F8", what: "30 exports of one key to as many targets: each is its own entry", run: manyExports, writes: true},
	{id: "F9", what: "export of a key that does not exist, of another organization", run: otherKeys},
}

// targets is a row of target keys that are refused before anything is recorded.
func targets(make func(good string) []string, word string) func(*world) (string, error) {
	return func(w *world) (string, error) {
		good, err := ecdh.P256().GenerateKey(rand.Reader)
		if err != nil {
			return "", err
		}
		return each(make(hex.EncodeToString(good.PublicKey().Bytes())), func(target string) (string, error) {
			body := w.main.body(typeExport, object{"privateKeyId": w.main.keyID, "targetPublicKey": target})
			words := []string{word}
			if !strings.Contains(target, "\x00") { // refused as JSON already
				words = append(words, "targetPublicKey")
			}
			seen, err := w.main.stamped(invalid, exportPath, body, words...)
			if err == nil && len(target) > 8 && strings.Contains(seen, target) {
				err = fmt.Errorf("the refusal repeats what was sent: %s", seen)
			}
			return seen, err
		})
	}
}

func bigCoordinates(good string) []string {
	raw, _ := hex.DecodeString(good)
	p := elliptic.P256().Params().P
	plus := func(from int) string {
		b := bytes.Clone(raw)
		// Small x and y exist of which x + p fits in 32 bytes; for this
		// point the sum is cut, which is off the curve as well.
		v := new(big.Int).SetBytes(b[from : from+32])
		v.Add(v, p)
		v.And(v, new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 256), big.NewInt(1)))
		v.FillBytes(b[from : from+32])
		return hex.EncodeToString(b)
	}
	px := append(append([]byte{4}, p.Bytes()...), raw[33:]...)
	// x = 5 + p is the same field element as x = 5, which is on the curve.
	x := new(big.Int).Add(p, big.NewInt(5))
	_, y := elliptic.UnmarshalCompressed(elliptic.P256(), append([]byte{2}, big.NewInt(5).FillBytes(make([]byte, 32))...))
	if y == nil {
		y = big.NewInt(1)
	}
	five := append(append([]byte{4}, x.Bytes()...), y.FillBytes(make([]byte, 32))...)
	return []string{plus(1), plus(33), hex.EncodeToString(px), hex.EncodeToString(five)}
}

func secpPoint(string) []string {
	k, err := secp256k1.GeneratePrivateKey()
	if err != nil {
		panic("internal error: " + err.Error())
	}
	return []string{hex.EncodeToString(k.PubKey().SerializeUncompressed())}
}

func compressedTarget(w *world) (string, error) {
	target, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		return "", err
	}
	raw := target.PublicKey().Bytes()
	var out struct{ ExportBundle string }
	err = w.main.done("export_private_key", typeExport, object{
		"privateKeyId": w.main.keyID, "targetPublicKey": hex.EncodeToString(append([]byte{2 | raw[64]&1}, raw[1:33]...)),
	}, "exportPrivateKeyResult", &out)
	if err != nil {
		return "", err
	}
	trust, err := w.trust()
	if err != nil {
		return "", err
	}
	_, v, err := bundle.Open([]byte(out.ExportBundle), target, bundle.Expect{Trust: trust, QuorumPublicKey: w.quorum, OrganizationID: w.main.org})
	if err != nil {
		return "", err
	}
	if !bytes.Equal(v.Statement.TargetPublicKey, raw) {
		return "", fmt.Errorf("the bundle names %x", v.Statement.TargetPublicKey)
	}
	return "opened, with the 65 bytes in its statement", nil
}

func swappedTarget(w *world) (string, error) {
	mine, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		return "", err
	}
	thief, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		return "", err
	}
	good := hex.EncodeToString(mine.PublicKey().Bytes())
	body := w.main.body(typeExport, object{"privateKeyId": w.main.keyID, "targetPublicKey": good})
	r, err := w.withStamp(exportPath, replaced(body, good, hex.EncodeToString(thief.PublicKey().Bytes())), mustStamp(body, w.main.key()))
	return unauthorized.judge(r, err, "could not verify")
}

func suites(w *world) (string, error) {
	good, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		return "", err
	}
	return each([]string{"suite", "kem", "aead", "mode", "info", "targetPublicKeys", "psk", "language"}, func(member string) (string, error) {
		body := w.main.body(typeExport, object{
			"privateKeyId": w.main.keyID, "targetPublicKey": hex.EncodeToString(good.PublicKey().Bytes()), member: "x",
		})
		return w.main.stamped(invalid, exportPath, body, "not a known member")
	})
}

func manyExports(w *world) (string, error) {
	const n = 30
	before, err := w.journalSize()
	if err != nil {
		return "", err
	}
	for range n {
		if _, err := w.main.export(); err != nil {
			return "", err
		}
	}
	after, err := w.journalSize()
	if err != nil {
		return "", err
	}
	if after-before != n {
		return "", fmt.Errorf("%d exports left %d entries", n, after-before)
	}
	return fmt.Sprintf("%d exports, %d entries", n, after-before), nil
}

func otherKeys(w *world) (string, error) {
	good, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		return "", err
	}
	target := hex.EncodeToString(good.PublicKey().Bytes())
	if _, err := w.main.stamped(invalid, exportPath, w.main.body(typeExport, object{"privateKeyId": "not-an-id", "targetPublicKey": target})); err != nil {
		return "", err
	}
	return each([]string{w.other.keyID, w.main.org, "00000000-0000-0000-0000-000000000000"}, func(id string) (string, error) {
		return w.main.stamped(notFound, exportPath, w.main.body(typeExport, object{"privateKeyId": id, "targetPublicKey": target}))
	})
}
