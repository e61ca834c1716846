package main

import (
	"bytes"
	"crypto/ecdh"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/sallyport/sallyport/attestation"
	at "github.com/sallyport/sallyport/attestation/attestationtest"
	"github.com/sallyport/sallyport/attestation/bundle"
	"github.com/sallyport/sallyport/attestation/proof"
)

// bundleRows are block G, against sallyport-verify and the package that
// clients open bundles with.
var bundleRows = []row{
	{id: "G0", what: "an honest bundle is verified and opens, so that a refusal means something", run: honestBundle},
	{id: "G1", what: "one bit of each member", run: flippedMembers},
	{id: "G1b", what: "one bit at every 16th byte of the bundle", run: flippedBytes},
	{id: "G1c", what: "bundle cut at every 32nd byte, and with a byte more", run: cutBundle},
	{id: "G1d", what: "member missing, null, twice, unknown, of another type", run: bundleMembers},
	{id: "G2", what: "bundle of another organization", run: otherTeamsBundle},
	{id: "G2b", what: "organization inside the signed data edited", run: editedOrganization},
	{id: "G2c", what: "bundle of another key, another activity, another public key", run: otherExpectations},
	{id: "G3", what: "attestation and manifest of another enclave", run: splicedAttestation},
	{id: "G3b", what: "proof of another export of the same enclave", run: splicedProof},
	{id: "G3c", what: "fresh attestation of another enclave, of another nonce, missing", run: splicedFresh},
	{id: "G4", what: "data sealed and signed by another quorum key", run: otherQuorum},
	{id: "G4b", what: "data sealed by the host to the same target under the old signature", run: hostSealed},
	{id: "G4c", what: "proof made anew by a key that is not attested", run: unattestedProof},
	{id: "G5", what: "version v0.9.0, v2.0.0, empty; proof scheme of another name", run: versions},
	{id: "G6", what: "target key of somebody else: verified for another, never opened", run: otherTarget},
	{id: "G7", what: "bundle verified under another root", run: otherRoot},
	{id: "G8", what: "encapped key and ciphertext swapped between two bundles", run: swappedParts},
	{id: "G9", what: "bundle of 10 MB, empty, nested 100,000 deep", run: bundleBombs},
	{id: "G10", what: "manifest in the bundle with a flag changed", run: changedManifest},
	{id: "G11", what: "empty flags, as an unset variable gives", run: emptyFlags},
}

// bundleFlags are those that a careful user gives.
func (w *world) bundleFlags(e *exported, org string) []string {
	return []string{
		"--local-root", w.root, "--quorum-key", w.app.QuorumPublicKey, "--organization", org,
		"--target-public-key", hex.EncodeToString(e.target.PublicKey().Bytes()),
	}
}

// refusedBundle verifies a changed copy of the main team's bundle.
func (w *world) refusedBundle(b []byte, reasons ...string) (string, error) {
	v, err := w.verify("bundle", b, w.bundleFlags(w.export, w.main.org)...)
	if err != nil {
		return "", err
	}
	return v.refusedBy(reasons...)
}

// outer takes the main team's bundle apart.
func (w *world) outer() *bundle.Outer {
	o, err := bundle.Parse(w.export.bundle)
	if err != nil {
		panic(err.Error())
	}
	return o
}

func (w *world) changedBundle(change func(*bundle.Outer), reasons ...string) (string, error) {
	o := w.outer()
	change(o)
	b, err := o.Encode()
	if err != nil {
		return "", err
	}
	return w.refusedBundle(b, reasons...)
}

// expect is what the main team pins, for the package itself.
func (w *world) expect() (bundle.Expect, error) {
	trust, err := w.trust()
	return bundle.Expect{
		Trust: trust, QuorumPublicKey: w.quorum, OrganizationID: w.main.org, TargetPublicKey: w.export.target.PublicKey().Bytes(),
	}, err
}

func honestBundle(w *world) (string, error) {
	file := filepath.Join(w.dir, "target.key")
	if err := os.WriteFile(file, []byte(hex.EncodeToString(w.export.target.Bytes())), 0o600); err != nil {
		return "", err
	}
	v, err := w.verify("bundle", w.export.bundle, "--local-root", w.root, "--quorum-key", w.app.QuorumPublicKey, "--organization", w.main.org,
		"--target-key", file, "--key-id", w.main.keyID, "--public-key", w.main.publicKey, "--fingerprint", w.export.fingerprint,
		"--nonce", hex.EncodeToString(w.export.nonce), "--manifest", filepath.Join(w.dir, "main", "manifest.json"))
	if err != nil || !v.Verified {
		return "", fmt.Errorf("%+v, %w", v, err)
	}
	return "verified and opened", nil
}

func flippedMembers(w *world) (string, error) {
	last := func(b []byte) []byte { return flipped(b, len(b)-1) }
	hexLast := func(s string) string {
		raw, err := hex.DecodeString(s)
		if err != nil {
			panic(err.Error())
		}
		return hex.EncodeToString(last(raw))
	}
	return each([]func(*bundle.Outer){
		func(o *bundle.Outer) { o.Version = "v1.0.1" },
		func(o *bundle.Outer) { o.Data = last(o.Data) },
		func(o *bundle.Outer) { o.Data = flipped(o.Data, 30) },
		func(o *bundle.Outer) { o.DataSignature = last(o.DataSignature) },
		func(o *bundle.Outer) { o.EnclaveQuorumPublic = last(o.EnclaveQuorumPublic) },
		func(o *bundle.Outer) { o.AttestationDocument = last(o.AttestationDocument) },
		func(o *bundle.Outer) { o.AttestationDocument = flipped(o.AttestationDocument, 200) },
		func(o *bundle.Outer) { o.Manifest = flipped(o.Manifest, 60) },
		func(o *bundle.Outer) { o.AttestationProof.PublicKey = hexLast(o.AttestationProof.PublicKey) },
		func(o *bundle.Outer) { o.AttestationProof.Signature = hexLast(o.AttestationProof.Signature) },
		func(o *bundle.Outer) {
			o.AttestationProof.ProofPayload = string(flipped([]byte(o.AttestationProof.ProofPayload), 60))
		},
		func(o *bundle.Outer) { o.AttestationProof.Scheme += "X" },
		func(o *bundle.Outer) { o.FreshAttestation.Document = last(o.FreshAttestation.Document) },
		func(o *bundle.Outer) { o.AttestationProof.PublicKey = strings.ToUpper(o.AttestationProof.PublicKey) },
	}, func(change func(*bundle.Outer)) (string, error) { return w.changedBundle(change) })
}

func flippedBytes(w *world) (string, error) {
	e, err := w.expect()
	if err != nil {
		return "", err
	}
	n := 0
	for i := 0; i < len(w.export.bundle); i += 16 {
		b := flipped(w.export.bundle, i)
		if _, _, err := bundle.Open(b, w.export.target, withNonce(e, w)); err == nil {
			return "", fmt.Errorf("byte %d changed, and it opened", i)
		}
		n++
	}
	seen, err := w.refusedBundle(flipped(w.export.bundle, len(w.export.bundle)-1))
	return fmt.Sprintf("%d changes, the last: %s", n, seen), err
}

func cutBundle(w *world) (string, error) {
	e, err := w.expect()
	if err != nil {
		return "", err
	}
	n := 0
	for i := 0; i < len(w.export.bundle); i += 32 {
		if _, err := bundle.Verify(w.export.bundle[:i], e); err == nil {
			return "", fmt.Errorf("%d bytes were verified", i)
		}
		n++
	}
	if _, err := w.refusedBundle(append(bytes.Clone(w.export.bundle), '}'), bundle.ReasonMalformed); err != nil {
		return "", err
	}
	seen, err := w.refusedBundle(w.export.bundle[:len(w.export.bundle)-1], bundle.ReasonMalformed)
	return fmt.Sprintf("%d cuts, the last: %s", n, seen), err
}

func bundleMembers(w *world) (string, error) {
	b := string(w.export.bundle)
	var variants []string
	for _, name := range []string{"version", "data", "dataSignature", "enclaveQuorumPublic", "attestationDocument", "manifest", "attestationProof"} {
		member := `"` + name + `":`
		variants = append(variants,
			strings.Replace(b, member, `"other":`, 1), strings.Replace(b, member, member+`null,"other":`, 1),
			strings.Replace(b, member, member+`1,"other":`, 1), strings.Replace(b, member, member+`"",`+member, 1),
			strings.Replace(b, member, strings.ToUpper(member), 1),
		)
	}
	variants = append(variants, strings.Replace(b, "{", `{"extra":1,`, 1), "["+b+"]", b+b, "null", "\xef\xbb\xbf"+b)
	e, err := w.expect()
	if err != nil {
		return "", err
	}
	return each(variants, func(v string) (string, error) {
		_, err := bundle.Verify([]byte(v), e)
		var refused *bundle.Error
		if !errors.As(err, &refused) || refused.Reason != bundle.ReasonMalformed {
			return "", fmt.Errorf("want malformed, got %w", err)
		}
		return refused.Error(), nil
	})
}

func otherTeamsBundle(w *world) (string, error) {
	v, err := w.verify("bundle", w.theirs.bundle, w.bundleFlags(w.theirs, w.main.org)...)
	if err != nil {
		return "", err
	}
	return v.refusedBy(bundle.ReasonOrganization)
}

func editedOrganization(w *world) (string, error) {
	return w.changedBundle(func(o *bundle.Outer) {
		o.Data = bytes.Replace(o.Data, []byte(w.main.org), []byte(w.other.org), 1)
	}, bundle.ReasonDataSignature)
}

func otherExpectations(w *world) (string, error) {
	return each([]struct {
		flags  []string
		reason string
	}{
		{[]string{"--key-id", w.other.keyID}, bundle.ReasonKey},
		{[]string{"--public-key", w.other.publicKey}, bundle.ReasonKey},
		{[]string{"--fingerprint", w.theirs.fingerprint}, bundle.ReasonFingerprint},
	}, func(c struct {
		flags  []string
		reason string
	},
	) (string, error) {
		v, err := w.verify("bundle", w.export.bundle, append(w.bundleFlags(w.export, w.main.org), c.flags...)...)
		if err != nil {
			return "", err
		}
		return v.refusedBy(c.reason)
	})
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
	signer := at.NewKey(quietTB{}, elliptic.P256())
	public, err := signer.PublicKey.Bytes()
	if err != nil {
		panic(err.Error())
	}
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
	key := at.NewKey(quietTB{}, elliptic.P256())
	public, err := key.PublicKey.Bytes()
	if err != nil {
		return "", err
	}
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
	key := at.NewKey(quietTB{}, elliptic.P256())
	public, err := key.PublicKey.Bytes()
	if err != nil {
		return "", err
	}
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

func versions(w *world) (string, error) {
	if seen, err := w.changedBundle(func(o *bundle.Outer) { o.AttestationProof.Scheme = "SIGNATURE_SCHEME_NONE" }, bundle.ReasonProof); err != nil {
		return seen, err
	}
	return each([]string{"v0.9.0", "v2.0.0", "", "v1.0.0 ", "V1.0.0", "1.0.0"}, func(v string) (string, error) {
		return w.changedBundle(func(o *bundle.Outer) { o.Version = v }, bundle.ReasonVersion)
	})
}

func otherTarget(w *world) (string, error) {
	thief, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		return "", err
	}
	e, err := w.expect()
	if err != nil {
		return "", err
	}
	e.TargetPublicKey = nil
	if plain, _, err := bundle.Open(w.export.bundle, thief, e); err == nil || plain != nil {
		return "", errors.New("it opened")
	}
	v, err := w.verify("bundle", w.export.bundle, "--local-root", w.root, "--quorum-key", w.app.QuorumPublicKey, "--organization", w.main.org,
		"--target-public-key", hex.EncodeToString(thief.PublicKey().Bytes()))
	if err != nil {
		return "", err
	}
	return v.refusedBy(bundle.ReasonTargetKey)
}

func otherRoot(w *world) (string, error) {
	flags := w.bundleFlags(w.export, w.main.org)
	flags[1] = w.forge().rootFile
	v, err := w.verify("bundle", w.export.bundle, flags...)
	if err != nil {
		return "", err
	}
	return v.refusedBy(attestation.ReasonUntrustedRoot)
}

func swappedParts(w *world) (string, error) {
	theirs, err := bundle.Parse(w.theirs.bundle)
	if err != nil {
		return "", err
	}
	var ours, their bundle.Data
	if err := errors.Join(json.Unmarshal(w.outer().Data, &ours), json.Unmarshal(theirs.Data, &their)); err != nil {
		return "", err
	}
	return each([]bundle.Data{
		{EncappedPublic: their.EncappedPublic, Ciphertext: ours.Ciphertext, OrganizationID: w.main.org},
		{EncappedPublic: ours.EncappedPublic, Ciphertext: their.Ciphertext, OrganizationID: w.main.org},
	}, func(d bundle.Data) (string, error) {
		data, err := d.Encode()
		if err != nil {
			return "", err
		}
		return w.changedBundle(func(o *bundle.Outer) { o.Data = data }, bundle.ReasonDataSignature)
	})
}

func bundleBombs(w *world) (string, error) {
	return each([][]byte{
		bytes.Repeat([]byte(" "), 10<<20), {}, bytes.Repeat([]byte("["), 100_000), bytes.Repeat([]byte(`{"a":`), 20_000), bytes.Repeat([]byte{0}, 1000),
	}, func(b []byte) (string, error) {
		v, err := w.verify("bundle", b, w.bundleFlags(w.export, w.main.org)...)
		if err != nil {
			return "", err
		}
		if v.exit == 0 {
			return "", errors.New("it was VERIFIED")
		}
		return v.String(), nil
	})
}

func changedManifest(w *world) (string, error) {
	return each([]func(*attestation.Manifest){
		func(m *attestation.Manifest) { m.Flags.PlaintextExport = !m.Flags.PlaintextExport },
		func(m *attestation.Manifest) { m.Name = "another" },
		func(m *attestation.Manifest) { m.Epoch = 7 },
	}, func(change func(*attestation.Manifest)) (string, error) {
		m, err := attestation.ParseManifest(w.manifest)
		if err != nil {
			return "", err
		}
		change(m)
		return w.changedBundle(func(o *bundle.Outer) { o.Manifest = m.Encode() }, attestation.ReasonManifest)
	})
}

func emptyFlags(w *world) (string, error) {
	return each([]string{"--key-id", "--fingerprint", "--organization", "--manifest", "--local-root", "--public-key"}, func(flag string) (string, error) {
		flags := append(w.bundleFlags(w.export, w.main.org), flag, "")
		v, err := w.verify("bundle", w.export.bundle, flags...)
		if err != nil {
			return "", err
		}
		if v.exit != 2 {
			return "", fmt.Errorf("want exit status 2, got %d, %s", v.exit, v)
		}
		return v.String(), nil
	})
}

// withNonce asks for the fresh attestation too, so that its path counts.
func withNonce(e bundle.Expect, w *world) bundle.Expect {
	e.Nonce, e.Now = w.export.nonce, theForge.pki.Now
	return e
}
