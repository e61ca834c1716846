package main

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"

	"github.com/sallyport/sallyport/attestation"
	at "github.com/sallyport/sallyport/attestation/attestationtest"
)

// attestationRows are block E, against sallyport-verify as a process. The
// attacker holds a root that the verifier is told to trust, and so can have
// anything signed: what is refused here is refused for its form or content.
var attestationRows = slices.Concat(
	[]row{
		{id: "E0", what: "an honest document is verified, so that a refusal means something", run: honestDocument},
	},
	chainRows, registerRows, nonceRows, coseRows, cborRows, bindingRows,
	[]row{
		{id: "E18", what: "payload re-encoded with the same meaning", run: reencoded},
		{id: "E20", what: "module id empty, timestamp 0, timestamp missing", run: emptyFields},
		{id: "E21", what: "boot document where a challenge is expected, and the reverse", run: otherKind},
		{id: "E22", what: "the running appliance's own document with each 64th byte changed", run: changedDocument},
	},
)

func honestDocument(w *world) (string, error) {
	f := w.forge()
	v, err := w.archived(f.pki.Sign(f.boot()))
	if err != nil || !v.Verified {
		return "", fmt.Errorf("a document of the forge: %+v, %w", v, err)
	}
	s, err := w.status()
	if err != nil {
		return "", err
	}
	v, err = w.verify("document", s.AttestationDocument, "--kind", "boot", "--local-root", w.root, "--manifest", w.manifestFile())
	if err != nil || !v.Verified {
		return "", fmt.Errorf("the appliance's document: %+v, %w", v, err)
	}
	return "verified", nil
}

// reencoded gives the payload of definite length in place of the one that was
// signed.
func reencoded(w *world) (string, error) {
	f := w.forge()
	doc := f.pki.Sign(f.boot(), at.Definite())
	// The payload's map head becomes one of a length in two bytes.
	i := bytes.Index(doc, append([]byte{0xa9}, at.Text("module_id")...))
	if i < 5 {
		return "", errors.New("the payload was not found")
	}
	size := int(doc[i-2])<<8 | int(doc[i-1])
	longer := append(append(append([]byte{}, doc[:i-2]...), byte((size+1)>>8), byte(size+1)), 0xb8, 9)
	longer = append(longer, doc[i+1:]...)
	v, err := w.archived(longer)
	if err != nil {
		return "", err
	}
	return v.refusedBy(attestation.ReasonSignature, attestation.ReasonMalformed)
}

func emptyFields(w *world) (string, error) {
	return each([]at.Option{
		at.Member("module_id", at.Text("")), at.Member("timestamp", at.Uint(0)), at.WithoutMember("timestamp"), at.WithoutMember("module_id"),
		at.Member("timestamp", at.Uint(1<<63)), at.Member("timestamp", at.Uint(1<<64-1)),
	}, func(o at.Option) (string, error) {
		return w.forged(append(malformed, certificate...), func(*at.Payload) {}, o)
	})
}

func otherKind(w *world) (string, error) {
	f := w.forge()
	nonce := bytes.Repeat([]byte{5}, 32)
	root, _ := attestation.ChallengeTree([][]byte{nonce})
	v, err := w.archived(f.pki.Sign(f.challenge(root)))
	if err != nil {
		return "", err
	}
	if _, err := v.refusedBy(attestation.ReasonKind); err != nil {
		return "", err
	}
	if v, err = w.challenged(f.pki.Sign(f.boot()), nonce); err != nil {
		return "", err
	}
	return v.refusedBy(attestation.ReasonKind)
}

func changedDocument(w *world) (string, error) {
	s, err := w.status()
	if err != nil {
		return "", err
	}
	trust, err := w.trust()
	if err != nil {
		return "", err
	}
	e := attestation.Expect{Kind: attestation.KindBoot, ManifestHash: attestation.Hash(w.manifest)}
	n := 0
	for i := 0; i < len(s.AttestationDocument); i += 64 {
		if _, err := attestation.VerifyArchived(flipped(s.AttestationDocument, i), trust, e); err == nil {
			return "", fmt.Errorf("byte %d changed, and it was verified", i)
		}
		n++
	}
	v, err := w.verify("document", []byte(base64.StdEncoding.EncodeToString(flipLast(s.AttestationDocument))),
		"--kind", "boot", "--local-root", w.root, "--manifest", w.manifestFile())
	if err != nil {
		return "", err
	}
	seen, err := v.refusedBy(attestation.ReasonSignature)
	return fmt.Sprintf("%d changes, the last: %s", n, seen), err
}
