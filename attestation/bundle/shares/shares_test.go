package shares

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"
)

// deal splits a scalar with a fixed polynomial: n shares, t of which make it.
func deal(t testing.TB, c Curve, scalar string, threshold, n int) []*Share {
	t.Helper()
	g := groups[c]
	var members []Member
	var secrets [][]byte
	for i := range n {
		x := big.NewInt(int64(1000003 * (i + 1)))
		y := new(big.Int)
		for k := threshold - 1; k >= 0; k-- { // Horner
			a := integer(scalar)
			if k > 0 {
				a = new(big.Int).Exp(big.NewInt(7919), big.NewInt(int64(50*k)), g.order)
			}
			y.Mod(y.Add(y.Mul(y, x), a), g.order)
		}
		secret := y.FillBytes(make([]byte, 32))
		public, err := g.public(secret)
		if err != nil {
			t.Fatal(err)
		}
		secrets = append(secrets, secret)
		members = append(members, Member{Party: fmt.Sprintf("01%098d", i), X: x.FillBytes(make([]byte, 32)), Public: public})
	}
	public, err := g.public(integer(scalar).FillBytes(make([]byte, 32)))
	if err != nil {
		t.Fatal(err)
	}
	var out []*Share
	for i := range n {
		out = append(out, &Share{
			Curve: c, Threshold: threshold, Public: public, ChainCode: bytes.Repeat([]byte{7}, 32),
			Members: append([]Member{}, members...), Party: members[i].Party, Secret: secrets[i],
		})
	}
	return out
}

const testScalar = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

func TestEveryThresholdOfSharesMakesTheKey(t *testing.T) {
	for c, name := range map[Curve]string{Secp256k1: "secp256k1", P256: "P-256", Ed25519: "Ed25519"} {
		t.Run(name, func(t *testing.T) {
			all := deal(t, c, testScalar, 2, 3)
			for _, some := range [][]*Share{{all[0], all[1]}, {all[2], all[0]}, {all[1], all[2]}, all} {
				var read []*Share
				for _, s := range some {
					b, err := s.Encode()
					if err != nil {
						t.Fatal(err)
					}
					r, err := Parse(b)
					if err != nil {
						t.Fatal(err)
					}
					read = append(read, r)
				}
				key, err := Combine(read)
				if err != nil || hex.EncodeToString(key) != testScalar {
					t.Errorf("%d shares: %v", len(some), err)
				}
			}
		})
	}
}

func TestLargestKeyFitsIntoABundle(t *testing.T) {
	b, err := deal(t, Secp256k1, testScalar, 16, 16)[0].Encode()
	if err != nil || len(b) > 4<<10-16 {
		t.Errorf("%d bytes, %v", len(b), err)
	}
}

func TestSharesThatDoNotFitAreRefused(t *testing.T) {
	other := deal(t, Secp256k1, "77", 2, 3)
	for _, tt := range []struct {
		name, want string
		blame      int // whose share, -1 for nobody's
		change     func(all []*Share) []*Share
	}{
		{"none", "there are none", -1, func([]*Share) []*Share { return nil }},
		{"too few", "needs 2, only 1", -1, func(all []*Share) []*Share { return all[:1] }},
		{"one twice", "given twice", 0, func(all []*Share) []*Share { return []*Share{all[0], all[0]} }},
		{"another key's", "of another key", 1, func(all []*Share) []*Share { return []*Share{all[0], other[1]} }},
		{"another chain code", "of another key", 1, func(all []*Share) []*Share { all[1].ChainCode = make([]byte, 32); return all }},
		{"another threshold", "of another key", 1, func(all []*Share) []*Share { all[1].Threshold = 1; return all }},
		{"changed secret", "does not belong to its public share", 1, func(all []*Share) []*Share { all[1].Secret[31] ^= 1; return all }},
		{"zero secret", "does not belong to its public share", 1, func(all []*Share) []*Share { clear(all[1].Secret); return all }},
		{"secret above the order", "does not belong to its public share", 1, func(all []*Share) []*Share { all[1].Secret = bytes.Repeat([]byte{0xff}, 32); return all }},
		{"another party's name", "does not belong to its public share", 2, func(all []*Share) []*Share { all[1].Party = all[2].Party; return all }},
		{"x coordinates lie", "do not make the key", -1, func(all []*Share) []*Share {
			return everywhere(all, func(s *Share) { s.Members[1].X = integer("5").FillBytes(make([]byte, 32)) })
		}},
		{"x coordinate is zero", "x coordinate", 1, func(all []*Share) []*Share {
			return everywhere(all, func(s *Share) { s.Members[1].X = make([]byte, 32) })
		}},
		{"threshold is a lie", "do not make the key", -1, func(all []*Share) []*Share { return everywhere(all, func(s *Share) { s.Threshold = 1 }) }},
		{"public key is a lie", "do not make the key", -1, func(all []*Share) []*Share { return everywhere(all, func(s *Share) { s.Public = other[0].Public }) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			all := deal(t, Secp256k1, testScalar, 2, 3)
			key, err := Combine(tt.change(all))
			var e *Error
			if key != nil || !errors.As(err, &e) || !strings.Contains(e.Message, tt.want) {
				t.Fatalf("got %v", err)
			}
			if want := ""; tt.blame >= 0 {
				if want = deal(t, Secp256k1, testScalar, 2, 3)[tt.blame].Party; e.Party != want {
					t.Errorf("blamed %q", e.Party)
				}
			} else if e.Party != want {
				t.Errorf("blamed %q", e.Party)
			}
		})
	}
}

func everywhere(all []*Share, change func(*Share)) []*Share {
	for _, s := range all {
		change(s)
	}
	return all
}

func TestFormIsStrict(t *testing.T) {
	for name, change := range map[string]func(*Share){
		"unknown curve":        func(s *Share) { s.Curve = 9 },
		"no members":           func(s *Share) { s.Members = nil },
		"17 members":           func(s *Share) { s.Members = make([]Member, 17) },
		"threshold 0":          func(s *Share) { s.Threshold = 0 },
		"threshold above n":    func(s *Share) { s.Threshold = 4 },
		"short public key":     func(s *Share) { s.Public = s.Public[1:] },
		"short chain code":     func(s *Share) { s.ChainCode = nil },
		"short secret":         func(s *Share) { s.Secret = s.Secret[1:] },
		"not a member":         func(s *Share) { s.Party = "nobody" },
		"short x":              func(s *Share) { s.Members[0].X = nil },
		"long public share":    func(s *Share) { s.Members[0].Public = make([]byte, 34) },
		"party with a newline": func(s *Share) { s.Members[1].Party = "a\nb" },
		"party twice":          func(s *Share) { s.Members[1].Party = s.Members[2].Party },
		"x twice":              func(s *Share) { s.Members[1].X = s.Members[2].X },
	} {
		t.Run(name, func(t *testing.T) {
			s := deal(t, Secp256k1, testScalar, 2, 3)[0]
			change(s)
			if b, err := s.Encode(); err == nil || b != nil {
				t.Error("it was encoded")
			}
			var e *Error
			if err := s.Verify(); !errors.As(err, &e) {
				t.Errorf("it was verified: %v", err)
			}
		})
	}
}

func TestOnlyOneEncodingIsRead(t *testing.T) {
	s := deal(t, Ed25519, testScalar, 2, 3)[0]
	good, err := s.Encode()
	if err != nil {
		t.Fatal(err)
	}
	version2 := bytes.Replace(good, []byte{0xa8, 1, 1}, []byte{0xa8, 1, 2}, 1)
	wide := bytes.Replace(good, []byte{0xa8, 1, 1}, []byte{0xa8, 1, 0x18, 1}, 1)
	for name, b := range map[string][]byte{
		"nothing": nil, "cut": good[:len(good)-1], "more": append(bytes.Clone(good), 0), "version 2": version2, "wide integer": wide,
		"32 bytes": make([]byte, 32), "a ninth field": append(append([]byte{0xa9}, good[1:]...), 9, 0),
	} {
		if _, err := Parse(b); err == nil {
			t.Errorf("%s was read", name)
		}
	}
}

// BIP-32, test vector 1, chain m.
func TestXPriv(t *testing.T) {
	key := integer("e8f32e723decf4051aefac8e2c93c9c5b214313817cdb01a1494b917c8436b35").Bytes()
	chain := integer("873dff81c02f525623fd1fe5167eac3a55a049de3d314bb42ee227ffed37d508").Bytes()
	const want = "xprv9s21ZrQH143K3QTDL4LXw2F7HEK3wJUD2nW2nRk4stbPy6cq3jPPqjiChkVvvNKmPGJxWUtg6LnF5kejMRNNU3TGtRBeJgk33yuGBxrMPHi"
	if got, err := XPriv(key, chain); err != nil || got != want {
		t.Errorf("got %s, %v", got, err)
	}
	if _, err := XPriv(key[1:], chain); err == nil {
		t.Error("a short key was taken")
	}
}

func FuzzParse(f *testing.F) {
	for _, c := range []Curve{Secp256k1, P256, Ed25519} {
		b, err := deal(f, c, testScalar, 2, 3)[1].Encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := Parse(b)
		if err != nil {
			return
		}
		again, err := s.Encode()
		if err != nil || !bytes.Equal(again, b) {
			t.Error("what was read does not encode to the same")
		}
		_ = s.Verify()
	})
}
