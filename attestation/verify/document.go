package main

import (
	"bytes"

	"github.com/sallyport/sallyport/attestation"
)

// checkDocument is the command document.
func checkDocument(o *options, c console) (*report, error) {
	trust, err := o.trust(c)
	if err != nil {
		return nil, err
	}
	raw, manifest, err := o.readManifest(c)
	if err != nil {
		return nil, err
	}
	doc, fresh, err := o.readDocument(c)
	if err != nil {
		return nil, err
	}
	e := attestation.Expect{}
	if o.kind != "any" {
		e.Kind = attestation.Kind(o.kind)
	}
	if raw != nil {
		e.ManifestHash = attestation.Hash(raw)
	}
	var d *attestation.Document
	switch {
	case o.nonce == nil:
		d, err = attestation.VerifyArchived(doc, trust, e)
	case fresh != nil:
		d, err = attestation.VerifyChallenge(*fresh, trust, e, o.nonce, c.now())
	default:
		d, err = verifyNonce(doc, trust, e, o.nonce, c)
	}
	if err != nil {
		return nil, err
	}
	if err := matchManifest(d, manifest); err != nil {
		return nil, err
	}
	return documentReport(o, d, manifest, e.ManifestHash), nil
}

// verifyNonce verifies a document without a path: its nonce is the given one,
// or the root of a tree that has the given one alone.
func verifyNonce(doc []byte, t attestation.Trust, e attestation.Expect, nonce []byte, c console) (*attestation.Document, error) {
	now := c.now()
	root, paths := attestation.ChallengeTree([][]byte{nonce})
	if d, err := attestation.VerifyArchived(doc, t, e); err == nil && bytes.Equal(d.Nonce, root) {
		return attestation.VerifyChallenge(attestation.FreshAttestation{Document: doc, Path: paths[0]}, t, e, nonce, now)
	}
	return attestation.VerifyLive(doc, t, e, nonce, now)
}

// matchManifest applies what a manifest says to a document that is bound to
// it.
func matchManifest(d *attestation.Document, m *attestation.Manifest) error {
	switch {
	case m == nil:
		return nil
	case m.Assurance != d.Assurance:
		return &refusal{attestation.ReasonManifest, "the manifest has another assurance than the accepted root"}
	case !m.Accepts(d.Measurements()):
		return &refusal{attestation.ReasonManifest, "the manifest does not list the document's PCR0, PCR1 and PCR2"}
	}
	return nil
}

func documentReport(o *options, d *attestation.Document, m *attestation.Manifest, hash []byte) *report {
	r := newReport("document", d.Assurance)
	r.Document = describeDocument(d)
	r.checked("the document: signature and certificates up to the root")
	r.checked("PCR0, PCR1 and PCR2 are accepted")
	if m != nil {
		r.addManifest(m, hash)
		r.checked("the document is bound to the given manifest, which lists PCR0, PCR1 and PCR2")
	}
	if o.kind == "any" {
		r.notChecked("the form of the document: what its keys and data are for is unknown")
		if m == nil {
			r.notChecked("which manifest it is bound to (--manifest)")
		}
	} else {
		r.checked("it has the form of a %s document, with all 32 PCRs locked and PCR16 to 18 as this manifest and these keys give", o.kind)
	}
	if o.nonce != nil {
		r.checked("it was made for the given nonce, just now")
	} else {
		r.notChecked("that the enclave runs now: the document was verified at its own time")
	}
	r.always()
	return r
}
