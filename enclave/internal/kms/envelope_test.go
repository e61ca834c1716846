package kms

import (
	"bytes"
	"crypto/rand"
	"crypto/sha1" // a hash that must be refused
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestAnswerOpens(t *testing.T) {
	key := testKey(t)
	for name, vary := range map[string]func(*answer){
		"as KMS":              func(*answer) {},
		"content at once":     func(a *answer) { a.content = tlv(0x80)(contentOf(a)) },
		"content in DER":      func(a *answer) { a.content = tlv(0xa0)(octets(contentOf(a))) },
		"content in parts":    func(a *answer) { c := contentOf(a); a.content = openTLV(0xa0)(octets(c[:16]), octets(c[16:])) },
		"hashes without NULL": func(a *answer) { a.algorithm = oaepID(tlv(0xa0)(bareID()), mgf1ID(bareID())) },
		"another key id":      func(a *answer) { a.keyID = tlv(0x80)(make([]byte, 20)) },
		"all lengths defined": func(a *answer) {
			a.outer, a.wrapper, a.data, a.encryptedInfo = tlv(0x30), tlv(0xa0), tlv(0x30), tlv(0x30)
		},
		"all lengths open": func(a *answer) { a.set, a.recipient = openTLV(0x31), openTLV(0x30) },
	} {
		a := newAnswer(t, &key.PublicKey, padded(testSecret))
		vary(a)
		if got, err := open(key, a.bytes()); err != nil || !bytes.Equal(got, testSecret) {
			t.Errorf("%s: got %x, %v", name, got, err)
		}
	}
}

// contentOf takes the ciphertext out of the KMS form.
func contentOf(a *answer) []byte { return bytes.Clone(a.content[4 : len(a.content)-2]) }

// TestHostileAnswersAreOneError spoils each piece of an answer.
func TestHostileAnswersAreOneError(t *testing.T) {
	key, other := testKey(t), newKey(t)
	for name, spoil := range map[string]func(*answer){
		"content type":             func(a *answer) { a.contentType = oid(0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 2) },
		"version":                  func(a *answer) { a.version = []byte{2, 1, 0} },
		"version in two bytes":     func(a *answer) { a.version = []byte{2, 2, 0, 2} },
		"recipient version":        func(a *answer) { a.recipientVersion = []byte{2, 1, 0} },
		"issuer and serial number": func(a *answer) { a.keyID = tlv(0x30)(tlv(0x30)(), []byte{2, 1, 1}) },
		"no key id":                func(a *answer) { a.keyID = nil },
		"empty key id":             func(a *answer) { a.keyID = tlv(0x80)() },
		"long key id":              func(a *answer) { a.keyID = tlv(0x80)(make([]byte, 65)) },
		"two recipients": func(a *answer) {
			r := a.recipient
			a.recipient = func(p ...[]byte) []byte { return slices.Concat(r(p...), r(p...)) }
		},
		"no recipient":                func(a *answer) { a.recipient = func(...[]byte) []byte { return nil } },
		"recipient of another kind":   func(a *answer) { a.recipient = tlv(0xa1) },
		"originator":                  func(a *answer) { a.before = tlv(0xa0)() },
		"attributes":                  func(a *answer) { a.after = tlv(0xa1)() },
		"RSA with PKCS #1 v1.5":       func(a *answer) { a.algorithm = tlv(0x30)(oid(0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1), null()) },
		"OAEP with defaults (SHA-1)":  func(a *answer) { a.algorithm = oaepID() },
		"OAEP that says SHA-1":        func(a *answer) { a.algorithm = oaepID(tlv(0xa0)(sha1ID()), mgf1ID(sha1ID())) },
		"OAEP with MGF1 of SHA-1":     func(a *answer) { a.algorithm = oaepID(tlv(0xa0)(sha256ID()), mgf1ID(sha1ID())) },
		"OAEP that is half with NULL": func(a *answer) { a.algorithm = oaepID(tlv(0xa0)(sha256ID()), mgf1ID(bareID())) },
		"OAEP with a label": func(a *answer) {
			a.algorithm = oaepID(tlv(0xa0)(sha256ID()), mgf1ID(sha256ID()), tlv(0xa2)(octets([]byte("label"))))
		},
		"data type":              func(a *answer) { a.dataType = oid(0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 3) },
		"AES-128-CBC":            func(a *answer) { a.cipherAlgorithm = oid(0x60, 0x86, 0x48, 1, 0x65, 3, 4, 1, 2) },
		"AES-256-GCM":            func(a *answer) { a.cipherAlgorithm = oid(0x60, 0x86, 0x48, 1, 0x65, 3, 4, 1, 0x2e) },
		"IV of 15 bytes":         func(a *answer) { a.iv = a.iv[:15] },
		"IV of 17 bytes":         func(a *answer) { a.iv = append(a.iv, 0) },
		"wrapped key cut":        func(a *answer) { a.wrapped = octets(a.wrapped[4:259]) },
		"wrapped key longer":     func(a *answer) { a.wrapped = octets(append(a.wrapped[4:], 0)) },
		"wrapped key zero":       func(a *answer) { a.wrapped = octets(make([]byte, 256)) },
		"wrapped key too big":    func(a *answer) { a.wrapped = octets(bytes.Repeat([]byte{255}, 256)) },
		"wrapped key altered":    func(a *answer) { a.wrapped[100] ^= 1 },
		"wrapped for another":    func(a *answer) { a.wrap(t, &other.PublicKey, sha256New(), make([]byte, 32)) },
		"wrapped with SHA-1":     func(a *answer) { a.wrap(t, &key.PublicKey, sha1.New(), make([]byte, 32)) },
		"content key of 16":      func(a *answer) { a.wrap(t, &key.PublicKey, sha256New(), make([]byte, 16)) },
		"content key of 33":      func(a *answer) { a.wrap(t, &key.PublicKey, sha256New(), make([]byte, 33)) },
		"empty content key":      func(a *answer) { a.wrap(t, &key.PublicKey, sha256New(), nil) },
		"another content key":    func(a *answer) { a.wrap(t, &key.PublicKey, sha256New(), make([]byte, 32)) },
		"no content":             func(a *answer) { a.content = nil },
		"empty content":          func(a *answer) { a.content = openTLV(0xa0)() },
		"content of an empty":    func(a *answer) { c := contentOf(a); a.content = openTLV(0xa0)(octets(c), octets(nil)) },
		"content of 47":          func(a *answer) { a.content = openTLV(0xa0)(octets(contentOf(a)[:47])) },
		"content of 49":          func(a *answer) { a.content = openTLV(0xa0)(octets(append(contentOf(a), 0))) },
		"content of 64":          func(a *answer) { a.content = openTLV(0xa0)(octets(make([]byte, 64))) },
		"content at once, of 32": func(a *answer) { a.content = tlv(0x80)(contentOf(a)[:32]) },
		"content in nested parts": func(a *answer) {
			a.content = openTLV(0xa0)(tlv(0x24)(octets(contentOf(a))))
		},
		"content not ended":        func(a *answer) { a.content = a.content[:len(a.content)-2] },
		"content's last block":     func(a *answer) { a.content[len(a.content)-3] ^= 1 },
		"content's pad by its one": func(a *answer) { a.content[4+31] ^= 1 },
		"trailing byte":            func(a *answer) { a.tail = []byte{0} },
		"two answers":              func(a *answer) { a.tail = bytes.Clone(a.bytes()) },
		"long answer":              func(a *answer) { a.tail = make([]byte, 1<<20) },
		"open primitive": func(a *answer) {
			a.keyID = append(append([]byte{0x80, 0x80}, make([]byte, 20)...), 0, 0)
		},
		"long form of a length":       func(a *answer) { a.keyID = append([]byte{0x80, 0x81, 32}, make([]byte, 32)...) },
		"length with a leading zero":  func(a *answer) { a.keyID = append([]byte{0x80, 0x82, 0, 32}, make([]byte, 32)...) },
		"length of 4 GiB":             func(a *answer) { a.keyID = append([]byte{0x80, 0x84, 255, 255, 255, 255}, make([]byte, 32)...) },
		"length of 2^63":              func(a *answer) { a.keyID = append([]byte{0x80, 0x88, 128, 0, 0, 0, 0, 0, 0, 0}, make([]byte, 32)...) },
		"length of 64 KiB":            func(a *answer) { a.keyID = append([]byte{0x80, 0x82, 255, 255}, make([]byte, 32)...) },
		"reserved length":             func(a *answer) { a.keyID = append([]byte{0x80, 0xff}, make([]byte, 32)...) },
		"set that ends in its middle": func(a *answer) { a.set = func(p ...[]byte) []byte { b := tlv(0x31)(p...); b[3]--; return b } },
		"tag of two bytes":            func(a *answer) { a.keyID = append([]byte{0x9f, 0x00, 32}, make([]byte, 32)...) },
	} {
		a := newAnswer(t, &key.PublicKey, padded(testSecret))
		spoil(a)
		refused(t, name, a.bytes())
	}
}

// TestPaddingIsWhole has every last block but the one that is right.
func TestPaddingIsWhole(t *testing.T) {
	key := testKey(t)
	for pad := range 256 {
		if pad == 16 {
			continue
		}
		block := bytes.Repeat([]byte{byte(pad)}, 16)
		refused(t, "pad", newAnswer(t, &key.PublicKey, slices.Concat(testSecret, block)).bytes())
	}
	for i := range 16 {
		block := bytes.Repeat([]byte{16}, 16)
		block[i] = 0
		refused(t, "hole", newAnswer(t, &key.PublicKey, slices.Concat(testSecret, block)).bytes())
	}
	for _, n := range []int{0, 1, 16, 31, 33, 47, 48} {
		refused(t, "length", newAnswer(t, &key.PublicKey, padded(make([]byte, n))).bytes())
	}
}

func TestEveryPrefixIsRefused(t *testing.T) {
	key := testKey(t)
	whole := newAnswer(t, &key.PublicKey, padded(testSecret)).bytes()
	for n := range whole {
		if _, ok := parse(whole[:n]); ok != 0 {
			t.Errorf("a prefix of %d bytes was read", n)
		}
	}
	refused(t, "nothing", nil)
}

// TestEveryByteCounts alters each byte. Besides the key id, only the IV and the
// first ciphertext blocks can change and still give a secret: another one.
func TestEveryByteCounts(t *testing.T) {
	key := testKey(t)
	a := newAnswer(t, &key.PublicKey, padded(testSecret))
	whole := a.bytes()
	keyID := bytes.Index(whole, a.keyID) + 2
	for i := range whole {
		altered := bytes.Clone(whole)
		altered[i] ^= 0x40
		got, err := open(key, altered)
		if err == nil && bytes.Equal(got, testSecret) && (i < keyID || i >= keyID+32) {
			t.Errorf("byte %d: still opens", i)
		}
		if err != nil && !errors.Is(err, ErrAnswer) {
			t.Errorf("byte %d: %v", i, err)
		}
	}
}

// TestPublishedAnswerIsRead reads answers of KMS from the tests of
// aws-nitro-enclaves-sdk-c: one of the length of a secret, and a shorter one.
func TestPublishedAnswerIsRead(t *testing.T) {
	e, ok := parse(publishedAnswer(t))
	if ok != 1 {
		t.Fatal("was not read")
	}
	for _, f := range []struct {
		name        string
		got         []byte
		first, last byte
	}{
		{"wrapped", e.wrapped[:], 0xa0, 0xdd},
		{"iv", e.iv[:], 0x68, 0xc9},
		{"content", e.content[:], 0x70, 0x2e},
	} {
		if f.got[0] != f.first || f.got[len(f.got)-1] != f.last {
			t.Errorf("%s: got %x", f.name, f.got)
		}
	}
	refused(t, "of another key", publishedAnswer(t))
}

func refused(t *testing.T, name string, answer []byte) {
	t.Helper()
	got, err := open(testKey(t), answer)
	if err != ErrAnswer || got != nil { //nolint:errorlint // it must be the very value
		t.Errorf("%s: got %x, %v", name, got, err)
	}
}

// FuzzParse reads anything: what is read has the one form, so building it again
// from its parts gives an answer that reads the same.
func FuzzParse(f *testing.F) {
	key := testKey(f)
	a := newAnswer(f, &key.PublicKey, padded(testSecret))
	f.Add(a.bytes())
	a.content = tlv(0x80)(contentOf(a))
	f.Add(a.bytes())
	a.outer, a.wrapper, a.data, a.encryptedInfo = tlv(0x30), tlv(0xa0), tlv(0x30), tlv(0x30)
	f.Add(a.bytes())
	f.Add(publishedAnswer(f))
	f.Add([]byte(strings.Repeat("\x30\x80", 400)))
	f.Add([]byte("\x30\x84\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, answer []byte) {
		e, ok := parse(answer)
		if (e != nil) != (ok == 1) {
			t.Fatalf("got %v and %d", e, ok)
		}
		if ok == 0 {
			return
		}
		again := *a
		again.wrapped, again.iv, again.content = octets(e.wrapped[:]), e.iv[:], tlv(0x80)(e.content[:])
		if e2, ok := parse(again.bytes()); ok != 1 || *e2 != *e {
			t.Error("reads otherwise when built again")
		}
	})
}

// FuzzOpen encrypts anything: only a secret with its whole padding opens.
func FuzzOpen(f *testing.F) {
	key := testKey(f)
	f.Add(padded(testSecret))
	f.Add(padded(testSecret[:31]))
	f.Add(slices.Concat(testSecret, make([]byte, 16)))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, plaintext []byte) {
		plaintext = plaintext[:len(plaintext)/16*16]
		if len(plaintext) > maxAnswer {
			return
		}
		secret, err := open(key, newAnswer(t, &key.PublicKey, plaintext).bytes())
		if len(plaintext) == 48 && bytes.Equal(plaintext, padded(plaintext[:32])) {
			if err != nil || !bytes.Equal(secret, plaintext[:32]) {
				t.Errorf("got %x, %v", secret, err)
			}
		} else if err != ErrAnswer || secret != nil { //nolint:errorlint // it must be the very value
			t.Errorf("got %x, %v", secret, err)
		}
	})
}

var testSecret = func() []byte {
	b := make([]byte, SecretSize)
	rand.Read(b)
	return b
}()
