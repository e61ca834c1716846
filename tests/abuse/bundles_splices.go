package main

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"

	"github.com/sallyport/sallyport/attestation"
	at "github.com/sallyport/sallyport/attestation/attestationtest"
	"github.com/sallyport/sallyport/attestation/bundle"
	"github.com/sallyport/sallyport/attestation/proof"
)

// bundleSpliceRows have a part that another enclave, another export or the
// host made.
var bundleSpliceRows = []row{
	{id: "G3", what: "attestation and manifest of another enclave", run: splicedAttestation},
	{id: "G3b", what: "proof of another export of the same enclave", run: splicedProof},
	{id: "G3c", what: "fresh attestation of another enclave, of another nonce, missing", run: splicedFresh},
	{id: "G4", what: "data sealed and signed by another quorum key", run: otherQuorum},
	{id: "G4b", what: "data sealed by the host to the same target under the old signature", run: hostSealed},
	{id: "G4c", what: "proof made anew by a key that is not attested", run: unattestedProof},
}

// elsewhere makes the manifest and document of another enclave under the same
// root, and the keys in it.
func (w *world) elsewhere(change func(*attestation.Manifest)) (manifest, document, keys []byte, f *forge) {
	f = w.forge()
	m, err := attestation.ParseManifest(w.manifest)
	if err != nil {
		panic(err.Error())
	}
	change(m)
	manifest = m.Encode()
	_, public := newSigner()
	keys = append(bytes.Clone(f.keys[:65]), public...)
	return manifest, f.pki.Sign(at.Boot(keys, attestation.Hash(manifest))), keys, f
}

func splicedAttestation(w *world) (string, error) {
	manifest, document, _, f := w.elsewhere(func(*attestation.Manifest) {})
	o := w.outer()
	o.Manifest, o.AttestationDocument, o.FreshAttestation = manifest, document, nil
	b, err := o.Encode()
	if err != nil {
		return "", err
	}
	flags := w.bundleFlags(w.export, w.main.org)
	flags[1] = f.rootFile // the attestation is good; it is another enclave's
	v, err := w.verify("bundle", b, flags...)
	if err != nil {
		return "", err
	}
	return v.refusedBy(bundle.ReasonProof)
}

func splicedProof(w *world) (string, error) {
	again, err := bundle.Parse(w.theirs.bundle)
	if err != nil {
		return "", err
	}
	return w.changedBundle(func(o *bundle.Outer) { o.AttestationProof = again.AttestationProof }, bundle.ReasonProof)
}

func splicedFresh(w *world) (string, error) {
	root, paths := attestation.ChallengeTree([][]byte{w.export.nonce})
	_, _, keys, f := w.elsewhere(func(*attestation.Manifest) {})
	foreign := f.pki.Sign(at.Challenge(keys, attestation.Hash(w.manifest), root))
	theirs, err := bundle.Parse(w.theirs.bundle)
	if err != nil {
		return "", err
	}
	return each([]*attestation.FreshAttestation{
		{Document: foreign, Path: paths[0]}, theirs.FreshAttestation, nil, {Document: w.outer().AttestationDocument, Path: paths[0]},
	}, func(fresh *attestation.FreshAttestation) (string, error) {
		o := w.outer()
		o.FreshAttestation = fresh
		b, err := o.Encode()
		if err != nil {
			return "", err
		}
		v, err := w.verify("bundle", b, append(w.bundleFlags(w.export, w.main.org), "--nonce", hex.EncodeToString(w.export.nonce))...)
		if err != nil {
			return "", err
		}
		return v.refusedBy(bundle.ReasonFresh)
	})
}

// otherQuorum signs the bundle's data by a key that is not the appliance's.
func otherQuorum(w *world) (string, error) {
	key, public := newSigner()
	sig, err := bundle.Sign(key, w.outer().Data)
	if err != nil {
		return "", err
	}
	if seen, err := w.changedBundle(func(o *bundle.Outer) { o.DataSignature = sig }, bundle.ReasonDataSignature); err != nil {
		return seen, err
	}
	return w.changedBundle(func(o *bundle.Outer) { o.DataSignature, o.EnclaveQuorumPublic = sig, public }, bundle.ReasonQuorumKey)
}

func hostSealed(w *world) (string, error) {
	thief, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		return "", err
	}
	var d bundle.Data
	if err := json.Unmarshal(w.outer().Data, &d); err != nil {
		return "", err
	}
	d.EncappedPublic = thief.PublicKey().Bytes()
	forged, err := d.Encode()
	if err != nil {
		return "", err
	}
	return w.changedBundle(func(o *bundle.Outer) { o.Data = forged }, bundle.ReasonDataSignature)
}

func unattestedProof(w *world) (string, error) {
	key, public := newSigner()
	o := w.outer()
	attested, err := hex.DecodeString(o.AttestationProof.PublicKey)
	if err != nil {
		return "", err
	}
	forged, err := proof.Sign(key, append(attested[:65:65], public...), []byte(o.AttestationProof.ProofPayload))
	if err != nil {
		return "", err
	}
	if seen, err := w.changedBundle(func(o *bundle.Outer) { o.AttestationProof = forged }, bundle.ReasonProof); err != nil {
		return seen, err
	}
	forged.PublicKey = o.AttestationProof.PublicKey // the attested key's name
	return w.changedBundle(func(o *bundle.Outer) { o.AttestationProof = forged }, bundle.ReasonProof)
}
