package main

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/hex"
	"errors"

	"github.com/sallyport/sallyport/attestation"
	"github.com/sallyport/sallyport/attestation/bundle"
)

// bundleExpectationRows are good bundles of something else than was expected.
var bundleExpectationRows = []row{
	{id: "G2", what: "bundle of another organization", run: otherTeamsBundle},
	{id: "G2b", what: "organization inside the signed data edited", run: editedOrganization},
	{id: "G2c", what: "bundle of another key, another activity, another public key", run: otherExpectations},
}

// bundlePinRows are bundles of another version, to another target, under
// another root.
var bundlePinRows = []row{
	{id: "G5", what: "version v0.9.0, v2.0.0, empty; proof scheme of another name", run: versions},
	{id: "G6", what: "target key of somebody else: verified for another, never opened", run: otherTarget},
	{id: "G7", what: "bundle verified under another root", run: otherRoot},
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
