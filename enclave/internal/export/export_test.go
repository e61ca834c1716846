package export

import (
	"bytes"
	"crypto/ecdh"
	"crypto/hpke"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/attestation/bundle"
	"github.com/sallyport/sallyport/attestation/strictjson"
)

const organization = "f9a31c64-d1a3-4265-a4ef-0242ac120002"

var plaintext = []byte("CANARY-canary-CANARY-canary-1234")

func newTarget(t testing.TB) *ecdh.PrivateKey {
	t.Helper()
	k, err := bundle.NewTarget(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// open is what a recipient does, with the standard library.
func open(target *ecdh.PrivateKey, enc, info, aad, ciphertext []byte) ([]byte, error) {
	k, err := hpke.NewDHKEMPrivateKey(target)
	if err != nil {
		return nil, err
	}
	r, err := hpke.NewRecipient(enc, k, hpke.HKDFSHA256(), hpke.AES256GCM(), info)
	if err != nil {
		return nil, err
	}
	return r.Open(aad, ciphertext)
}

// Seal is all steps of sealing at once.
func Seal(rand io.Reader, plaintext, target []byte, organizationID string) ([]byte, error) {
	e, err := NewEnvelope(rand, target)
	if err != nil {
		return nil, err
	}
	if err := e.Seal(plaintext); err != nil {
		return nil, err
	}
	return e.Data(organizationID)
}

func TestAnEnvelopeSealsOnce(t *testing.T) {
	e, err := NewEnvelope(rand.Reader, newTarget(t).PublicKey().Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Data(organization); err == nil {
		t.Error("an empty envelope has data")
	}
	if err := e.Seal(plaintext); err != nil {
		t.Fatal(err)
	}
	if err := e.Seal(plaintext); err == nil {
		t.Error("it sealed twice")
	}
}

func sealed(t testing.TB, target *ecdh.PrivateKey) bundle.Data {
	t.Helper()
	signed, err := Seal(rand.Reader, plaintext, target.PublicKey().Bytes(), organization)
	if err != nil {
		t.Fatal(err)
	}
	var data bundle.Data
	if err := strictjson.Decode(signed, &data); err != nil {
		t.Fatal(err)
	}
	again, err := data.Encode()
	if err != nil || !bytes.Equal(again, signed) {
		t.Fatalf("data is not canonical: %s, %v", signed, err)
	}
	return data
}

func TestTheRecipientOpensWhatWasSealed(t *testing.T) {
	for range 20 {
		target := newTarget(t)
		data := sealed(t, target)
		if data.OrganizationID != organization {
			t.Errorf("organization %s", data.OrganizationID)
		}
		got, err := open(target, data.EncappedPublic, bundle.Info(), bundle.AAD(data.EncappedPublic, target.PublicKey().Bytes()), data.Ciphertext)
		if err != nil || !bytes.Equal(got, plaintext) {
			t.Fatalf("got %q, %v", got, err)
		}
	}
}

func TestNothingElseOpensIt(t *testing.T) {
	target, other := newTarget(t), newTarget(t)
	public := target.PublicKey().Bytes()
	data, second := sealed(t, target), sealed(t, target)
	if bytes.Equal(data.EncappedPublic, second.EncappedPublic) {
		t.Fatal("two exports share an ephemeral key")
	}
	aad := bundle.AAD(data.EncappedPublic, public)
	flipped := bytes.Clone(data.Ciphertext)
	flipped[0] ^= 1
	for _, tt := range []struct {
		name                  string
		key                   *ecdh.PrivateKey
		enc, info, aad, bytes []byte
	}{
		{"another key", other, data.EncappedPublic, bundle.Info(), aad, data.Ciphertext},
		{"enc of another bundle", target, second.EncappedPublic, bundle.Info(), aad, data.Ciphertext},
		{"another info", target, data.EncappedPublic, []byte("turnkey_hpkf"), aad, data.Ciphertext},
		{"no associated data", target, data.EncappedPublic, bundle.Info(), nil, data.Ciphertext},
		{"another target in the associated data", target, data.EncappedPublic, bundle.Info(), bundle.AAD(data.EncappedPublic, other.PublicKey().Bytes()), data.Ciphertext},
		{"a flipped bit", target, data.EncappedPublic, bundle.Info(), aad, flipped},
		{"a cut", target, data.EncappedPublic, bundle.Info(), aad, data.Ciphertext[:len(data.Ciphertext)-1]},
	} {
		if got, err := open(tt.key, tt.enc, tt.info, tt.aad, tt.bytes); err == nil {
			t.Errorf("%s: opened %q", tt.name, got)
		}
	}
}

// RFC 9180's published test vectors, mode 0, KEM 0x0010, KDF 0x0001, AEAD
// 0x0002, first encryption.
func TestSealIsThatOfTheRFC(t *testing.T) {
	h := func(s string) []byte {
		b, err := hex.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	e, err := newEnvelope(
		bytes.NewReader(h("a90d3417c3da9cb6c6ae19b4b5dd6cc9529a4cc24efb7ae0ace1f31887a8cd6c")),
		h("04abc7e49a4c6b3566d77d0304addc6ed0e98512ffccf505e6a8e3eb25c685136f853148544876de76c0f2ef99cdc3a05ccf5ded7860c7c021238f9e2073d2356c"),
		h("4f6465206f6e2061204772656369616e2055726e"))
	if err != nil {
		t.Fatal(err)
	}
	if err := e.seal(h("4265617574792069732074727574682c20747275746820626561757479"), h("436f756e742d30")); err != nil {
		t.Fatal(err)
	}
	enc, ciphertext := e.enc, e.ciphertext
	if want := h("04c06b4f6bebc7bb495cb797ab753f911aff80aefb86fd8b6fcc35525f3ab5f03e0b21bd31a86c6048af3cb2d98e0d3bf01da5cc4c39ff5370d331a4f1f7d5a4e0"); !bytes.Equal(enc, want) {
		t.Errorf("enc %x", enc)
	}
	if want := h("58c61a45059d0c5704560e9d88b564a8b63f1364b8d1fcb3c4c6ddc1d291742465e902cd216f8908da49f8f96f"); !bytes.Equal(ciphertext, want) {
		t.Errorf("ciphertext %x", ciphertext)
	}
}

func TestSealRefusesWhatItCannotSeal(t *testing.T) {
	good := newTarget(t).PublicKey().Bytes()
	off := bytes.Clone(good)
	off[64] ^= 1
	for _, tt := range []struct {
		name              string
		plaintext, target []byte
		organization      string
		want              string
	}{
		{"no organization", plaintext, good, "", "export: organization id: must not be empty"},
		{"no plaintext", nil, good, organization, "export: plaintext: must be 1 to 4080 bytes"},
		{"too much", make([]byte, 4081), good, organization, "export: plaintext: must be 1 to 4080 bytes"},
		{"no target", plaintext, nil, organization, "export: target key: must be an uncompressed point of 65 bytes"},
		{"short target", plaintext, good[:64], organization, "export: target key: must be an uncompressed point of 65 bytes"},
		{"identity", plaintext, make([]byte, 65), organization, "export: target key: must be an uncompressed point of 65 bytes"},
		{"off the curve", plaintext, off, organization, "export: target key: is not on the curve P-256"},
	} {
		got, err := Seal(rand.Reader, tt.plaintext, tt.target, tt.organization)
		if err == nil || err.Error() != tt.want || got != nil {
			t.Errorf("%s: got %s, %v, want %s", tt.name, got, err, tt.want)
		}
	}
}

type brokenSource struct{}

func (brokenSource) Read([]byte) (int, error) { return 0, errors.New("device is gone") }

func TestSealNeedsRandomBytes(t *testing.T) {
	target := newTarget(t).PublicKey().Bytes()
	got, err := Seal(brokenSource{}, plaintext, target, organization)
	if err == nil || got != nil {
		t.Errorf("got %s, %v", got, err)
	}
	if got, err = Seal(bytes.NewReader(make([]byte, 31)), plaintext, target, organization); err == nil || got != nil {
		t.Errorf("31 bytes: got %s, %v", got, err)
	}
}

func TestSealedDataShowsNoPlaintext(t *testing.T) {
	signed, err := Seal(rand.Reader, plaintext, newTarget(t).PublicKey().Bytes(), organization)
	if err != nil {
		t.Fatal(err)
	}
	if s := string(signed); strings.Contains(s, "CANARY") || strings.Contains(s, hex.EncodeToString(plaintext[:6])) {
		t.Error(s)
	}
}

func BenchmarkSeal(b *testing.B) {
	target := newTarget(b).PublicKey().Bytes()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Seal(rand.Reader, plaintext, target, organization); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseTarget(b *testing.B) {
	digits := hex.EncodeToString(newTarget(b).PublicKey().Bytes())
	for b.Loop() {
		if _, err := ParseTarget(digits); err != nil {
			b.Fatal(err)
		}
	}
}
