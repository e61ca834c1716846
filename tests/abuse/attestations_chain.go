package main

import (
	"bytes"
	"crypto/elliptic"
	"crypto/x509"
	"slices"
	"time"

	"github.com/sallyport/sallyport/attestation"
	at "github.com/sallyport/sallyport/attestation/attestationtest"
)

// chainRows are certificates that lead to no trust, or to another.
var chainRows = []row{
	{id: "E1", what: "root of the same name with another key", run: namesake},
	{id: "E1b", what: "own root put first into the bundle", run: ownRoot},
	{id: "E2", what: "leaf expired", run: document(certificate, at.Leaf(func(c *x509.Certificate) { c.NotAfter = c.NotBefore.Add(time.Second) }))},
	{id: "E2b", what: "leaf not yet valid", run: document(certificate, at.Leaf(func(c *x509.Certificate) { c.NotBefore = c.NotBefore.Add(time.Hour) }))},
	{id: "E2c", what: "intermediate expired", run: document(certificate, at.Intermediate(func(c *x509.Certificate) { c.NotAfter = c.NotBefore.Add(time.Hour) }))},
	{id: "E2d", what: "bundle in reverse order", run: document([]string{attestation.ReasonUntrustedRoot}, at.Bundle(func(b [][]byte) [][]byte { slices.Reverse(b); return b }))},
	{id: "E2e", what: "intermediate missing, given twice", run: bundles},
	{id: "E2f", what: "bundle of 12 certificates, of none", run: bundleSizes},
	{id: "E3", what: "leaf that is a CA", run: document(certificate, at.Leaf(func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = true, true }))},
	{id: "E3b", what: "leaf whose key usage does not allow signatures", run: document(certificate, at.Leaf(func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment }))},
	{id: "E3c", what: "intermediate that is no CA", run: document(certificate, at.Intermediate(func(c *x509.Certificate) { c.IsCA, c.MaxPathLen, c.MaxPathLenZero = false, 0, false }))},
	{id: "E3d", what: "one CA more than a path length allows", run: longChain},
	{id: "E3e", what: "leaf on P-521, on P-256", run: leafCurves},
}

func namesake(w *world) (string, error) {
	f := w.forge()
	other := at.New(quietTB{}) // the same names, other keys
	v, err := w.archived(other.Sign(f.boot()))
	if err != nil {
		return "", err
	}
	return v.refusedBy(attestation.ReasonUntrustedRoot)
}

// ownRoot replaces only the first certificate of the bundle by the trusted one.
func ownRoot(w *world) (string, error) {
	f := w.forge()
	other := at.New(quietTB{})
	v, err := w.archived(other.Sign(f.boot(), at.Bundle(func(b [][]byte) [][]byte { return [][]byte{f.pki.Root.Raw, b[1]} })))
	if err != nil {
		return "", err
	}
	return v.refusedBy(certificate...)
}

func bundles(w *world) (string, error) {
	return each([]func([][]byte) [][]byte{
		func(b [][]byte) [][]byte { return b[:1] },
		func(b [][]byte) [][]byte { return [][]byte{b[0], b[1], b[1]} },
		func(b [][]byte) [][]byte { return [][]byte{b[0], b[0], b[1]} },
	}, func(edit func([][]byte) [][]byte) (string, error) {
		return w.forged(certificate, func(*at.Payload) {}, at.Bundle(edit))
	})
}

func bundleSizes(w *world) (string, error) {
	return each([]func([][]byte) [][]byte{
		func(b [][]byte) [][]byte { return append([][]byte{b[0]}, slices.Repeat([][]byte{b[1]}, 11)...) },
		func([][]byte) [][]byte { return nil },
		func(b [][]byte) [][]byte { return [][]byte{b[0], {}} },
		func(b [][]byte) [][]byte { return [][]byte{b[0], bytes.Repeat([]byte{0x30}, 1025)} },
	}, func(edit func([][]byte) [][]byte) (string, error) {
		return w.forged(append(malformed, certificate...), func(*at.Payload) {}, at.Bundle(edit))
	})
}

func longChain(w *world) (string, error) {
	f := w.forge()
	doc, _ := f.pki.LongChain(f.boot())
	v, err := w.archived(doc)
	if err != nil {
		return "", err
	}
	return v.refusedBy(certificate...)
}

func leafCurves(w *world) (string, error) {
	return each([]elliptic.Curve{elliptic.P521(), elliptic.P256(), elliptic.P224()}, func(c elliptic.Curve) (string, error) {
		return w.forged(append(malformed, certificate...), func(*at.Payload) {}, at.LeafCurve(c))
	})
}
