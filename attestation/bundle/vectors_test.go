package bundle_test

import (
	"bytes"
	"crypto/ecdh"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"flag"
	"os"
	"slices"
	"testing"
	"testing/cryptotest"
	"testing/synctest"
	"time"

	"github.com/sallyport/sallyport/attestation"
	"github.com/sallyport/sallyport/attestation/attestationtest"
	"github.com/sallyport/sallyport/attestation/bundle"
	"github.com/sallyport/sallyport/attestation/strictjson"
)

var update = flag.Bool("update", false, "write testdata/vectors.json again")

const vectorsFile = "testdata/vectors.json"

// vectors is the file: what the client expects of all bundles, and the
// bundles. README.md describes it for other implementations.
type vectors struct {
	Source           string         `json:"source"`
	LocalRoot        string         `json:"localRoot"`
	QuorumPublicKey  strictjson.Hex `json:"quorumPublicKey"`
	OrganizationID   string         `json:"organizationId"`
	TargetPrivateKey strictjson.Hex `json:"targetPrivateKey"`
	PrivateKeyID     string         `json:"privateKeyId"`
	PublicKey        string         `json:"publicKey"`
	Fingerprint      string         `json:"fingerprint"`
	Plaintext        strictjson.Hex `json:"plaintext"`
	Vectors          []vector       `json:"vectors"`
}

type vector struct {
	Name   string         `json:"name"`
	Reason string         `json:"reason"` // empty: the bundle is valid
	Nonce  strictjson.Hex `json:"nonce,omitempty"`
	NowMs  int64          `json:"nowMs,omitempty"`
	Bundle string         `json:"bundle"`
}

// published are the refusals that other implementations should share: those
// that somebody with a key of his own could make.
var published = []string{
	"unknown member", "version v1.0.1", "another appliance", "data signed by another key", "data in another order",
	"encapped key is no point", "another organization", "genesis manifest", "manifest of another appliance",
	"manifest that the document is not bound to", "document under another root", "document of a debug enclave",
	"document with a register not locked", "proof by a key of another enclave", "proof that claims the attested key",
	"proof not canonical", "proof about other data", "proof from before the boot", "target key swapped",
	"another key id", "another activity", "fresh attestation for another nonce", "fresh attestation of another boot",
	"sealed to another key than the proof says", "ciphertext changed",
}

func TestVectors(t *testing.T) {
	file := loadVectors(t)
	if len(file.Vectors) < len(published)+2 {
		t.Fatalf("only %d vectors", len(file.Vectors))
	}
	target, e := file.expect(t)
	for _, v := range file.Vectors {
		t.Run(v.Name, func(t *testing.T) {
			e := e
			if v.Nonce != nil {
				e.Nonce, e.Now = v.Nonce, time.UnixMilli(v.NowMs)
			}
			plaintext, _, err := bundle.Open([]byte(v.Bundle), target, e)
			if v.Reason == "" {
				if err != nil || !bytes.Equal(plaintext, file.Plaintext) {
					t.Errorf("Open = %q, %v", plaintext, err)
				}
				return
			}
			var refused *bundle.Error
			if !errors.As(err, &refused) || refused.Reason != v.Reason || plaintext != nil {
				t.Errorf("error = %v, want reason %s", err, v.Reason)
			}
		})
	}
}

func TestVectorsAreMadeTheSameAgain(t *testing.T) {
	var made [2][]byte
	for i := range made {
		t.Run("", func(t *testing.T) { made[i] = makeVectors(t) })
	}
	if !bytes.Equal(made[0], made[1]) {
		t.Error("two runs made different vectors")
	}
	if *update {
		if err := os.WriteFile(vectorsFile, made[0], 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// makeVectors makes the file with a fixed seed at a fixed time.
func makeVectors(t *testing.T) (file []byte) {
	cryptotest.SetGlobalRandom(t, 1)
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		v := describe(w)
		v.add("valid", "", w)
		fresh := newWorld(t)
		fresh.pki, fresh.nonces = w.pki, [][]byte{[]byte("another client's"), []byte(testNonce)}
		v.add("valid and live", "", fresh)
		for _, name := range published {
			i := slices.IndexFunc(refusals, func(r refusal) bool { return r.name == name })
			if i < 0 || refusals[i].expect != nil {
				t.Fatalf("no refusal %q that needs no other expectations", name)
			}
			v.addRefusal(refusals[i], w.pki, t)
		}
		var b bytes.Buffer
		encoder := json.NewEncoder(&b)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		if err := encoder.Encode(v); err != nil {
			t.Fatal(err)
		}
		file = b.Bytes()
	})
	return file
}

func describe(w *world) *vectors {
	e := w.expect()
	return &vectors{
		Source:           "made by TestVectorsAreMadeTheSameAgain with -update; see README.md",
		LocalRoot:        string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: w.pki.Root.Raw})),
		QuorumPublicKey:  e.QuorumPublicKey,
		OrganizationID:   e.OrganizationID,
		TargetPrivateKey: w.target.Bytes(),
		PrivateKeyID:     e.PrivateKeyID,
		PublicKey:        e.PublicKey,
		Fingerprint:      e.Fingerprint,
		Plaintext:        []byte(testPlaintext),
	}
}

func (v *vectors) add(name, reason string, w *world) *vector {
	one := vector{Name: name, Reason: reason, Bundle: string(w.bundle())}
	if w.nonces != nil {
		one.Nonce, one.NowMs = []byte(testNonce), w.pki.Now.UnixMilli()
	}
	v.Vectors = append(v.Vectors, one)
	return &v.Vectors[len(v.Vectors)-1]
}

func (v *vectors) addRefusal(r refusal, pki *attestationtest.PKI, t *testing.T) {
	w := newWorld(t)
	w.pki = pki
	if r.world != nil {
		r.world(w)
	}
	one := v.add(r.name, r.reason, w)
	if r.text != nil {
		one.Bundle = r.text(one.Bundle)
	}
}

func loadVectors(t testing.TB) *vectors {
	t.Helper()
	b, err := os.ReadFile(vectorsFile)
	if err != nil {
		t.Fatal(err)
	}
	var v vectors
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	return &v
}

// expect is what the file says the client expects.
func (v *vectors) expect(t testing.TB) (*ecdh.PrivateKey, bundle.Expect) {
	t.Helper()
	block, _ := pem.Decode([]byte(v.LocalRoot))
	if block == nil {
		t.Fatal("localRoot is not PEM")
	}
	root := must(x509.ParseCertificate(block.Bytes))(t)
	trust := must(attestation.TrustLocal(root))(t)
	target := must(ecdh.P256().NewPrivateKey(v.TargetPrivateKey))(t)
	return target, bundle.Expect{
		Trust: trust, QuorumPublicKey: v.QuorumPublicKey, OrganizationID: v.OrganizationID,
		PrivateKeyID: v.PrivateKeyID, PublicKey: v.PublicKey, Fingerprint: v.Fingerprint,
	}
}
