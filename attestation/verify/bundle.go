package main

import (
	"crypto/ecdh"
	"fmt"

	"github.com/sallyport/sallyport/attestation"
	"github.com/sallyport/sallyport/attestation/bundle"
	"github.com/sallyport/sallyport/attestation/proof"
)

// checkBundle is the command bundle.
func checkBundle(o *options, c console) (*report, error) {
	trust, err := o.trust(c)
	if err != nil {
		return nil, err
	}
	manifest, _, err := o.readManifest(c)
	if err != nil {
		return nil, err
	}
	b, err := c.read("bundle", o.file)
	if err != nil {
		return nil, err
	}
	e := bundle.Expect{
		Trust:           trust,
		QuorumPublicKey: o.quorumKey,
		OrganizationID:  o.organization,
		TargetPublicKey: o.targetPublicKey,
		PrivateKeyID:    o.keyID,
		PublicKey:       o.publicKey,
		Fingerprint:     o.fingerprint,
	}
	if manifest != nil {
		e.ManifestHash = attestation.Hash(manifest)
	}
	if o.nonce != nil {
		e.Nonce, e.Now = o.nonce, c.now()
	}
	if o.targetKey != "" {
		return o.openBundle(c, b, e)
	}
	if e.TargetPublicKey == nil {
		if e.TargetPublicKey, err = statedTarget(b); err != nil {
			return nil, err
		}
	}
	v, err := bundle.Verify(b, e)
	if err != nil {
		return nil, err
	}
	return bundleReport(o, v), nil
}

// openBundle verifies and decrypts, and writes the key if that was asked for.
func (o *options) openBundle(c console, b []byte, e bundle.Expect) (*report, error) {
	target, err := o.readTargetKey(c)
	if err != nil {
		return nil, err
	}
	key, v, err := bundle.Open(b, target, e)
	if err != nil {
		return nil, err
	}
	defer clear(key)
	curve, err := compareKey(key, v.Statement.PublicKey)
	if err != nil {
		return nil, err
	}
	r := bundleReport(o, v)
	r.checked("the sealed key opens with the target key")
	if curve != "" {
		r.checked("the opened key is that of the public key, on %s", curve)
	} else {
		r.notChecked("that the opened text belongs to the public key")
	}
	if o.out != "" {
		if err := writeKey(o.out, key); err != nil {
			return nil, err
		}
		r.Written = o.out
	}
	return r, nil
}

// statedTarget returns the target key that an unverified bundle names, for a
// caller who does not know it. Verify then checks the statement against
// itself, which the report says.
func statedTarget(b []byte) ([]byte, error) {
	outer, err := bundle.Parse(b)
	if err != nil {
		return nil, err
	}
	s, err := proof.ParseExportStatement([]byte(outer.AttestationProof.ProofPayload))
	if err != nil {
		return nil, &refusal{bundle.ReasonProof, fmt.Sprintf("attestationProof.proofPayload: %v", err)}
	}
	if _, err := ecdh.P256().NewPublicKey(s.TargetPublicKey); err != nil {
		return nil, &refusal{bundle.ReasonProof, "attestationProof.proofPayload: targetPublicKey: must be a point of P-256"}
	}
	return s.TargetPublicKey, nil
}

func bundleReport(o *options, v *bundle.Verified) *report {
	r := newReport("bundle", v.Assurance)
	r.Document = describeDocument(v.Document)
	r.addManifest(v.Manifest, v.ManifestHash)
	r.Export = describeExport(v)
	r.checked("the quorum key is the given one and signed the sealed data for organization %s", o.organization)
	r.checked("the attestation document: signature, certificates up to the root, all 32 PCRs locked, at its own time")
	r.checked("PCR0, PCR1 and PCR2 are accepted and stand in the manifest")
	r.checked("the document binds this manifest and the ephemeral key; the manifest names the quorum key")
	r.checked("the ephemeral key signed that this data holds this key, for this target key and activity")
	r.optional(o.targetKey != "" || o.targetPublicKey != nil, "the target key", "--target-public-key")
	r.optional(o.keyID != "", "the key id", "--key-id")
	r.optional(o.publicKey != "", "the public key", "--public-key")
	r.optional(o.fingerprint != "", "the activity", "--fingerprint")
	r.optional(o.manifest != "", "the manifest", "--manifest")
	r.addFresh(v.Fresh, v.Live)
	if o.targetKey == "" {
		r.notChecked("that the sealed key opens (--target-key)")
	}
	r.notChecked("that the journal still has the entry of this export: that takes a checkpoint")
	r.always()
	return r
}
