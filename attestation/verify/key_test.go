package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"testing"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
)

func TestSecp256k1IsThatOfTheLibrary(t *testing.T) {
	order := secpN.FillBytes(make([]byte, 32))
	last := bytes.Clone(order)
	last[31]--
	scalars := [][]byte{append(make([]byte, 31), 1), append(make([]byte, 31), 2), append(make([]byte, 31), 3), last}
	for range 50 {
		b := make([]byte, 32)
		rand.Read(b)
		b[0] &= 0x7f
		scalars = append(scalars, b)
	}
	for _, scalar := range scalars {
		want := secp256k1.PrivKeyFromBytes(scalar).PubKey().SerializeCompressed()
		if got := secpPublic(scalar); !bytes.Equal(got, want) {
			t.Errorf("public key of %x = %x, want %x", scalar, got, want)
		}
	}
	for _, scalar := range [][]byte{make([]byte, 32), order, bytes.Repeat([]byte{0xff}, 32)} {
		if got := secpPublic(scalar); got != nil {
			t.Errorf("public key of %x = %x", scalar, got)
		}
	}
}

func TestOpenedKeyMustBeTheStatedOne(t *testing.T) {
	key := bytes.Repeat([]byte{7}, 32)
	for curve, public := range map[string][]byte{
		"secp256k1": secpPublic(key),
		"P-256":     p256Public(key),
		"Ed25519":   ed25519.NewKeyFromSeed(key).Public().(ed25519.PublicKey),
	} {
		if found, err := compareKey(key, hex.EncodeToString(public)); err != nil || found != curve {
			t.Errorf("compareKey = %q, %v; want %s", found, err, curve)
		}
		public[len(public)-1] ^= 1
		_, err := compareKey(key, hex.EncodeToString(public))
		var refused *refusal
		if !errors.As(err, &refused) || refused.reason != "key" {
			t.Errorf("another key on %s: %v", curve, err)
		}
	}
	for _, bad := range [][]byte{make([]byte, 32), bytes.Repeat([]byte{0xff}, 32)} {
		if found, err := compareKey(bad, hex.EncodeToString(secpPublic(key))); err == nil {
			t.Errorf("%x is no scalar, yet it was found on %s", bad, found)
		}
	}
}
