package main

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"time"

	"github.com/sallyport/sallyport/attestation"
	at "github.com/sallyport/sallyport/attestation/attestationtest"
)

// nonceRows are challenge documents that are not the answer to this challenge.
var nonceRows = []row{
	{id: "E6", what: "nonce missing, wrong, shorter, of another session", run: documentNonces},
	{id: "E7", what: "document of an hour ago with its own nonce", run: oldDocument},
}

func documentNonces(w *world) (string, error) {
	f := w.forge()
	nonce := bytes.Repeat([]byte{9}, 32)
	root, _ := attestation.ChallengeTree([][]byte{nonce})
	good := f.pki.Sign(f.challenge(root))
	if v, err := w.challenged(good, nonce); err != nil || !v.Verified {
		return "", fmt.Errorf("the honest one: %+v, %w", v, err)
	}
	if v, err := w.challenged(good, flipped(nonce, 31)); err != nil || v.exit != 1 {
		return "", fmt.Errorf("another session's: %+v, %w", v, err)
	}
	if v, err := w.challenged(good, nonce[:16]); err != nil || v.exit != 1 {
		return "", fmt.Errorf("the first half: %+v, %w", v, err)
	}
	return each([][]byte{nil, {}, root[:16], root[:31], append(bytes.Clone(root), 0), flipped(root, 0)}, func(n []byte) (string, error) {
		v, err := w.challenged(f.pki.Sign(f.challenge(n)), nonce)
		if err != nil {
			return "", err
		}
		return v.refusedBy(attestation.ReasonNonce, attestation.ReasonKind)
	})
}

func oldDocument(w *world) (string, error) {
	f := w.forge()
	nonce := bytes.Repeat([]byte{8}, 32)
	root, _ := attestation.ChallengeTree([][]byte{nonce})
	return each([]time.Duration{-time.Hour, -6 * time.Minute, 6 * time.Minute}, func(d time.Duration) (string, error) {
		p := f.challenge(root)
		p.Timestamp = f.pki.Now.Add(d)
		doc := f.pki.Sign(p, at.Leaf(func(c *x509.Certificate) { c.NotBefore = c.NotBefore.Add(-2 * time.Hour) }))
		v, err := w.challenged(doc, nonce)
		if err != nil {
			return "", err
		}
		return v.refusedBy(attestation.ReasonStale)
	})
}
