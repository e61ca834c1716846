package bundle_test

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/cloudflare/circl/hpke"
	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/attestation"
	"github.com/sallyport/sallyport/attestation/bundle"
)

func TestBundleOpens(t *testing.T) {
	w := newWorld(t)
	plaintext, v, err := bundle.Open(w.bundle(), w.target, w.expect())
	if err != nil {
		t.Fatal(err)
	}
	if string(plaintext) != testPlaintext {
		t.Errorf("plaintext = %q", plaintext)
	}
	if v.Assurance != attestation.AssuranceLocal || v.Fresh != nil || v.Live {
		t.Errorf("assurance %q, fresh %v, live %v", v.Assurance, v.Fresh, v.Live)
	}
	if v.Statement.JournalIndex != 42 || v.Statement.PrivateKeyID != testKeyID {
		t.Errorf("statement = %+v", v.Statement)
	}
	if !bytes.Equal(v.Document.PublicKey, w.ephemeral()) || v.Manifest.Name != "test" {
		t.Errorf("document key %x, manifest %q", v.Document.PublicKey, v.Manifest.Name)
	}
}

func TestNonceMakesABundleLive(t *testing.T) {
	w := newWorld(t)
	w.nonces = [][]byte{[]byte("another client's"), []byte(testNonce), []byte("a third one's...")}
	b := w.bundle()
	v, err := bundle.Verify(b, w.expect())
	if err != nil {
		t.Fatal(err)
	}
	if !v.Live || v.Fresh == nil {
		t.Errorf("live %v, fresh %v", v.Live, v.Fresh)
	}
	e := w.expect()
	e.Nonce = nil
	if v, err = bundle.Verify(b, e); err != nil || v.Live || v.Fresh == nil {
		t.Errorf("without the nonce: %+v, %v", v, err)
	}
}

// TestOldBundleStillVerifies: a bundle that was kept is verified at its own
// time, but is not live.
func TestOldBundleStillVerifies(t *testing.T) {
	w := newWorld(t)
	w.nonces = [][]byte{[]byte(testNonce)}
	b, e := w.bundle(), w.expect()
	e.Now = e.Now.AddDate(10, 0, 0)
	var refused *bundle.Error
	if _, err := bundle.Verify(b, e); !errors.As(err, &refused) || refused.Reason != bundle.ReasonFresh {
		t.Errorf("live check after ten years: %v", err)
	}
	e.Nonce = nil
	if _, err := bundle.Verify(b, e); err != nil {
		t.Errorf("archived check after ten years: %v", err)
	}
}

func TestExpectationsThatAreNotSetAreNotChecked(t *testing.T) {
	w := newWorld(t)
	e := w.expect()
	e.PrivateKeyID, e.PublicKey, e.Fingerprint = "", "", ""
	if _, err := bundle.Verify(w.bundle(), e); err != nil {
		t.Error(err)
	}
}

func TestHalfAnExpectationIsRefused(t *testing.T) {
	w := newWorld(t)
	b := w.bundle()
	for name, change := range map[string]func(*bundle.Expect){
		"no trust":               func(e *bundle.Expect) { e.Trust = attestation.Trust{} },
		"no quorum key":          func(e *bundle.Expect) { e.QuorumPublicKey = nil },
		"compressed quorum key":  func(e *bundle.Expect) { e.QuorumPublicKey = compressed(e.QuorumPublicKey) },
		"quorum key off curve":   func(e *bundle.Expect) { e.QuorumPublicKey = append([]byte{4}, make([]byte, 64)...) },
		"no organization":        func(e *bundle.Expect) { e.OrganizationID = "" },
		"no target":              func(e *bundle.Expect) { e.TargetPublicKey = nil },
		"short manifest hash":    func(e *bundle.Expect) { e.ManifestHash = make([]byte, 31) },
		"short nonce":            func(e *bundle.Expect) { e.Nonce, e.Now = make([]byte, 15), w.pki.Now },
		"empty nonce":            func(e *bundle.Expect) { e.Nonce, e.Now = []byte{}, w.pki.Now },
		"long nonce":             func(e *bundle.Expect) { e.Nonce, e.Now = make([]byte, 65), w.pki.Now },
		"nonce without the time": func(e *bundle.Expect) { e.Nonce = make([]byte, 32) },
	} {
		t.Run(name, func(t *testing.T) {
			e := w.expect()
			change(&e)
			v, err := bundle.Verify(b, e)
			var refused *bundle.Error
			if !errors.As(err, &refused) || refused.Reason != bundle.ReasonUsage || v != nil {
				t.Errorf("Verify = %v, %v; want reason usage", v, err)
			}
		})
	}
}

func TestTargetKeyMustBeTheOnePinned(t *testing.T) {
	w := newWorld(t)
	other, err := bundle.NewTarget(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	x25519, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string]*ecdh.PrivateKey{"another key": other, "another curve": x25519, "nil": nil} {
		plaintext, v, err := bundle.Open(w.bundle(), key, w.expect())
		var refused *bundle.Error
		if !errors.As(err, &refused) || refused.Reason != bundle.ReasonUsage || plaintext != nil || v != nil {
			t.Errorf("%s: Open = %q, %v, %v", name, plaintext, v, err)
		}
	}
	e := w.expect()
	e.TargetPublicKey = nil
	_, _, err = bundle.Open(w.bundle(), other, e)
	var refused *bundle.Error
	if !errors.As(err, &refused) || refused.Reason != bundle.ReasonTargetKey {
		t.Errorf("bundle for another target: %v", err)
	}
}

// TestCirclSealsTheSame holds the opener, which is crypto/hpke, against the
// implementation that the enclave seals with.
func TestCirclSealsTheSame(t *testing.T) {
	w := newWorld(t)
	w.data = func(d *bundle.Data) {
		suite := hpke.NewSuite(hpke.KEM_P256_HKDF_SHA256, hpke.KDF_HKDF_SHA256, hpke.AEAD_AES256GCM)
		public := must(hpke.KEM_P256_HKDF_SHA256.Scheme().UnmarshalBinaryPublicKey(w.sealTo))(t)
		sender := must(suite.NewSender(public, bundle.Info()))(t)
		enc, sealer, err := sender.Setup(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		d.EncappedPublic = enc
		d.Ciphertext = must(sealer.Seal([]byte("sealed by circl"), bundle.AAD(enc, w.sealTo)))(t)
	}
	plaintext, _, err := bundle.Open(w.bundle(), w.target, w.expect())
	if err != nil || string(plaintext) != "sealed by circl" {
		t.Errorf("Open = %q, %v", plaintext, err)
	}
}

func TestOuterKeepsItsOrder(t *testing.T) {
	w := newWorld(t)
	w.nonces = [][]byte{[]byte(testNonce)}
	b := w.bundle()
	var names []string
	d := json.NewDecoder(bytes.NewReader(b))
	for depth, name := 0, true; ; {
		token, err := d.Token()
		if err != nil {
			break
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			depth++
			name = true
			continue
		case json.Delim('}'), json.Delim(']'):
			depth--
			name = true
			continue
		}
		if depth == 1 && name {
			names = append(names, token.(string))
		}
		name = !name || depth != 1
	}
	want := []string{"version", "data", "dataSignature", "enclaveQuorumPublic", "attestationDocument", "manifest", "attestationProof", "freshAttestation"}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("members (-want +got):\n%s", diff)
	}
	o, err := bundle.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := o.Encode(); err != nil || !bytes.Equal(again, b) {
		t.Errorf("encoding again gave other bytes: %v", err)
	}
}

func TestDataHasTheseBytes(t *testing.T) {
	got, err := bundle.Data{EncappedPublic: []byte{4, 1}, Ciphertext: []byte{0xff}, OrganizationID: "o"}.Encode()
	if want := `{"encappedPublic":"0401","ciphertext":"ff","organizationId":"o"}`; err != nil || string(got) != want {
		t.Errorf("data = %s, %v; want %s", got, err, want)
	}
}

func TestErrorsNameTheirReason(t *testing.T) {
	w := newWorld(t)
	e := w.expect()
	e.Trust = newWorld(t).pki.Trust()
	_, err := bundle.Verify(w.bundle(), e)
	var cause *attestation.Error
	if !errors.As(err, &cause) || cause.Reason != attestation.ReasonUntrustedRoot {
		t.Errorf("no attestation error behind %v", err)
	}
	if err == nil || !strings.HasPrefix(err.Error(), "bundle: attestation: ") {
		t.Errorf("error = %v", err)
	}
}

func BenchmarkVerify(b *testing.B) {
	w := newWorld(b)
	blob, e := w.bundle(), w.expect()
	b.Run("warm", func(b *testing.B) {
		for b.Loop() {
			if _, err := bundle.Verify(blob, e); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("cold", func(b *testing.B) {
		for b.Loop() {
			e.Trust = w.pki.Trust()
			if _, err := bundle.Verify(blob, e); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("open", func(b *testing.B) {
		for b.Loop() {
			if _, _, err := bundle.Open(blob, w.target, e); err != nil {
				b.Fatal(err)
			}
		}
	})
}
