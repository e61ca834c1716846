package main

import (
	"bytes"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"

	"github.com/sallyport/sallyport/attestation"
	at "github.com/sallyport/sallyport/attestation/attestationtest"
)

// bindingRows are documents of other keys, of another manifest, and of an
// appliance that this verifier must not trust.
var bindingRows = []row{
	{id: "E15", what: "public key missing, one key only, off the curve, a byte more", run: publicKeys},
	{id: "E16", what: "document bound to another manifest", run: otherManifest},
	{id: "E17", what: "local document given to a verifier that trusts AWS", run: localAtAWS},
	{id: "E17b", what: "local root and AWS measurements together; the marker values as measurements", run: mixedTrust},
}

func publicKeys(w *world) (string, error) {
	f := w.forge()
	return each([][]byte{
		nil, {}, f.keys[:65], f.keys[:129], append(bytes.Clone(f.keys), 0), flipped(f.keys, 64), flipped(f.keys, 129), make([]byte, 130), flipped(f.keys, 0),
	}, func(key []byte) (string, error) {
		return w.forged(kind, func(p *at.Payload) { p.PublicKey = key })
	})
}

func otherManifest(w *world) (string, error) {
	f := w.forge()
	v, err := w.archived(f.pki.Sign(at.Boot(f.keys, at.ManifestHash("another"))))
	if err != nil {
		return "", err
	}
	return v.refusedBy(attestation.ReasonManifest)
}

// measurements writes a list of one image, for sallyport-verify.
func (w *world) measurements(name string, pcr0, pcr1, pcr2 []byte) (string, error) {
	file := filepath.Join(w.dir, name)
	return file, os.WriteFile(file, toJSON([]object{{
		"pcr0": hex.EncodeToString(pcr0), "pcr1": hex.EncodeToString(pcr1), "pcr2": hex.EncodeToString(pcr2),
	}}), 0o600)
}

func localAtAWS(w *world) (string, error) {
	s, err := w.status()
	if err != nil {
		return "", err
	}
	none := bytes.Repeat([]byte{1}, 48) // no image has these
	file, err := w.measurements("measurements.json", none, none, none)
	if err != nil {
		return "", err
	}
	v, err := w.verify("document", s.AttestationDocument, "--kind", "boot", "--measurements", file, "--manifest", w.manifestFile())
	if err != nil {
		return "", err
	}
	return v.refusedBy(attestation.ReasonLocalDocument)
}

func mixedTrust(w *world) (string, error) {
	s, err := w.status()
	if err != nil {
		return "", err
	}
	m := attestation.LocalMeasurements()
	marker, err := w.measurements("marker.json", m.PCR0[:], m.PCR1[:], m.PCR2[:])
	if err != nil {
		return "", err
	}
	none := make([]byte, 48)
	zero, err := w.measurements("zero.json", none, none, none)
	if err != nil {
		return "", err
	}
	return each([][]string{{"--local-root", w.root, "--measurements", marker}, {"--measurements", marker}, {"--measurements", zero}}, func(flags []string) (string, error) {
		v, err := w.verify("document", s.AttestationDocument, append(flags, "--kind", "boot", "--manifest", w.manifestFile())...)
		if err != nil {
			return "", err
		}
		if v.exit == 0 {
			return "", errors.New("it was VERIFIED")
		}
		return v.String(), nil
	})
}
