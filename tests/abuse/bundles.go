package main

import (
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/sallyport/sallyport/attestation/bundle"
)

// bundleRows are block G, against sallyport-verify and the package that
// clients open bundles with.
var bundleRows = slices.Concat(
	[]row{
		{id: "G0", what: "an honest bundle is verified and opens, so that a refusal means something", run: honestBundle},
	},
	bundleByteRows, bundleExpectationRows, bundleSpliceRows, bundlePinRows, bundlePartRows,
	[]row{
		{id: "G11", what: "empty flags, as an unset variable gives", run: emptyFlags},
	},
)

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

// withNonce asks for the fresh attestation too, so that its path counts.
func withNonce(e bundle.Expect, w *world) bundle.Expect {
	e.Nonce, e.Now = w.export.nonce, theForge.pki.Now
	return e
}

func honestBundle(w *world) (string, error) {
	file := filepath.Join(w.dir, "target.key")
	if err := os.WriteFile(file, []byte(hex.EncodeToString(w.export.target.Bytes())), 0o600); err != nil {
		return "", err
	}
	v, err := w.verify("bundle", w.export.bundle, "--local-root", w.root, "--quorum-key", w.app.QuorumPublicKey, "--organization", w.main.org,
		"--target-key", file, "--key-id", w.main.keyID, "--public-key", w.main.publicKey, "--fingerprint", w.export.fingerprint,
		"--nonce", hex.EncodeToString(w.export.nonce), "--manifest", w.manifestFile())
	if err != nil || !v.Verified {
		return "", fmt.Errorf("%+v, %w", v, err)
	}
	return "verified and opened", nil
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
