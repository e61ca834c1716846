package kms

import (
	"crypto/rsa"
	"testing"
)

func BenchmarkNewRequest(b *testing.B) {
	module := newModule(b)
	for b.Loop() {
		newRequest(b, module)
	}
}

// BenchmarkOpen should have the same figures for a secret and for every failure.
func BenchmarkOpen(b *testing.B) {
	key := testKey(b)
	wrongKey := newAnswer(b, &newKey(b).PublicKey, padded(testSecret))
	wrongPad := newAnswer(b, &key.PublicKey, make([]byte, 48))
	for _, c := range []struct {
		name   string
		key    *rsa.PrivateKey
		answer []byte
	}{
		{"secret", key, newAnswer(b, &key.PublicKey, padded(testSecret)).bytes()},
		{"garbage", key, []byte("garbage")},
		{"another key", key, wrongKey.bytes()},
		{"wrong padding", key, wrongPad.bytes()},
	} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				_, _ = open(c.key, c.answer)
			}
		})
	}
}

func BenchmarkParse(b *testing.B) {
	answer := newAnswer(b, &testKey(b).PublicKey, padded(testSecret)).bytes()
	b.ReportAllocs()
	for b.Loop() {
		_, _ = parse(answer)
	}
}

func BenchmarkEncrypt(b *testing.B) {
	public := spki(b, &testKey(b).PublicKey)
	for b.Loop() {
		if _, err := Encrypt(public, testSecret); err != nil {
			b.Fatal(err)
		}
	}
}
