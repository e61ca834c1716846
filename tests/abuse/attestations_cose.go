package main

import (
	"crypto/elliptic"
	"fmt"

	"github.com/sallyport/sallyport/attestation"
	at "github.com/sallyport/sallyport/attestation/attestationtest"
)

// coseRows are wrong in the envelope: algorithms, tags, signatures.
var coseRows = []row{
	{id: "E8", what: "algorithm ES256, ES512, none, twice, or in the unprotected header", run: algorithms},
	{id: "E9", what: "COSE tag 17, 61, tag in a tag", run: tags},
	{id: "E10", what: "signature of 95 and 97 bytes, DER, r = 0, s = 0, empty", run: signatures},
}

func algorithms(w *world) (string, error) {
	es384 := []byte{0xa1, 0x01, 0x38, 0x22}
	return each([]at.Option{
		at.Protected([]byte{0xa1, 0x01, 0x26}),                         // ES256
		at.Protected([]byte{0xa1, 0x01, 0x38, 0x23}),                   // ES512
		at.Protected([]byte{0xa0}),                                     // none
		at.Protected(nil),                                              // not even a map
		at.Protected([]byte{0xa2, 0x01, 0x38, 0x22, 0x01, 0x38, 0x22}), // twice
		at.Protected([]byte{0xa1, 0x01, 0x39, 0x00, 0x22}),             // not in its shortest form
		at.Protected([]byte{0xbf, 0x01, 0x38, 0x22, 0xff}),             // indefinite
		at.Protected([]byte{0xa1, 0x01, 0x65, 'E', 'S', '3', '8', '4'}),
		at.Unprotected(es384),
		at.Unprotected([]byte{0xa1, 0x04, 0x41, 0x31}), // a key id
	}, func(o at.Option) (string, error) { return w.forged(malformed, func(*at.Payload) {}, o) })
}

func tags(w *world) (string, error) {
	f := w.forge()
	if v, err := w.archived(f.pki.Sign(f.boot(), at.Prefix(0xd2))); err != nil || !v.Verified {
		return "", fmt.Errorf("tag 18: %+v, %w", v, err)
	}
	return each([][]byte{{0xd1}, {0xd8, 61}, {0xd2, 0xd2}, {0xd8, 18}, {0xd9, 0xd9, 0xf7}}, func(b []byte) (string, error) {
		return w.forged(malformed, func(*at.Payload) {}, at.Prefix(b...))
	})
}

func signatures(w *world) (string, error) {
	order := elliptic.P384().Params().N
	return each([]func([]byte) []byte{
		func(b []byte) []byte { return b[:95] }, func(b []byte) []byte { return append(b, 0) }, func([]byte) []byte { return nil },
		func(b []byte) []byte { return append(make([]byte, 48), b[48:]...) }, func(b []byte) []byte { return append(b[:48:48], make([]byte, 48)...) },
		func([]byte) []byte { return make([]byte, 96) }, func(b []byte) []byte { return append(b[48:96:96], b[:48]...) },
		func(b []byte) []byte { return flipped(b, 95) },
		func(b []byte) []byte { // s of n
			return append(b[:48:48], order.FillBytes(make([]byte, 48))...)
		},
		func(b []byte) []byte { // DER
			der := append([]byte{0x30, 0x64, 0x02, 0x30}, b[:48]...)
			return append(append(der, 0x02, 0x30), b[48:]...)
		},
	}, func(edit func([]byte) []byte) (string, error) {
		return w.forged([]string{attestation.ReasonSignature, attestation.ReasonMalformed}, func(*at.Payload) {}, at.Signature(edit))
	})
}
