package main

import (
	"bytes"
	"fmt"

	"github.com/sallyport/sallyport/attestation"
	at "github.com/sallyport/sallyport/attestation/attestationtest"
)

// cborRows are wrong in their CBOR, or beyond a limit.
var cborRows = []row{
	{id: "E11", what: "document cut at every 64th byte", run: cutDocument},
	{id: "E12", what: "member twice, unknown, long integer, bytes behind, text for bytes", run: payloads},
	{id: "E12b", what: "array of 2^32 elements claimed, 100,000 nested", run: bombs},
	{id: "E13", what: "document of more than 16 KiB, user data of 513 bytes, register 32, 255", run: limits},
	{id: "E14", what: "digest SHA256, sha384, none", run: digests},
}

// inProcess verifies without a process, where there are many.
func (w *world) inProcess(doc []byte) error {
	f := w.forge()
	_, err := attestation.VerifyArchived(doc, f.pki.Trust(), attestation.Expect{Kind: attestation.KindBoot, ManifestHash: attestation.Hash(f.manifest)})
	return err
}

func cutDocument(w *world) (string, error) {
	f := w.forge()
	doc := f.pki.Sign(f.boot())
	for n := 0; n < len(doc); n += 64 {
		if w.inProcess(doc[:n]) == nil {
			return "", fmt.Errorf("%d of %d bytes were verified", n, len(doc))
		}
	}
	v, err := w.archived(doc[:len(doc)-1])
	if err != nil {
		return "", err
	}
	return v.refusedBy(malformed...)
}

func payloads(w *world) (string, error) {
	return each([]at.Option{
		at.ExtraMember("digest", at.Text("SHA384")), at.ExtraMember("user_data", at.Null), at.ExtraMember("extra", at.Uint(1)),
		at.ExtraMember("Nonce", at.Null), at.Member("timestamp", []byte{0x3b, 0, 0, 0, 0, 0, 0, 0, 1}), at.Member("timestamp", at.Text("1")),
		at.Member("module_id", at.Bytes([]byte("i-0"))), at.Member("user_data", at.Text("text")), at.Member("pcrs", at.Text("x")),
		at.RawPayload(func(b []byte) []byte { return append(b, 0) }), at.RawPayload(func([]byte) []byte { return nil }),
		at.RawPayload(func([]byte) []byte { return []byte{0x80} }), at.WithoutMember("cabundle"), at.WithoutMember("certificate"), at.WithoutMember("pcrs"),
	}, func(o at.Option) (string, error) {
		return w.forged(append(malformed, "kind"), func(*at.Payload) {}, o)
	})
}

func bombs(w *world) (string, error) {
	return each([][]byte{
		{0x9a, 0xff, 0xff, 0xff, 0xff},
		{0xbb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
		{0x5b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
		bytes.Repeat([]byte{0x81}, 100_000), bytes.Repeat([]byte{0x9f}, 16_000), bytes.Repeat([]byte{0xd2}, 16_000),
		{},
		{0xff},
		{0x84},
		{0xf6},
	}, func(b []byte) (string, error) {
		v, err := w.archived(b)
		if err != nil {
			return "", err
		}
		return v.refusedBy(malformed...)
	})
}

func limits(w *world) (string, error) {
	if seen, err := w.forged(malformed, func(p *at.Payload) { p.UserData = make([]byte, 513) }); err != nil {
		return seen, err
	}
	if seen, err := w.forged(malformed, func(*at.Payload) {}, at.Bundle(func(b [][]byte) [][]byte {
		return append(b, bytes.Repeat([]byte{1}, 16<<10))
	})); err != nil {
		return seen, err
	}
	return each([]int{32, 255}, func(i int) (string, error) {
		return w.forged(malformed, func(p *at.Payload) { p.PCRs[i] = make([]byte, 48) })
	})
}

func digests(w *world) (string, error) {
	return each([]at.Option{
		at.Member("digest", at.Text("SHA256")), at.Member("digest", at.Text("sha384")), at.Member("digest", at.Text("")), at.WithoutMember("digest"),
	}, func(o at.Option) (string, error) { return w.forged(malformed, func(*at.Payload) {}, o) })
}
