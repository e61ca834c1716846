package hd

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha512"
	"encoding/binary"
	"encoding/hex"
	"math/big"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/enclave/internal/keys"
)

// Steps of the test vectors of BIP-32 that are not hardened: parent, index and child.
var publicSteps = []struct {
	name, parent, child string // xprv
	index               uint32
}{
	{
		"vector 1, m/0H to m/0H/1",
		"xprv9uHRZZhk6KAJC1avXpDAp4MDc3sQKNxDiPvvkX8Br5ngLNv1TxvUxt4cV1rGL5hj6KCesnDYUhd7oWgT11eZG7XnxHrnYeSvkzY7d2bhkJ7",
		"xprv9wTYmMFdV23N2TdNG573QoEsfRrWKQgWeibmLntzniatZvR9BmLnvSxqu53Kw1UmYPxLgboyZQaXwTCg8MSY3H2EU4pWcQDnRnrVA1xe8fs",
		1,
	},
	{
		"vector 1, m/0H/1/2H to m/0H/1/2H/2",
		"xprv9z4pot5VBttmtdRTWfWQmoH1taj2axGVzFqSb8C9xaxKymcFzXBDptWmT7FwuEzG3ryjH4ktypQSAewRiNMjANTtpgP4mLTj34bhnZX7UiM",
		"xprvA2JDeKCSNNZky6uBCviVfJSKyQ1mDYahRjijr5idH2WwLsEd4Hsb2Tyh8RfQMuPh7f7RtyzTtdrbdqqsunu5Mm3wDvUAKRHSC34sJ7in334",
		2,
	},
	{
		"vector 1, m/0H/1/2H/2 to m/0H/1/2H/2/1000000000",
		"xprvA2JDeKCSNNZky6uBCviVfJSKyQ1mDYahRjijr5idH2WwLsEd4Hsb2Tyh8RfQMuPh7f7RtyzTtdrbdqqsunu5Mm3wDvUAKRHSC34sJ7in334",
		"xprvA41z7zogVVwxVSgdKUHDy1SKmdb533PjDz7J6N6mV6uS3ze1ai8FHa8kmHScGpWmj4WggLyQjgPie1rFSruoUihUZREPSL39UNdE3BBDu76",
		1000000000,
	},
	{
		"vector 2, m to m/0",
		"xprv9s21ZrQH143K31xYSDQpPDxsXRTUcvj2iNHm5NUtrGiGG5e2DtALGdso3pGz6ssrdK4PFmM8NSpSBHNqPqm55Qn3LqFtT2emdEXVYsCzC2U",
		"xprv9vHkqa6EV4sPZHYqZznhT2NPtPCjKuDKGY38FBWLvgaDx45zo9WQRUT3dKYnjwih2yJD9mkrocEZXo1ex8G81dwSM1fwqWpWkeS3v86pgKt",
		0,
	},
	{
		"vector 2, m/0/2147483647H to m/0/2147483647H/1",
		"xprv9wSp6B7kry3Vj9m1zSnLvN3xH8RdsPP1Mh7fAaR7aRLcQMKTR2vidYEeEg2mUCTAwCd6vnxVrcjfy2kRgVsFawNzmjuHc2YmYRmagcEPdU9",
		"xprv9zFnWC6h2cLgpmSA46vutJzBcfJ8yaJGg8cX1e5StJh45BBciYTRXSd25UEPVuesF9yog62tGAQtHjXajPPdbRCHuWS6T8XA2ECKADdw4Ef",
		1,
	},
	{
		"vector 2, m/0/2147483647H/1/2147483646H to m/0/2147483647H/1/2147483646H/2",
		"xprvA1RpRA33e1JQ7ifknakTFpgNXPmW2YvmhqLQYMmrj4xJXXWYpDPS3xz7iAxn8L39njGVyuoseXzU6rcxFLJ8HFsTjSyQbLYnMpCqE2VbFWc",
		"xprvA2nrNbFZABcdryreWet9Ea4LvTJcGsqrMzxHx98MMrotbir7yrKCEXw7nadnHM8Dq38EGfSh6dqA9QWTyefMLEcBYJUuekgW4BYPJcr9E7j",
		2,
	},
}

func parse(t *testing.T, text string) (key *keys.Secret, public, chain []byte) {
	t.Helper()
	key, chain, err := ParseXPriv(text)
	if err != nil {
		t.Fatal(err)
	}
	public, err = keys.ScalarPublic(keys.Secp256k1, key)
	if err != nil {
		t.Fatal(err)
	}
	return key, public, chain
}

// plus adds two big-endian numbers modulo a hexadecimal order.
func plus(a, b []byte, order string) []byte {
	n, _ := new(big.Int).SetString(order, 16)
	sum := new(big.Int).Add(new(big.Int).SetBytes(a), new(big.Int).SetBytes(b))
	return sum.Mod(sum, n).FillBytes(make([]byte, 32))
}

const (
	orderN = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141"
	orderL = "1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3ed"
)

func TestDeriveFollowsBIP32(t *testing.T) {
	for _, v := range publicSteps {
		t.Run(v.name, func(t *testing.T) {
			key, public, chain := parse(t, v.parent)
			wantKey, want, wantChain := parse(t, v.child)
			got, gotChain, delta, err := Derive(keys.Secp256k1, public, chain, []uint32{v.index})
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) || !bytes.Equal(gotChain, wantChain) {
				t.Errorf("child %x, chain code %x", got, gotChain)
			}
			if !bytes.Equal(plus(key.Expose(), delta, orderN), wantKey.Expose()) {
				t.Error("delta does not lead to the child's private key")
			}
		})
	}
	t.Run("two steps at once", func(t *testing.T) {
		key, public, chain := parse(t, publicSteps[1].parent)
		wantKey, want, _ := parse(t, publicSteps[2].child)
		got, _, delta, err := Derive(keys.Secp256k1, public, chain, []uint32{2, 1000000000})
		if err != nil || !bytes.Equal(got, want) || !bytes.Equal(plus(key.Expose(), delta, orderN), wantKey.Expose()) {
			t.Errorf("child %x, %v", got, err)
		}
	})
}

// The scheme for Ed25519, computed with numbers only: parent's scalar plus
// deltas gives the child's point.
func TestDeriveOnEd25519(t *testing.T) {
	wide := sha512.Sum512([]byte("a scalar"))
	scalar, err := keys.ReduceScalar(keys.Ed25519, wide)
	if err != nil {
		t.Fatal(err)
	}
	chain := bytes.Repeat([]byte{7}, 32)
	path := []uint32{44, 0, Hardened - 1}
	at := keys.NewSecret(scalar[:])
	root, err := keys.ScalarPublic(keys.Ed25519, at)
	if err != nil {
		t.Fatal(err)
	}
	public, wantChain := root, chain
	for _, index := range path {
		mac := hmac.New(sha512.New, wantChain)
		mac.Write(append(append([]byte{0}, public...), binary.BigEndian.AppendUint32(nil, index)...))
		sum := mac.Sum(nil)
		at, wantChain = keys.NewSecret(plus(at.Expose(), sum[:32], orderL)), sum[32:]
		if public, err = keys.ScalarPublic(keys.Ed25519, at); err != nil {
			t.Fatal(err)
		}
	}
	got, gotChain, delta, err := Derive(keys.Ed25519, root, chain, path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, public) || !bytes.Equal(gotChain, wantChain) {
		t.Errorf("child %x, chain code %x; want %x, %x", got, gotChain, public, wantChain)
	}
	if !bytes.Equal(plus(scalar[:], delta, orderL), at.Expose()) {
		t.Error("delta does not lead to the child's scalar")
	}
	// A fixed value: the scheme must never change under existing wallets.
	if text := hex.EncodeToString(got); text != goldenEd25519 {
		t.Errorf("child %s, want %s", text, goldenEd25519)
	}
}

const goldenEd25519 = "980d0143cfb7da8df3d68d95e6483e151a7faf39181f332f9ca158aaae25c4d5"

func TestDeriveAnEmptyPath(t *testing.T) {
	_, public, chain := parse(t, publicSteps[3].parent)
	child, childChain, delta, err := Derive(keys.Secp256k1, public, chain, nil)
	if err != nil || !bytes.Equal(child, public) || !bytes.Equal(childChain, chain) || delta != nil {
		t.Errorf("%x %x %x %v", child, childChain, delta, err)
	}
	childChain[0]++
	if _, _, again := parse(t, publicSteps[3].parent); !bytes.Equal(chain, again) {
		t.Error("the result shares memory with the argument")
	}
}

func TestDeriveRefuses(t *testing.T) {
	_, public, chain := parse(t, publicSteps[3].parent)
	edPublic, err := keys.ScalarPublic(keys.Ed25519, keys.NewSecret(append(make([]byte, 31), 9)))
	if err != nil {
		t.Fatal(err)
	}
	identity := append([]byte{1}, make([]byte, 31)...)
	orderTwo := append([]byte{0xec}, bytes.Repeat([]byte{0xff}, 31)...)
	orderTwo[31] = 0x7f
	secondName := bytes.Repeat([]byte{0xff}, 32) // y = p + 1
	secondName[0], secondName[31] = 0xee, 0x7f
	for _, c := range []struct {
		name      string
		curve     keys.Curve
		public    []byte
		chain     []byte
		path      []uint32
		complaint string
	}{
		{"a hardened index", keys.Secp256k1, public, chain, []uint32{1, Hardened}, "path: index 1 is hardened"},
		{"a hardened index on Ed25519", keys.Ed25519, edPublic, chain, []uint32{1<<32 - 1}, "path: index 0 is hardened"},
		{"too long a path", keys.Secp256k1, public, chain, make([]uint32, 256), "path: must have at most 255"},
		{"a short chain code", keys.Secp256k1, public, chain[1:], []uint32{0}, "chain code: must be 32 bytes"},
		{"no chain code", keys.Ed25519, edPublic, nil, []uint32{0}, "chain code: must be 32 bytes"},
		{"P-256", keys.P256, public, chain, []uint32{0}, "have no children"},
		{"no curve", 0, public, chain, []uint32{0}, "have no children"},
		{"a key of the other curve", keys.Secp256k1, edPublic, chain, []uint32{0}, "public key: must be 33 bytes"},
		{"a long key", keys.Ed25519, public, chain, []uint32{0}, "public key: must be 32 bytes"},
		{"x outside of the field", keys.Secp256k1, append([]byte{2}, bytes.Repeat([]byte{0xff}, 32)...), chain, nil, "not on the curve"},
		{"a hybrid prefix", keys.Secp256k1, append([]byte{6}, public[1:]...), chain, nil, "not on the curve"},
		{"the identity", keys.Ed25519, identity, chain, nil, "not in the group"},
		{"a point of order two", keys.Ed25519, orderTwo, chain, nil, "not in the group"},
		{"a second name of the identity", keys.Ed25519, secondName, chain, nil, "not on the curve"},
		{"no point", keys.Ed25519, append([]byte{2}, make([]byte, 31)...), chain, nil, "not on the curve"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, _, _, err := Derive(c.curve, c.public, c.chain, c.path)
			if err == nil || !strings.Contains(err.Error(), c.complaint) {
				t.Errorf("%v, want %q", err, c.complaint)
			}
		})
	}
	if _, _, _, err := Derive(keys.Secp256k1, public, chain, make([]uint32, 255)); err != nil {
		t.Errorf("255 indices: %v", err)
	}
}

func TestDeriveSkipsWhatGivesNoKey(t *testing.T) {
	key := keys.NewSecret(append(make([]byte, 31), 9))
	public, err := keys.ScalarPublic(keys.Secp256k1, key)
	if err != nil {
		t.Fatal(err)
	}
	s, err := newSecp256k1(public)
	if err != nil {
		t.Fatal(err)
	}
	above, _ := hex.DecodeString(orderN)
	minus := bytes.Clone(above)
	minus[31] -= 9 // n - 9 leads to the point at infinity
	for name, left := range map[string][]byte{"the order": above, "minus the key": minus} {
		if err := s.add((*[32]byte)(left)); err == nil {
			t.Errorf("%s was added", name)
		}
	}
}

func TestXPriv(t *testing.T) {
	const text = "xprv9s21ZrQH143K31xYSDQpPDxsXRTUcvj2iNHm5NUtrGiGG5e2DtALGdso3pGz6ssrdK4PFmM8NSpSBHNqPqm55Qn3LqFtT2emdEXVYsCzC2U"
	key, chain, err := ParseXPriv(text)
	if err != nil {
		t.Fatal(err)
	}
	got, err := XPriv(key, chain)
	if err != nil || string(got.Expose()) != text {
		t.Errorf("another text: %v", err)
	}
	for range 200 {
		key, err := keys.Generate(keys.Secp256k1, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		chain := make([]byte, 32)
		_, _ = rand.Read(chain)
		got, err := XPriv(key, chain)
		if err != nil {
			t.Fatal(err)
		}
		again, againChain, err := ParseXPriv(string(got.Expose()))
		if err != nil || !again.Equal(key) || !bytes.Equal(chain, againChain) {
			t.Fatalf("not read back: %v", err)
		}
	}
	if _, err := XPriv(keys.NewSecret(make([]byte, 32)), chain); err == nil {
		t.Error("a zero key")
	}
	if _, err := XPriv(key, chain[1:]); err == nil {
		t.Error("a short chain code")
	}
	if _, err := XPriv(nil, chain); err == nil {
		t.Error("no key")
	}
}

// Among these are the kinds of invalid keys of test vector 5 of BIP-32.
func TestParseXPrivRefuses(t *testing.T) {
	const good = "xprv9s21ZrQH143K31xYSDQpPDxsXRTUcvj2iNHm5NUtrGiGG5e2DtALGdso3pGz6ssrdK4PFmM8NSpSBHNqPqm55Qn3LqFtT2emdEXVYsCzC2U"
	change := func(at int, to ...byte) string {
		b, ok := fromBase58(good)
		if !ok {
			t.Fatal("not base 58")
		}
		copy(b[at:], to)
		check := checksum(b[:xprivSize-checkSize])
		copy(b[xprivSize-checkSize:], check[:])
		text := toBase58(&b)
		return string(text[:])
	}
	order, _ := hex.DecodeString(orderN)
	for _, c := range []struct{ name, text, complaint string }{
		{"empty", "", "111 characters"},
		{"short", good[1:], "111 characters"},
		{"long", good + "1", "111 characters"},
		{"a character that is no digit", strings.Replace(good, "s", "l", 1), "base 58"},
		{"a character beyond ASCII", good[:109] + "é", "base 58"},
		{"the largest number", strings.Repeat("z", 111), "checksum"},
		{"a changed digit", good[:110] + "V", "checksum"},
		{"a test network", change(0, 0x04, 0x35, 0x83, 0x94), "main network"},
		{"an xpub", "xpub661MyMwAqRbcFW31YEwpkMuc5THy2PSt5bDMsktWQcFF8syAmRUapSCGu8ED9W6oDMSgv6Zz8idoc4a6mr8BDzTJY47LJhkJ8UB7WEGuduB", "main network"},
		{"depth 0 with a parent", change(5, 1), "no parent"},
		{"depth 0 with a number", change(9, 0, 0, 0, 1), "no parent"},
		{"a prefix of a public key", change(45, 2), "zero byte"},
		{"a zero key", change(46, make([]byte, 32)...), "private key"},
		{"a key as large as the order", change(46, order...), "private key"},
	} {
		t.Run(c.name, func(t *testing.T) {
			key, chain, err := ParseXPriv(c.text)
			if err == nil || !strings.Contains(err.Error(), c.complaint) {
				t.Errorf("%v, want %q", err, c.complaint)
			}
			if key != nil || chain != nil {
				t.Error("something was returned")
			}
		})
	}
	if _, _, err := ParseXPriv(change(4, 3, 1, 2, 3, 4)); err != nil {
		t.Errorf("a key of depth 3: %v", err)
	}
}

func FuzzParseXPriv(f *testing.F) {
	f.Add(publicSteps[0].parent)
	f.Add(strings.Repeat("1", 111))
	f.Fuzz(func(t *testing.T, text string) {
		key, chain, err := ParseXPriv(text)
		if err == nil && (keys.Check(keys.Secp256k1, key.Expose()) != nil || len(chain) != 32) {
			t.Error("a key that is none was accepted")
		}
	})
}
