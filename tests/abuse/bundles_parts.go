package main

import (
	"bytes"
	"encoding/json"
	"errors"

	"github.com/sallyport/sallyport/attestation"
	"github.com/sallyport/sallyport/attestation/bundle"
)

// bundlePartRows have their parts swapped, blown up or edited.
var bundlePartRows = []row{
	{id: "G8", what: "encapped key and ciphertext swapped between two bundles", run: swappedParts},
	{id: "G9", what: "bundle of 10 MB, empty, nested 100,000 deep", run: bundleBombs},
	{id: "G10", what: "manifest in the bundle with a flag changed", run: changedManifest},
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
