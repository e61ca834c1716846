package bundle_test

import (
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hpke"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"testing"
	"time"

	"github.com/sallyport/sallyport/attestation"
	"github.com/sallyport/sallyport/attestation/attestationtest"
	"github.com/sallyport/sallyport/attestation/bundle"
	"github.com/sallyport/sallyport/attestation/proof"
)

const (
	testOrganization = "1a2b3c4d-5e6f-8a7b-8c9d-0e1f2a3b4c5d"
	testKeyID        = "6f1c8f0e-8c7f-4f4e-9a55-0a4c0e2d5b11"
	testFingerprint  = "sha256:0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f"
	testNonce        = "0123456789abcdef"
)

// testPlaintext is the exported key: the private half of the key "exported".
var testPlaintext = string(scalar("exported"))

// world is an appliance and a client: everything that makes a bundle, to be
// changed by a test before bundle is called.
type world struct {
	t   testing.TB
	pki *attestationtest.PKI

	quorum  *ecdsa.PrivateKey
	signing *ecdsa.PrivateKey
	boot    *ecdsa.PrivateKey
	target  *ecdh.PrivateKey

	version   string
	manifest  attestation.Manifest
	sealTo    []byte // what the key is really sealed to
	data      func(*bundle.Data)
	document  func(*attestationtest.Payload)
	fresh     func(*attestationtest.Payload)
	statement func(*proof.ExportStatement)
	outer     func(*bundle.Outer)
	nonces    [][]byte // no nonces, no fresh attestation
}

// scalar returns the private half of a test key.
func scalar(name string) []byte {
	sum := sha256.Sum256([]byte("sallyport test key " + name))
	return sum[:]
}

func testKey(t testing.TB, name string) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), scalar(name))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func point(t testing.TB, key *ecdsa.PrivateKey) []byte {
	t.Helper()
	b, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func newWorld(t testing.TB) *world {
	t.Helper()
	target, err := testKey(t, "target").ECDH()
	if err != nil {
		t.Fatal(err)
	}
	w := &world{
		t: t, pki: attestationtest.New(t), version: bundle.Version,
		quorum: testKey(t, "quorum"), signing: testKey(t, "signing"), boot: testKey(t, "boot"),
		target: target, sealTo: target.PublicKey().Bytes(),
	}
	appliance, genesis := sha256.Sum256([]byte("appliance")), sha256.Sum256([]byte("genesis"))
	w.manifest = attestation.Manifest{
		Name: "test", Version: 1, Assurance: attestation.AssuranceLocal,
		Measurements:        []attestation.Measurements{attestation.LocalMeasurements()},
		Flags:               attestation.Flags{Unsigned: true},
		Appliance:           appliance[:attestation.ApplianceSize],
		QuorumPublicKey:     point(t, w.quorum),
		CheckpointPublicKey: point(t, testKey(t, "checkpoint")),
		Genesis:             genesis[:],
	}
	return w
}

func (w *world) ephemeral() []byte {
	return append(point(w.t, w.boot), point(w.t, w.signing)...)
}

// expect is what a client that asked for this export expects.
func (w *world) expect() bundle.Expect {
	e := bundle.Expect{
		Trust:           w.pki.Trust(),
		QuorumPublicKey: point(w.t, testKey(w.t, "quorum")),
		OrganizationID:  testOrganization,
		TargetPublicKey: w.target.PublicKey().Bytes(),
		PrivateKeyID:    testKeyID,
		PublicKey:       hex.EncodeToString(compressed(point(w.t, testKey(w.t, "exported")))),
		Fingerprint:     testFingerprint,
	}
	if w.nonces != nil {
		e.Nonce, e.Now = []byte(testNonce), w.pki.Now
	}
	return e
}

func compressed(point []byte) []byte {
	return append([]byte{2 + point[64]&1}, point[1:33]...)
}

// bundle makes the bundle, as the enclave does.
func (w *world) bundle() []byte {
	w.t.Helper()
	manifest := w.manifest.Encode()
	data := w.sealed()
	if w.data != nil {
		w.data(&data)
	}
	signed := must(data.Encode())(w.t)
	boot := attestationtest.Boot(w.ephemeral(), attestation.Hash(manifest))
	if w.document != nil {
		w.document(&boot)
	}
	o := bundle.Outer{
		Version:             w.version,
		Data:                signed,
		DataSignature:       must(bundle.Sign(w.quorum, signed))(w.t),
		EnclaveQuorumPublic: point(w.t, w.quorum),
		AttestationDocument: w.pki.Sign(boot),
		Manifest:            manifest,
		AttestationProof:    w.proof(signed),
		FreshAttestation:    w.freshAttestation(manifest),
	}
	if w.outer != nil {
		w.outer(&o)
	}
	return must(o.Encode())(w.t)
}

func (w *world) sealed() bundle.Data {
	w.t.Helper()
	public := must(ecdh.P256().NewPublicKey(w.sealTo))(w.t)
	key := must(hpke.NewDHKEMPublicKey(public))(w.t)
	enc, sender, err := hpke.NewSender(key, hpke.HKDFSHA256(), hpke.AES256GCM(), bundle.Info())
	if err != nil {
		w.t.Fatal(err)
	}
	ciphertext := must(sender.Seal(bundle.AAD(enc, w.sealTo), []byte(testPlaintext)))(w.t)
	return bundle.Data{EncappedPublic: enc, Ciphertext: ciphertext, OrganizationID: testOrganization}
}

func (w *world) proof(signed []byte) proof.AppProof {
	w.t.Helper()
	s := proof.ExportStatement{
		TimestampMs:         w.pki.Now.Add(time.Hour).UnixMilli(),
		DataHash:            sha256.Sum256(signed),
		OrganizationID:      testOrganization,
		PrivateKeyID:        testKeyID,
		PublicKey:           hex.EncodeToString(compressed(point(w.t, testKey(w.t, "exported")))),
		TargetPublicKey:     w.target.PublicKey().Bytes(),
		ActivityFingerprint: testFingerprint,
		QuorumPublicKey:     point(w.t, w.quorum),
		JournalIndex:        42,
	}
	if w.statement != nil {
		w.statement(&s)
	}
	return must(proof.Sign(w.signing, w.ephemeral(), must(s.Encode())(w.t)))(w.t)
}

func (w *world) freshAttestation(manifest []byte) *attestation.FreshAttestation {
	w.t.Helper()
	if w.nonces == nil {
		return nil
	}
	root, paths := attestation.ChallengeTree(w.nonces)
	at := slices.IndexFunc(w.nonces, func(n []byte) bool { return string(n) == testNonce })
	p := attestationtest.Challenge(w.ephemeral(), attestation.Hash(manifest), root)
	if w.fresh != nil {
		w.fresh(&p)
	}
	return &attestation.FreshAttestation{Document: w.pki.Sign(p), Path: paths[max(at, 0)]}
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}
