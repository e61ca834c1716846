package attestation_test

import (
	"crypto/elliptic"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/attestation"
	at "github.com/sallyport/sallyport/attestation/attestationtest"
)

func TestOnlyES384InTheProtectedHeaderIsAccepted(t *testing.T) {
	protected := func(b ...byte) []at.Option { return []at.Option{at.Protected(b)} }
	runAbuse(t, []abuse{
		{name: "E8 ES256", options: protected(0xa1, 0x01, 0x26), reason: attestation.ReasonMalformed},
		{name: "E8 ES512", options: protected(0xa1, 0x01, 0x38, 0x23), reason: attestation.ReasonMalformed},
		{name: "E8 no algorithm", options: protected(0xa0), reason: attestation.ReasonMalformed},
		{name: "E8 algorithm null", options: protected(0xa1, 0x01, 0xf6), reason: attestation.ReasonMalformed},
		{name: "E8 algorithm as text, which nitrite accepts", options: protected(append([]byte{0xa1, 0x01}, at.Text("ES384")...)...), reason: attestation.ReasonMalformed},
		{name: "E8 algorithm that QEMU writes", options: protected(0xa1, 0x01, 0x20), reason: attestation.ReasonMalformed},
		{name: "E8 algorithm twice", options: protected(0xa2, 0x01, 0x38, 0x22, 0x01, 0x38, 0x22), reason: attestation.ReasonMalformed},
		{name: "E8 critical header", options: protected(0xa2, 0x01, 0x38, 0x22, 0x02, 0x81, 0x18, 0x63), reason: attestation.ReasonMalformed},
		{name: "E8 algorithm in a longer form", options: protected(0xa1, 0x01, 0x39, 0x00, 0x22), reason: attestation.ReasonMalformed},
		{name: "E8 empty protected header", options: protected(), reason: attestation.ReasonMalformed},
		{name: "E8 algorithm in the unprotected header", options: []at.Option{at.Unprotected(at.ES384)}, reason: attestation.ReasonMalformed},
		{name: "E8 algorithm only in the unprotected header", options: []at.Option{at.Protected([]byte{0xa0}), at.Unprotected(at.ES384)}, reason: attestation.ReasonMalformed},
		{name: "E8 unprotected header that is no map", options: []at.Option{at.Unprotected([]byte{0x80})}, reason: attestation.ReasonMalformed},
		{name: "E8 unprotected header null", options: []at.Option{at.Unprotected(at.Null)}, reason: attestation.ReasonMalformed},
	})
}

func TestOnlyTag18IsAccepted(t *testing.T) {
	runAbuse(t, []abuse{
		{name: "E9 untagged"},
		{name: "E9 tag 18", options: []at.Option{at.Prefix(0xd2)}},
		{name: "E9 tag 17", options: []at.Option{at.Prefix(0xd1)}, reason: attestation.ReasonMalformed},
		{name: "E9 tag 18 twice", options: []at.Option{at.Prefix(0xd2, 0xd2)}, reason: attestation.ReasonMalformed},
		{name: "E9 tag 61 around tag 18", options: []at.Option{at.Prefix(0xd8, 0x3d, 0xd2)}, reason: attestation.ReasonMalformed},
		{name: "E9 tag 18 in a longer form", options: []at.Option{at.Prefix(0xd8, 0x12)}, reason: attestation.ReasonMalformed},
		{name: "E9 tag on a member", options: []at.Option{at.Member("nonce", append([]byte{0xd2}, at.Bytes([]byte("x"))...))}, reason: attestation.ReasonMalformed},
	})
}

func TestSignatureOfAWrongFormIsRefused(t *testing.T) {
	edit := func(f func([]byte) []byte) []at.Option { return []at.Option{at.Signature(f)} }
	set := func(from, to int, b byte) func([]byte) []byte {
		return func(s []byte) []byte {
			for i := from; i < to; i++ {
				s[i] = b
			}
			return s
		}
	}
	runAbuse(t, []abuse{
		{name: "E10 signature of 95 bytes", options: edit(func(s []byte) []byte { return s[:95] }), reason: attestation.ReasonMalformed},
		{name: "E10 signature of 97 bytes", options: edit(func(s []byte) []byte { return append(s, 0) }), reason: attestation.ReasonMalformed},
		{name: "E10 no signature", options: edit(func([]byte) []byte { return nil }), reason: attestation.ReasonMalformed},
		{name: "E10 signature as DER", options: edit(func(s []byte) []byte {
			return slices.Concat([]byte{0x30, 0x64, 0x02, 0x30}, s[:48], []byte{0x02, 0x30}, s[48:])
		}), reason: attestation.ReasonMalformed},
		{name: "E10 r zero", options: edit(set(0, 48, 0)), reason: attestation.ReasonSignature},
		{name: "E10 s zero", options: edit(set(48, 96, 0)), reason: attestation.ReasonSignature},
		{name: "E10 r beyond the order", options: edit(set(0, 48, 0xff)), reason: attestation.ReasonSignature},
		{name: "E10 halves swapped", options: edit(func(s []byte) []byte { return slices.Concat(s[48:], s[:48]) }), reason: attestation.ReasonSignature},
		// ECDSA has two signatures for one message. Both are accepted, so the
		// hash of a document is no name for it: never use it against replays.
		{name: "E10 the other s is accepted", options: edit(func(s []byte) []byte {
			other := new(big.Int).Sub(elliptic.P384().Params().N, new(big.Int).SetBytes(s[48:]))
			other.FillBytes(s[48:])
			return s
		})},
	})
}

func TestDocumentCutAtAnyByteIsRefused(t *testing.T) {
	s := newScene(t)
	doc := s.Sign(s.boot())
	for n := range len(doc) {
		d, err := attestation.VerifyArchived(doc[:n], s.trust, s.expect(attestation.KindBoot))
		if err == nil || d != nil {
			t.Fatalf("E11: the first %d of %d bytes were accepted", n, len(doc))
		}
	}
}

// Every fifth byte, to stay quick: each costs a verification.
func TestFlippedByteIsRefused(t *testing.T) {
	s := newScene(t)
	doc := s.Sign(s.boot())
	if _, err := attestation.VerifyArchived(doc, s.trust, s.expect(attestation.KindBoot)); err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(doc); i += 5 {
		hostile := slices.Clone(doc)
		hostile[i] ^= 0x20
		if d, err := attestation.VerifyArchived(hostile, s.trust, s.expect(attestation.KindBoot)); err == nil || d != nil {
			t.Fatalf("E18: byte %d of %d was changed and the document accepted", i, len(doc))
		}
	}
}

// indefinite rewrites a byte string as two chunks of indefinite length.
func indefinite(b []byte) []byte {
	return slices.Concat([]byte{0x5f}, at.Bytes(b[:1]), at.Bytes(b[1:]), []byte{0xff})
}

func TestEncodingOfThePayloadIsStrictButForIndefiniteLengths(t *testing.T) {
	manifest := at.ManifestHash("manifest")
	raw := func(edit func([]byte) []byte) []at.Option { return []at.Option{at.RawPayload(edit)} }
	prefix := func(p ...byte) []at.Option {
		return raw(func(b []byte) []byte { return append(slices.Clone(p), b...) })
	}
	all := func(b byte) []at.Option {
		return raw(func([]byte) []byte { return []byte(strings.Repeat(string([]byte{b}), 4000)) })
	}
	runAbuse(t, []abuse{
		{name: "E12 map of definite length, as hardware wrote it until 2022", options: []at.Option{at.Definite()}},
		{name: "E12 byte string of indefinite length", options: []at.Option{at.Member("user_data", indefinite(manifest))}},
		{name: "E12 unprotected map of indefinite length", options: []at.Option{at.Unprotected([]byte{0xbf, 0xff})}},
		{name: "E12 chunk of another type", options: []at.Option{at.Member("user_data", slices.Concat([]byte{0x5f}, at.Text("x"), []byte{0xff}))}, reason: attestation.ReasonMalformed},
		{name: "E12 chunk inside a chunk", options: []at.Option{at.Member("user_data", slices.Concat([]byte{0x5f}, indefinite(manifest), []byte{0xff}))}, reason: attestation.ReasonMalformed},
		{name: "E12 member twice", options: []at.Option{at.ExtraMember("nonce", at.Null)}, reason: attestation.ReasonMalformed},
		{name: "E12 member again in upper case, which nitrite reads", options: []at.Option{at.WithoutMember("nonce"), at.ExtraMember("NONCE", at.Null)}, reason: attestation.ReasonMalformed},
		{name: "E12 unknown member", options: []at.Option{at.ExtraMember("extra", at.Null)}, reason: attestation.ReasonMalformed},
		{name: "E12 register twice", options: []at.Option{at.Member("pcrs", slices.Concat(
			at.Head(5, 2), at.Uint(0), at.Bytes(filled(1)), at.Uint(0), at.Bytes(filled(2)),
		))}, reason: attestation.ReasonMalformed},
		{name: "E12 register twice, once in a longer form", options: []at.Option{at.Member("pcrs", slices.Concat(
			at.Head(5, 2), at.Uint(0), at.Bytes(filled(1)), []byte{0x18, 0x00}, at.Bytes(filled(2)),
		))}, reason: attestation.ReasonMalformed},
		{name: "E12 integer not in its shortest form", options: []at.Option{at.Member("timestamp", []byte{0x1b, 0, 0, 0, 0, 0, 0, 0, 1})}, reason: attestation.ReasonMalformed},
		{name: "E12 length not in its shortest form", options: []at.Option{at.Member("nonce", []byte{0x58, 0x01, 0x00})}, reason: attestation.ReasonMalformed},
		{name: "E12 bytes after the payload", options: raw(func(b []byte) []byte { return append(b, 0) }), reason: attestation.ReasonMalformed},
		{name: "E12 map that claims 2^32 pairs", options: prefix(0xba, 0xff, 0xff, 0xff, 0xff), reason: attestation.ReasonMalformed},
		{name: "E12 map that claims 2^64-1 pairs", options: prefix(0xbb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff), reason: attestation.ReasonMalformed},
		{name: "E12 array that claims 2^63 elements", options: []at.Option{at.Member("cabundle", at.Head(4, 1<<63))}, reason: attestation.ReasonMalformed},
		{name: "E12 string that claims 2^64-1 bytes", options: []at.Option{at.Member("nonce", at.Head(2, 1<<64-1))}, reason: attestation.ReasonMalformed},
		{name: "E12 arrays nested 4000 deep", options: all(0x81), reason: attestation.ReasonMalformed},
		{name: "E12 open arrays nested 4000 deep", options: all(0x9f), reason: attestation.ReasonMalformed},
		{name: "E12 4000 items", options: all(0x00), reason: attestation.ReasonMalformed},
		{name: "E12 text where bytes belong", options: []at.Option{at.Member("user_data", at.Text(strings.Repeat("x", 32)))}, reason: attestation.ReasonMalformed},
		{name: "E12 bytes where text belongs", options: []at.Option{at.Member("module_id", at.Bytes([]byte("i-0")))}, reason: attestation.ReasonMalformed},
		{name: "E12 bytes where a name belongs", options: raw(func(b []byte) []byte {
			return slices.Concat([]byte{0xbf}, at.Bytes([]byte("module_id")), b[1+len(at.Text("module_id")):])
		}), reason: attestation.ReasonMalformed},
		{name: "E12 array of integers where bytes belong", options: []at.Option{at.Member("nonce", []byte{0x81, 0x01})}, reason: attestation.ReasonMalformed},
		{name: "E12 text that is not UTF-8", options: []at.Option{at.Member("module_id", []byte{0x61, 0xff})}, reason: attestation.ReasonMalformed},
		{name: "E12 undefined", options: []at.Option{at.Member("nonce", []byte{0xf7})}, reason: attestation.ReasonMalformed},
		{name: "E12 float", options: []at.Option{at.Member("timestamp", []byte{0xf9, 0x3c, 0x00})}, reason: attestation.ReasonMalformed},
		{name: "E12 false", options: []at.Option{at.Member("nonce", []byte{0xf4})}, reason: attestation.ReasonMalformed},
		{name: "E12 break alone", options: []at.Option{at.Member("nonce", []byte{0xff})}, reason: attestation.ReasonMalformed},
		{name: "E12 reserved length", options: []at.Option{at.Member("nonce", []byte{0x5c})}, reason: attestation.ReasonMalformed},
		{name: "E12 integer of indefinite length", options: []at.Option{at.Member("timestamp", []byte{0x1f})}, reason: attestation.ReasonMalformed},
		{name: "E12 payload that is an array", options: raw(func([]byte) []byte { return []byte{0x80} }), reason: attestation.ReasonMalformed},
		{name: "E12 empty payload", options: raw(func([]byte) []byte { return nil }), reason: attestation.ReasonMalformed},
		{name: "E12 absent options are missing members", options: []at.Option{at.WithoutMember("nonce")}},
	})
}

func TestFieldsBeyondTheirLimitsAreRefused(t *testing.T) {
	bytesOf := func(n int) []byte { return at.Bytes(make([]byte, n)) }
	pcr := func(index []byte, size int) []at.Option {
		return []at.Option{at.Member("pcrs", slices.Concat(at.Head(5, 1), index, bytesOf(size)))}
	}
	runAbuse(t, []abuse{
		{name: "E13 user_data of 513 bytes", options: []at.Option{at.Member("user_data", bytesOf(513))}, reason: attestation.ReasonMalformed},
		{name: "E13 nonce of 513 bytes", options: []at.Option{at.Member("nonce", bytesOf(513))}, reason: attestation.ReasonMalformed},
		{name: "E13 public_key of 1025 bytes", options: []at.Option{at.Member("public_key", bytesOf(1025))}, reason: attestation.ReasonMalformed},
		{name: "E13 register 32", options: pcr(at.Uint(32), 48), reason: attestation.ReasonMalformed},
		{name: "E13 register 2^32", options: pcr(at.Uint(1<<32), 48), reason: attestation.ReasonMalformed},
		{name: "E13 register -1", options: pcr([]byte{0x20}, 48), reason: attestation.ReasonMalformed},
		{name: "E13 register as text", options: pcr(at.Text("0"), 48), reason: attestation.ReasonMalformed},
		{name: "E4 register of 32 bytes, which nitrite accepts", options: pcr(at.Uint(0), 32), reason: attestation.ReasonMalformed},
		{name: "E4 register of 64 bytes, which nitrite accepts", options: pcr(at.Uint(0), 64), reason: attestation.ReasonMalformed},
		{name: "E4 register null", options: []at.Option{at.Member("pcrs", slices.Concat(at.Head(5, 1), at.Uint(0), at.Null))}, reason: attestation.ReasonMalformed},
		{name: "E4 no registers", options: []at.Option{at.Member("pcrs", at.Head(5, 0))}, reason: attestation.ReasonMalformed},
		{name: "E14 digest SHA256", options: []at.Option{at.Member("digest", at.Text("SHA256"))}, reason: attestation.ReasonMalformed},
		{name: "E14 digest sha384", options: []at.Option{at.Member("digest", at.Text("sha384"))}, reason: attestation.ReasonMalformed},
		{name: "E14 no digest", options: []at.Option{at.WithoutMember("digest")}, reason: attestation.ReasonMalformed},
		{name: "E20 module_id empty", options: []at.Option{at.Member("module_id", at.Text(""))}, reason: attestation.ReasonMalformed},
		{name: "E20 module_id missing", options: []at.Option{at.WithoutMember("module_id")}, reason: attestation.ReasonMalformed},
		{name: "E20 module_id with a line break", options: []at.Option{at.Member("module_id", at.Text("i-0\ni-1"))}, reason: attestation.ReasonMalformed},
		{name: "E20 module_id too long", options: []at.Option{at.Member("module_id", at.Text(strings.Repeat("i", 129)))}, reason: attestation.ReasonMalformed},
		{name: "E20 timestamp 0", options: []at.Option{at.Member("timestamp", at.Uint(0))}, reason: attestation.ReasonMalformed},
		{name: "E20 timestamp missing", options: []at.Option{at.WithoutMember("timestamp")}, reason: attestation.ReasonMalformed},
		{name: "E20 timestamp negative", options: []at.Option{at.Member("timestamp", []byte{0x20})}, reason: attestation.ReasonMalformed},
		{name: "E20 timestamp 2^64-1", options: []at.Option{at.Member("timestamp", at.Uint(1<<64-1))}, reason: attestation.ReasonMalformed},
		{name: "E20 certificate missing", options: []at.Option{at.WithoutMember("certificate")}, reason: attestation.ReasonMalformed},
		{name: "E20 certificate that is not X.509", options: []at.Option{at.Member("certificate", bytesOf(64))}, reason: attestation.ReasonMalformed},
	})
}

func TestDocumentOfMoreThan16KiBIsRefused(t *testing.T) {
	s := newScene(t)
	for _, size := range []int{attestation.MaxDocumentSize + 1, 1 << 20} {
		d, err := attestation.VerifyArchived(make([]byte, size), s.trust, s.expect(attestation.KindBoot))
		wantReason(t, d, err, attestation.ReasonMalformed)
	}
	t.Run("E13 payload of more than 16 KiB in a good envelope", func(t *testing.T) {
		d, err := s.archived(s.boot(), at.ExtraMember("x", at.Bytes(make([]byte, 16<<10))))
		wantReason(t, d, err, attestation.ReasonMalformed)
	})
}

// The walk over hostile bytes must cost no more than the bytes themselves.
func TestDepthBombsCostNothing(t *testing.T) {
	for _, b := range []byte{0x81, 0x9f, 0xa1, 0xbf, 0x5f, 0x7f, 0xc6, 0xd2, 0x00, 0xf6} {
		bomb := []byte(strings.Repeat(string([]byte{b}), attestation.MaxDocumentSize))
		t.Run(fmt.Sprintf("%#x", b), func(t *testing.T) {
			if allocations := testing.AllocsPerRun(10, func() {
				if attestation.WellFormed(bomb) == nil {
					t.Error("accepted")
				}
			}); allocations > 10 {
				t.Errorf("%v allocations", allocations)
			}
		})
	}
}

// nitrite panics when the key of the leaf is on P-521, whoever signed it. The
// checks before it keep such documents away; if they ever fail, the panic ends
// in an error.
func TestPanicInsideNitriteIsARefusal(t *testing.T) {
	s := newScene(t)
	doc := s.Sign(s.boot(), at.LeafCurve(elliptic.P521()), at.Signature(func(b []byte) []byte { return b[:96] }))
	wantReason(t, nil, attestation.CallNitrite(doc), attestation.ReasonMalformed)
}

// Re-encoding the envelope or the payload changes what was signed, or is not the
// form that is accepted.
func TestReencodedDocumentIsRefused(t *testing.T) {
	s := newScene(t)
	signed := s.Sign(s.boot())
	var payload, definite []byte
	same := s.Now.Add(time.Second)
	p := s.boot()
	p.Timestamp = same
	s.Sign(p, at.RawPayload(func(b []byte) []byte { payload = b; return b }))
	s.Sign(p, at.Definite(), at.RawPayload(func(b []byte) []byte { definite = b; return b }))
	var signature []byte
	s.Sign(p, at.Signature(func(b []byte) []byte { signature = b; return b }))
	assemble := func(head, protected, payload []byte) []byte {
		return slices.Concat(head, protected, []byte{0xa0}, at.Bytes(payload), at.Bytes(signature))
	}
	verify := func(doc []byte) (*attestation.Document, error) {
		return attestation.VerifyArchived(doc, s.trust, s.expect(attestation.KindBoot))
	}
	if _, err := verify(assemble([]byte{0x84}, at.Bytes(at.ES384), payload)); err != nil {
		t.Fatalf("the document put together again: %v", err)
	}
	for _, c := range []struct {
		name   string
		doc    []byte
		reason string
	}{
		{"E18 payload as a map of definite length", assemble([]byte{0x84}, at.Bytes(at.ES384), definite), attestation.ReasonSignature},
		{"E18 protected header in a longer form", assemble([]byte{0x84}, at.Bytes([]byte{0xa1, 0x01, 0x39, 0x00, 0x22}), payload), attestation.ReasonMalformed},
		{"E18 array length in a longer form", assemble([]byte{0x98, 0x04}, at.Bytes(at.ES384), payload), attestation.ReasonMalformed},
		{"E18 protected header as a map", assemble([]byte{0x84}, at.ES384, payload), attestation.ReasonMalformed},
		{"E18 five elements", append(assemble([]byte{0x85}, at.Bytes(at.ES384), payload), 0xf6), attestation.ReasonMalformed},
		{"E18 three elements", append([]byte{0x83}, signed[1:len(signed)-98]...), attestation.ReasonMalformed},
		{"E18 a second document behind it", slices.Concat(signed, signed), attestation.ReasonMalformed},
		{"E18 detached payload", slices.Concat([]byte{0x84}, at.Bytes(at.ES384), []byte{0xa0, 0xf6}, at.Bytes(signature)), attestation.ReasonMalformed},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, err := verify(c.doc)
			wantReason(t, d, err, c.reason)
		})
	}
}
