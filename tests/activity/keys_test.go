package activity_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"math/big"
	"testing"

	"filippo.io/nistec"
	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	secpecdsa "github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"

	"github.com/sallyport/sallyport/attestation/bundle"
)

type privateKey struct {
	PrivateKeyID, PublicKey, PrivateKeyName, Curve string
	Addresses                                      []struct{ Format, Address string }
	Exported                                       bool
}

func (w *world) getKey(kid string) privateKey {
	w.Helper()
	var out struct{ PrivateKey privateKey }
	w.query("get_private_key", map[string]string{"organizationId": w.org, "privateKeyId": kid}, 0, &out)
	return out.PrivateKey
}

type rsv struct{ R, S, V string }

func (w *world) sign(kid, payload, encoding, hash string) rsv {
	w.Helper()
	a := w.submit("sign_raw_payload", "ACTIVITY_TYPE_SIGN_RAW_PAYLOAD_V2", map[string]string{
		"signWith": kid, "payload": payload, "encoding": "PAYLOAD_ENCODING_" + encoding, "hashFunction": "HASH_FUNCTION_" + hash,
	}, 0)
	var sig rsv
	if err := json.Unmarshal(a.Result["signRawPayloadResult"], &sig); err != nil {
		w.Fatal(err)
	}
	return sig
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestSignaturesVerifyOnEveryCurve(t *testing.T) {
	w := newWorld(t, 1, 1)
	message := "hello"
	digest := sha256.Sum256([]byte(message))

	t.Run("secp256k1", func(t *testing.T) {
		k := w.getKey(w.newPrivateKey("a", "CURVE_SECP256K1", "ADDRESS_FORMAT_ETHEREUM"))
		sig := w.sign(k.PrivateKeyID, message, "TEXT_UTF8", "SHA256")
		compact := append([]byte{27 + 4 + unhex(t, sig.V)[0]}, unhex(t, sig.R+sig.S)...)
		got, _, err := secpecdsa.RecoverCompact(compact, digest[:])
		if err != nil || hex.EncodeToString(got.SerializeCompressed()) != k.PublicKey {
			t.Errorf("recovered another key: %v", err)
		}
		var s secp256k1.ModNScalar
		s.SetByteSlice(unhex(t, sig.S))
		if s.IsOverHalfOrder() {
			t.Error("s is high")
		}
		byAddress := w.sign(k.Addresses[0].Address, message, "TEXT_UTF8", "SHA256")
		if byAddress != sig {
			t.Error("signing by address gives another signature")
		}
	})
	t.Run("P-256", func(t *testing.T) {
		k := w.getKey(w.newPrivateKey("b", "CURVE_P256"))
		sig := w.sign(k.PrivateKeyID, hex.EncodeToString(digest[:]), "HEXADECIMAL", "NO_OP")
		point, err := nistec.NewP256Point().SetBytes(unhex(t, k.PublicKey))
		if err != nil {
			t.Fatal(err)
		}
		pub, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		if !ecdsa.Verify(pub, digest[:], new(big.Int).SetBytes(unhex(t, sig.R)), new(big.Int).SetBytes(unhex(t, sig.S))) {
			t.Error("does not verify")
		}
	})
	t.Run("Ed25519", func(t *testing.T) {
		k := w.getKey(w.newPrivateKey("c", "CURVE_ED25519", "ADDRESS_FORMAT_SOLANA"))
		sig := w.sign(k.PrivateKeyID, message, "TEXT_UTF8", "NOT_APPLICABLE")
		if !ed25519.Verify(unhex(t, k.PublicKey), []byte(message), unhex(t, sig.R+sig.S)) {
			t.Error("does not verify")
		}
	})
}

// export exports a key to a fresh target and opens the bundle.
func (w *world) export(kid string, nonce []byte) ([]byte, *bundle.Verified) {
	w.Helper()
	target, err := bundle.NewTarget(rand.Reader)
	if err != nil {
		w.Fatal(err)
	}
	req := w.stamped("/public/v1/submit/export_private_key", w.body("ACTIVITY_TYPE_EXPORT_PRIVATE_KEY", map[string]string{
		"privateKeyId": kid, "targetPublicKey": hex.EncodeToString(target.PublicKey().Bytes()),
	}), w.keys[0])
	req.Nonce = nonce
	a := w.activity(w.do(req))
	var r struct{ ExportBundle string }
	if err := json.Unmarshal(a.Result["exportPrivateKeyResult"], &r); err != nil {
		w.Fatal(err)
	}
	expect := bundle.Expect{
		Trust: w.enclave.Trust, QuorumPublicKey: w.quorumKey(), OrganizationID: w.org, PrivateKeyID: kid,
		Fingerprint: a.Fingerprint, Nonce: nonce, Now: w.now, PublicKey: w.getKey(kid).PublicKey,
	}
	plain, v, err := bundle.Open([]byte(r.ExportBundle), target, expect)
	if err != nil {
		w.Fatal(err)
	}
	return plain, v
}

func (w *world) quorumKey() []byte {
	w.Helper()
	status, err := w.enclave.Status(w.Context())
	if err != nil {
		w.Fatal(err)
	}
	return unhex(w.T, status.QuorumPublicKey)
}

func TestExportedKeySignsAsTheKeyDid(t *testing.T) {
	w := newWorld(t, 1, 1)
	kid := w.newPrivateKey("out", "CURVE_SECP256K1")
	sig := w.sign(kid, "same", "TEXT_UTF8", "SHA256")
	plain, _ := w.export(kid, nil)
	digest := sha256.Sum256([]byte("same"))
	own := secpecdsa.SignCompact(secp256k1.PrivKeyFromBytes(plain), digest[:], true)
	if !bytes.Equal(own[1:], unhex(t, sig.R+sig.S)) {
		t.Error("the exported key signs otherwise")
	}
	if !w.getKey(kid).Exported {
		t.Error("the key is not marked as exported")
	}
}

func TestExportWithNonceIsAttestedAfresh(t *testing.T) {
	w := newWorld(t, 1, 1)
	for _, curve := range []string{"CURVE_SECP256K1", "CURVE_P256", "CURVE_ED25519"} {
		w.export(w.newPrivateKey(curve, curve), bytes.Repeat([]byte{7}, 32))
	}
}

// loseShares deletes so many of a new key's three shares at the host.
func (w *world) loseShares(count int) (kid string) {
	w.Helper()
	before := map[[32]byte]bool{}
	for name := range w.host.Blobs {
		before[name] = true
	}
	kid = w.newPrivateKey("k", "CURVE_SECP256K1")
	w.enclave.Restart(w) // with no share in memory
	for name := range w.host.Blobs {
		if !before[name] && count > 0 {
			delete(w.host.Blobs, name)
			count--
		}
	}
	return kid
}

func TestTwoOfThreeSharesAreEnough(t *testing.T) {
	w := newWorld(t, 1, 1)
	w.sign(w.loseShares(1), "x", "TEXT_UTF8", "SHA256")
}

func TestTooFewSharesIsAFailureThatIsRecorded(t *testing.T) {
	w := newWorld(t, 1, 1)
	kid := w.loseShares(2)
	a := w.submit("sign_raw_payload", "ACTIVITY_TYPE_SIGN_RAW_PAYLOAD_V2", map[string]string{
		"signWith": kid, "payload": "x", "encoding": "PAYLOAD_ENCODING_TEXT_UTF8", "hashFunction": "HASH_FUNCTION_SHA256",
	}, 0)
	if a.Status != "ACTIVITY_STATUS_FAILED" || a.Failure == nil || len(a.Result) != 0 {
		t.Errorf("got %+v", a)
	}
}
