package bundle_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/attestation"
	"github.com/sallyport/sallyport/attestation/attestationtest"
	"github.com/sallyport/sallyport/attestation/bundle"
	"github.com/sallyport/sallyport/attestation/proof"
)

// refusal is one way in which a bundle is wrong. Each changes one thing and
// signs everything again that a dishonest party could sign.
type refusal struct {
	name   string
	reason string
	world  func(*world)         // before the bundle is made
	expect func(*bundle.Expect) // what the client expects otherwise
	text   func(string) string  // after the bundle is made
}

func replace(old, new string) func(string) string {
	return func(s string) string { return strings.Replace(s, old, new, 1) }
}

// The table is in the order of the checks.
var refusals = []refusal{
	{name: "empty", reason: bundle.ReasonMalformed, text: func(string) string { return "" }},
	{name: "not an object", reason: bundle.ReasonMalformed, text: func(string) string { return "[]" }},
	{name: "huge", reason: bundle.ReasonMalformed, text: func(s string) string { return s + strings.Repeat(" ", bundle.MaxSize) }},
	{name: "two bundles", reason: bundle.ReasonMalformed, text: func(s string) string { return s + s }},
	{name: "unknown member", reason: bundle.ReasonMalformed, text: replace(`{"version"`, `{"algorithm":"","version"`)},
	{name: "member twice", reason: bundle.ReasonMalformed, text: replace(`{"version"`, `{"version":"v1.0.0","version"`)},
	{name: "member in other case", reason: bundle.ReasonMalformed, text: replace(`"version"`, `"Version"`)},
	{name: "no proof", reason: bundle.ReasonMalformed, text: replace(`"attestationProof"`, `"attestationProof":null,"x"`)},
	{name: "no document", reason: bundle.ReasonMalformed, world: func(w *world) {
		w.outer = func(o *bundle.Outer) { o.AttestationDocument = nil }
	}},
	{name: "upper-case hex", reason: bundle.ReasonMalformed, text: replace(`"data":"7b`, `"data":"7B`)},
	{name: "prefixed hex", reason: bundle.ReasonMalformed, text: replace(`"data":"7b`, `"data":"0x7b`)},
	{name: "base64 without padding", reason: bundle.ReasonMalformed, world: func(w *world) {
		for len(w.manifest.Encode())%3 == 0 {
			w.manifest.Name += "+" // so that there is padding
		}
	}, text: replace(`="`, `"`)},
	{name: "version v1.0.1", reason: bundle.ReasonVersion, world: func(w *world) { w.version = "v1.0.1" }},
	{name: "version empty", reason: bundle.ReasonVersion, world: func(w *world) { w.version = "" }},
	{name: "another appliance", reason: bundle.ReasonQuorumKey, world: func(w *world) {
		w.quorum = testKey(w.t, "other")
		w.manifest.QuorumPublicKey = point(w.t, w.quorum)
	}},
	{name: "compressed quorum key", reason: bundle.ReasonQuorumKey, world: func(w *world) {
		w.outer = func(o *bundle.Outer) { o.EnclaveQuorumPublic = compressed(o.EnclaveQuorumPublic) }
	}},
	{name: "data signed by another key", reason: bundle.ReasonDataSignature, world: func(w *world) {
		w.outer = func(o *bundle.Outer) { o.DataSignature = must(bundle.Sign(testKey(w.t, "other"), o.Data))(w.t) }
	}},
	{name: "data signed by the ephemeral key", reason: bundle.ReasonDataSignature, world: func(w *world) {
		w.outer = func(o *bundle.Outer) { o.DataSignature = must(bundle.Sign(w.signing, o.Data))(w.t) }
	}},
	{name: "signature with bytes after it", reason: bundle.ReasonDataSignature, world: func(w *world) {
		w.outer = func(o *bundle.Outer) { o.DataSignature = append(o.DataSignature, 0) }
	}},
	{name: "signature of 64 bytes", reason: bundle.ReasonDataSignature, world: func(w *world) {
		w.outer = func(o *bundle.Outer) {
			o.DataSignature = must(hex.DecodeString(o.AttestationProof.Signature))(w.t)
		}
	}},
	{name: "no signature", reason: bundle.ReasonDataSignature, world: func(w *world) {
		w.outer = func(o *bundle.Outer) { o.DataSignature = nil }
	}},
	{name: "data in another order", reason: bundle.ReasonMalformed, world: signData(func(d string) string {
		return `{"organizationId":"` + testOrganization + `",` + strings.TrimSuffix(d[1:], `,"organizationId":"`+testOrganization+`"}`) + "}"
	})},
	{name: "data with space", reason: bundle.ReasonMalformed, world: signData(func(d string) string { return d + " " })},
	{name: "data with unknown member", reason: bundle.ReasonMalformed, world: signData(replace(`{`, `{"x":1,`))},
	{name: "encapped key is no point", reason: bundle.ReasonMalformed, world: func(w *world) {
		w.data = func(d *bundle.Data) { d.EncappedPublic[64] ^= 1 }
	}},
	{name: "encapped key compressed", reason: bundle.ReasonMalformed, world: func(w *world) {
		w.data = func(d *bundle.Data) { d.EncappedPublic = compressed(d.EncappedPublic) }
	}},
	{name: "encapped key is the identity", reason: bundle.ReasonMalformed, world: func(w *world) {
		w.data = func(d *bundle.Data) { d.EncappedPublic = []byte{0} }
	}},
	{name: "ciphertext is only a tag", reason: bundle.ReasonMalformed, world: func(w *world) {
		w.data = func(d *bundle.Data) { d.Ciphertext = d.Ciphertext[:16] }
	}},
	{name: "ciphertext huge", reason: bundle.ReasonMalformed, world: func(w *world) {
		w.data = func(d *bundle.Data) { d.Ciphertext = make([]byte, bundle.MaxCiphertext+1) }
	}},
	{name: "another organization", reason: bundle.ReasonOrganization, world: func(w *world) {
		w.data = func(d *bundle.Data) { d.OrganizationID = strings.Replace(d.OrganizationID, "1", "2", 1) }
	}},
	{name: "another organization expected", reason: bundle.ReasonOrganization, expect: func(e *bundle.Expect) {
		e.OrganizationID = strings.ToUpper(e.OrganizationID)
	}},
	{name: "manifest not pinned", reason: bundle.ReasonManifest, expect: func(e *bundle.Expect) { e.ManifestHash = make([]byte, 32) }},
	{name: "manifest not canonical", reason: bundle.ReasonManifest, world: func(w *world) {
		w.outer = func(o *bundle.Outer) { o.Manifest = append(o.Manifest, '\n') }
	}},
	{name: "genesis manifest", reason: bundle.ReasonManifest, world: func(w *world) {
		m := &w.manifest
		m.Version, m.Appliance, m.QuorumPublicKey, m.CheckpointPublicKey, m.Genesis = 0, nil, nil, nil, nil
	}},
	{name: "manifest of another appliance", reason: bundle.ReasonManifest, world: func(w *world) {
		w.manifest.QuorumPublicKey = point(w.t, testKey(w.t, "other"))
	}},
	{name: "manifest that claims Nitro", reason: bundle.ReasonManifest, world: func(w *world) {
		w.manifest.Assurance = attestation.AssuranceNitro
		w.manifest.Measurements = []attestation.Measurements{{PCR0: [48]byte{1}, PCR1: [48]byte{2}, PCR2: [48]byte{3}}}
	}},
	{name: "manifest that the document is not bound to", reason: bundle.ReasonAttestation, world: func(w *world) {
		w.outer = func(o *bundle.Outer) {
			m := w.manifest
			m.Name = "other"
			o.Manifest = m.Encode()
		}
	}},
	{name: "document under another root", reason: bundle.ReasonAttestation, world: func(w *world) {
		w.outer = func(o *bundle.Outer) {
			o.AttestationDocument = attestationtest.New(w.t).Sign(attestationtest.Boot(w.ephemeral(), attestation.Hash(o.Manifest)))
		}
	}},
	{name: "document of a debug enclave", reason: bundle.ReasonAttestation, world: func(w *world) {
		w.document = func(p *attestationtest.Payload) {
			for i := range 3 {
				p.PCRs[i] = make([]byte, 48)
			}
		}
	}},
	{name: "document of another image", reason: bundle.ReasonAttestation, world: func(w *world) {
		w.document = func(p *attestationtest.Payload) { p.PCRs[2] = bytes.Repeat([]byte{7}, 48) }
	}},
	{name: "document with a register not locked", reason: bundle.ReasonAttestation, world: func(w *world) {
		w.document = func(p *attestationtest.Payload) { delete(p.PCRs, 31) }
	}},
	{name: "document of another kind", reason: bundle.ReasonAttestation, world: func(w *world) {
		w.document = func(p *attestationtest.Payload) { p.Nonce = make([]byte, 32) }
	}},
	{name: "proof by a key of another enclave", reason: bundle.ReasonProof, world: func(w *world) {
		w.outer = func(o *bundle.Outer) {
			payload := []byte(o.AttestationProof.ProofPayload)
			o.AttestationProof = must(proof.Sign(w.quorum, append(point(w.t, w.boot), point(w.t, w.quorum)...), payload))(w.t)
		}
	}},
	{name: "proof that claims the attested key", reason: bundle.ReasonProof, world: func(w *world) {
		w.outer = func(o *bundle.Outer) {
			forged := must(proof.Sign(w.quorum, append(point(w.t, w.boot), point(w.t, w.quorum)...), []byte(o.AttestationProof.ProofPayload)))(w.t)
			o.AttestationProof.Signature = forged.Signature
		}
	}},
	{name: "proof by the boot key", reason: bundle.ReasonProof, world: func(w *world) {
		w.outer = func(o *bundle.Outer) {
			swapped := append(point(w.t, w.signing), point(w.t, w.boot)...)
			o.AttestationProof = must(proof.Sign(w.boot, swapped, []byte(o.AttestationProof.ProofPayload)))(w.t)
		}
	}},
	{name: "proof of another type", reason: bundle.ReasonProof, world: signPayload(replace("TYPE_EXPORT", "TYPE_IMPORT"))},
	{name: "proof not canonical", reason: bundle.ReasonProof, world: signPayload(replace(`{`, `{ `))},
	{name: "proof about other data", reason: bundle.ReasonProof, world: func(w *world) {
		w.statement = func(s *proof.ExportStatement) { s.DataHash[0] ^= 1 }
	}},
	{name: "proof about another organization", reason: bundle.ReasonProof, world: func(w *world) {
		w.statement = func(s *proof.ExportStatement) { s.OrganizationID = strings.Replace(s.OrganizationID, "1", "2", 1) }
	}},
	{name: "proof about another appliance", reason: bundle.ReasonProof, world: func(w *world) {
		w.statement = func(s *proof.ExportStatement) { s.QuorumPublicKey = point(w.t, testKey(w.t, "other")) }
	}},
	{name: "proof from before the boot", reason: bundle.ReasonProof, world: func(w *world) {
		w.statement = func(s *proof.ExportStatement) {
			s.TimestampMs = w.pki.Now.Add(-5*time.Minute - time.Millisecond).UnixMilli()
		}
	}},
	{name: "target key swapped", reason: bundle.ReasonTargetKey, world: func(w *world) {
		w.sealTo = point(w.t, testKey(w.t, "thief"))
		w.statement = func(s *proof.ExportStatement) { s.TargetPublicKey = w.sealTo }
	}},
	{name: "another key id", reason: bundle.ReasonKey, world: func(w *world) {
		w.statement = func(s *proof.ExportStatement) { s.PrivateKeyID = "7" + s.PrivateKeyID[1:] }
	}},
	{name: "another public key", reason: bundle.ReasonKey, world: func(w *world) {
		w.statement = func(s *proof.ExportStatement) { s.PublicKey = s.PublicKey[:64] + "00" }
	}},
	{name: "another activity", reason: bundle.ReasonFingerprint, world: func(w *world) {
		w.statement = func(s *proof.ExportStatement) {
			s.ActivityFingerprint = "sha256:" + strings.Repeat("f0", 32)
		}
	}},
	{name: "nonce but no fresh attestation", reason: bundle.ReasonFresh, expect: func(e *bundle.Expect) {
		e.Nonce, e.Now = []byte(testNonce), time.Unix(1, 0)
	}},
	{name: "fresh attestation for another nonce", reason: bundle.ReasonFresh, world: func(w *world) {
		w.nonces = [][]byte{[]byte("another client's")}
	}},
	{name: "fresh attestation of another boot", reason: bundle.ReasonFresh, world: func(w *world) {
		w.nonces = [][]byte{[]byte(testNonce)}
		w.fresh = func(p *attestationtest.Payload) {
			root := p.Nonce
			*p = attestationtest.Challenge(append(point(w.t, w.signing), point(w.t, w.boot)...), p.UserData, root)
		}
	}},
	{name: "fresh attestation under another manifest", reason: bundle.ReasonFresh, world: func(w *world) {
		w.nonces = [][]byte{[]byte(testNonce)}
		w.fresh = func(p *attestationtest.Payload) {
			*p = attestationtest.Challenge(p.PublicKey, make([]byte, 32), p.Nonce)
		}
	}},
	{name: "fresh attestation that is old", reason: bundle.ReasonFresh, world: func(w *world) {
		w.nonces = [][]byte{[]byte(testNonce)}
	}, expect: func(e *bundle.Expect) { e.Now = e.Now.Add(5*time.Minute + time.Second) }},
	{name: "boot document as fresh attestation", reason: bundle.ReasonFresh, world: func(w *world) {
		w.nonces = [][]byte{[]byte(testNonce)}
		w.outer = func(o *bundle.Outer) { o.FreshAttestation.Document = o.AttestationDocument }
	}},
	{name: "fresh attestation with a path too long", reason: bundle.ReasonFresh, world: func(w *world) {
		w.nonces = [][]byte{[]byte(testNonce)}
		w.outer = func(o *bundle.Outer) {
			p := &o.FreshAttestation.Path
			p.Hashes = append(p.Hashes, strings.Repeat("00", 32))
		}
	}},
	{name: "sealed to another key than the proof says", reason: bundle.ReasonDecrypt, world: func(w *world) {
		w.sealTo = point(w.t, testKey(w.t, "thief"))
	}},
	{name: "encapped key of another bundle", reason: bundle.ReasonDecrypt, world: func(w *world) {
		w.data = func(d *bundle.Data) { d.EncappedPublic = w.sealed().EncappedPublic }
	}},
	{name: "ciphertext changed", reason: bundle.ReasonDecrypt, world: func(w *world) {
		w.data = func(d *bundle.Data) { d.Ciphertext[0] ^= 1 }
	}},
}

// signData changes the signed data, and signs it again with the right keys.
func signData(change func(string) string) func(*world) {
	return func(w *world) {
		w.outer = func(o *bundle.Outer) {
			o.Data = []byte(change(string(o.Data)))
			o.DataSignature = must(bundle.Sign(w.quorum, o.Data))(w.t)
			o.AttestationProof = w.proof(o.Data)
		}
	}
}

// signPayload changes the proof's payload and signs it with the right key.
func signPayload(change func(string) string) func(*world) {
	return func(w *world) {
		w.outer = func(o *bundle.Outer) {
			payload := []byte(change(o.AttestationProof.ProofPayload))
			o.AttestationProof = must(proof.Sign(w.signing, w.ephemeral(), payload))(w.t)
		}
	}
}

func TestWrongBundlesAreRefused(t *testing.T) {
	for _, tt := range refusals {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			if tt.world != nil {
				tt.world(w)
			}
			b := w.bundle()
			if tt.text != nil {
				changed := tt.text(string(b))
				if changed == string(b) {
					t.Fatal("the case changes nothing")
				}
				b = []byte(changed)
			}
			e := w.expect()
			if tt.expect != nil {
				tt.expect(&e)
			}
			plaintext, v, err := bundle.Open(b, w.target, e)
			var refused *bundle.Error
			if !errors.As(err, &refused) || refused.Reason != tt.reason {
				t.Errorf("error = %v, want reason %s", err, tt.reason)
			}
			if plaintext != nil || v != nil {
				t.Errorf("there is a result beside the error: %q, %v", plaintext, v)
			}
			if refused != nil && strings.Contains(refused.Error(), testPlaintext) {
				t.Errorf("the error holds the plaintext")
			}
		})
	}
}

// TestEveryChangedByteIsRefused changes each byte of a bundle in turn. Hex is
// lower case and base64 canonical, so that there is no change without effect.
//
// Inside the two documents most bytes are only parsed: that the text changed
// means that the document did, and that no changed document verifies is what
// the package attestation tests.
func TestEveryChangedByteIsRefused(t *testing.T) {
	w := newWorld(t)
	w.nonces = [][]byte{[]byte("another client's"), []byte(testNonce)}
	good, e := w.bundle(), w.expect()
	want, err := bundle.Parse(good)
	if err != nil {
		t.Fatal(err)
	}
	inside := documents(t, good)
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= flip(i)
		if inside[i] && i%16 != 0 {
			if got, err := bundle.Parse(bad); err == nil && reflect.DeepEqual(want, got) {
				t.Fatalf("byte %d changed from %q to %q: not seen", i, good[i], bad[i])
			}
			continue
		}
		if v, err := bundle.Verify(bad, e); err == nil || v != nil {
			t.Fatalf("byte %d changed from %q to %q: accepted\n...%s", i, good[i], bad[i], good[max(0, i-40):i+1])
		}
	}
}

// flip changes every byte in a way that differs from byte to byte; 0x20 turns
// hex digits and names into the other case.
func flip(i int) byte { return []byte{0x01, 0x20, 0x02, 0x04, 0x80}[i%5] }

// documents tells which bytes are base64 of an attestation document.
func documents(t testing.TB, b []byte) []bool {
	t.Helper()
	inside := make([]bool, len(b))
	for _, name := range []string{`"attestationDocument":"`, `"document":"`} {
		start := bytes.Index(b, []byte(name)) + len(name)
		end := start + bytes.IndexByte(b[start:], '"')
		if start < len(name) || end-start < 4000 {
			t.Fatalf("no document after %s", name)
		}
		for i := start; i < end; i++ {
			inside[i] = true
		}
	}
	return inside
}

func TestEveryTruncationIsRefused(t *testing.T) {
	w := newWorld(t)
	good, e := w.bundle(), w.expect()
	for i := range good {
		if _, err := bundle.Verify(good[:i], e); err == nil {
			t.Fatalf("cut to %d bytes: accepted", i)
		}
	}
}

// TestCaseOfEveryHexDigitIsRefused is the change that other decoders ignore.
func TestCaseOfEveryHexDigitIsRefused(t *testing.T) {
	w := newWorld(t)
	good, e := w.bundle(), w.expect()
	for i, c := range good {
		if c < 'a' || c > 'f' {
			continue
		}
		bad := bytes.Clone(good)
		bad[i] -= 'a' - 'A'
		if _, err := bundle.Verify(bad, e); err == nil {
			t.Fatalf("byte %d in upper case: accepted\n...%s", i, good[max(0, i-40):i+1])
		}
	}
}

// TestBothSignaturesOfTheQuorumKeyAreAccepted fixes what malleability means
// here: s and n-s are both valid, because other clients accept both, and so
// nothing may be identified by a signature.
func TestBothSignaturesOfTheQuorumKeyAreAccepted(t *testing.T) {
	w := newWorld(t)
	w.outer = func(o *bundle.Outer) { o.DataSignature = twin(t, w.quorum, o.DataSignature) }
	if _, err := bundle.Verify(w.bundle(), w.expect()); err != nil {
		t.Error(err)
	}
}

func FuzzOpen(f *testing.F) {
	w := newWorld(f)
	w.nonces = [][]byte{[]byte(testNonce)}
	good, e := w.bundle(), w.expect()
	f.Add(good)
	f.Add(good[:len(good)/2])
	f.Add([]byte(`{"version":"v1.0.0"}`))
	f.Add([]byte(base64.StdEncoding.EncodeToString(good)))
	f.Fuzz(func(t *testing.T, b []byte) {
		plaintext, v, err := bundle.Open(b, w.target, e)
		if err != nil {
			var refused *bundle.Error
			if !errors.As(err, &refused) || plaintext != nil || v != nil {
				t.Fatalf("Open = %q, %v, %v", plaintext, v, err)
			}
			return
		}
		// Only white space and the order of members are free.
		o, err := bundle.Parse(b)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := o.Encode(); err != nil || !bytes.Equal(again, good) {
			t.Fatalf("accepted another bundle than the enclave's: %v", err)
		}
	})
}
