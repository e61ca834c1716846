package sharing_test

import (
	"bytes"
	"crypto/ecdh"
	"crypto/hpke"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/attestation/sharing"
)

var appliance = bytes.Repeat([]byte{7}, 16)

func newKey(t testing.TB) *ecdh.PrivateKey {
	t.Helper()
	k, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// sealed is a share, sealed with the standard library as an enclave seals with another.
func sealed(t testing.TB, holder *ecdh.PublicKey, share []byte) sharing.Share {
	t.Helper()
	public, err := hpke.NewDHKEMPublicKey(holder)
	if err != nil {
		t.Fatal(err)
	}
	info, aad := sharing.HolderContext(appliance, 3, holder.Bytes())
	enc, sender, err := hpke.NewSender(public, hpke.HKDFSHA256(), hpke.AES256GCM(), info)
	if err != nil {
		t.Fatal(err)
	}
	ciphertext, err := sender.Seal(aad, share)
	if err != nil {
		t.Fatal(err)
	}
	return sharing.Share{Holder: holder.Bytes(), Hash: sharing.Hash(appliance, 3, holder.Bytes(), share), Sealed: append(enc, ciphertext...)}
}

func document(t testing.TB, holders ...*ecdh.PrivateKey) *sharing.Document {
	d := &sharing.Document{
		Appliance: appliance, Set: 3, RootCheck: make([]byte, 32), Threshold: 1,
		KMS: &sharing.KMSHalf{Ciphertext: make([]byte, 256), Hash: make([]byte, 32)},
	}
	for i, h := range holders {
		d.Shares = append(d.Shares, sealed(t, h.PublicKey(), bytes.Repeat([]byte{byte(i + 1)}, sharing.ShareSize)))
	}
	return d
}

func TestHoldersOpenTheirOwnShare(t *testing.T) {
	a, b := newKey(t), newKey(t)
	d := document(t, a, b)
	text, err := d.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if d, err = sharing.Parse(text); err != nil {
		t.Fatal(err)
	}
	for i, k := range []*ecdh.PrivateKey{a, b} {
		if got, err := d.Open(k); err != nil || got[0] != byte(i+1) {
			t.Errorf("holder %d: %v", i, err)
		}
	}
	if _, err := d.Open(newKey(t)); err == nil || !strings.Contains(err.Error(), "no share") {
		t.Errorf("a stranger: %v", err)
	}
	for name, spoil := range map[string]func(s *sharing.Document){
		"the ciphertext": func(d *sharing.Document) { d.Shares[0].Sealed[80] ^= 1 },
		"the hash":       func(d *sharing.Document) { d.Shares[0].Hash[0] ^= 1 },
		"the set":        func(d *sharing.Document) { d.Set++ },
		"the appliance":  func(d *sharing.Document) { d.Appliance = make([]byte, 16) },
		"another's":      func(d *sharing.Document) { d.Shares[0].Sealed = d.Shares[1].Sealed },
	} {
		d := document(t, a, b)
		spoil(d)
		if _, err := d.Open(a); err == nil {
			t.Errorf("%s changed: opened", name)
		}
	}
}

func TestDocumentsAreReadStrictly(t *testing.T) {
	a := newKey(t)
	good, err := document(t, a).Encode()
	if err != nil {
		t.Fatal(err)
	}
	change := func(old, by string) string { return strings.Replace(string(good), old, by, 1) }
	for name, text := range map[string]string{
		"nothing": "", "white space": change(",", ", "), "a member more": change("{", `{"x":1,`), "format": change("v1", "v2"),
		"set 0": change(`"set":3`, `"set":0`), "threshold 2": change(`"threshold":1`, `"threshold":2`), "threshold 0": change(`"threshold":1`, `"threshold":0`),
		"no point": change(`"holder":"04`, `"holder":"05`), "a short check": change(`"rootCheck":"00`, `"rootCheck":"`), "capitals": change("sealed", "Sealed"),
		"too long": string(good) + strings.Repeat(" ", 40<<10), "kms without hash": change(`,"hash":"`+strings.Repeat("0", 64), `,"hash":"`),
	} {
		if _, err := sharing.Parse([]byte(text)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	twice := document(t, a, a)
	if _, err := twice.Encode(); err == nil {
		t.Error("a holder twice: encoded")
	}
	empty := &sharing.Document{Appliance: appliance, Set: 1, RootCheck: make([]byte, 32)}
	if _, err := empty.Encode(); err == nil {
		t.Error("nobody: encoded")
	}
}

// TestHashesHaveTheseBytes holds what documents commit to: changing it makes every
// document that is out there useless.
func TestHashesHaveTheseBytes(t *testing.T) {
	set := []byte{0, 0, 0, 0, 0, 0, 0, 3}
	holder, secret := bytes.Repeat([]byte{4}, 65), bytes.Repeat([]byte{9}, 33)
	sum := func(parts ...[]byte) string {
		h := sha256.Sum256(bytes.Join(parts, nil))
		return hex.EncodeToString(h[:])
	}
	for name, c := range map[string]struct {
		got  []byte
		want string
	}{
		"share": {sharing.Hash(appliance, 3, holder, secret), sum([]byte("sallyport root share v1\x00"), appliance, set, holder, secret)},
		"root":  {sharing.RootCheck(appliance, 3, secret), sum([]byte("sallyport root check v1\x00"), appliance, set, secret)},
		"kms":   {sharing.KMSHash(appliance, 3, secret), sum([]byte("sallyport kms half v1\x00"), appliance, set, secret)},
	} {
		if hex.EncodeToString(c.got) != c.want {
			t.Errorf("%s: %x", name, c.got)
		}
	}
}

func FuzzParse(f *testing.F) {
	good, err := document(f, newKey(f), newKey(f)).Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"format":"sallyport-sharing-v1"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := sharing.Parse(b)
		if err != nil {
			return
		}
		if again, err := d.Encode(); err != nil || !bytes.Equal(again, b) {
			t.Errorf("it encodes otherwise: %v", err)
		}
	})
}
