package main

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/sallyport/sallyport/attestation/bundle"
)

// bundleByteRows are bundles with bits, bytes or members changed.
var bundleByteRows = []row{
	{id: "G1", what: "one bit of each member", run: flippedMembers},
	{id: "G1b", what: "one bit at every 16th byte of the bundle", run: flippedBytes},
	{id: "G1c", what: "bundle cut at every 32nd byte, and with a byte more", run: cutBundle},
	{id: "G1d", what: "member missing, null, twice, unknown, of another type", run: bundleMembers},
}

func flippedMembers(w *world) (string, error) {
	hexLast := func(s string) string {
		raw, err := hex.DecodeString(s)
		if err != nil {
			panic(err.Error())
		}
		return hex.EncodeToString(flipLast(raw))
	}
	return each([]func(*bundle.Outer){
		func(o *bundle.Outer) { o.Version = "v1.0.1" },
		func(o *bundle.Outer) { o.Data = flipLast(o.Data) },
		func(o *bundle.Outer) { o.Data = flipped(o.Data, 30) },
		func(o *bundle.Outer) { o.DataSignature = flipLast(o.DataSignature) },
		func(o *bundle.Outer) { o.EnclaveQuorumPublic = flipLast(o.EnclaveQuorumPublic) },
		func(o *bundle.Outer) { o.AttestationDocument = flipLast(o.AttestationDocument) },
		func(o *bundle.Outer) { o.AttestationDocument = flipped(o.AttestationDocument, 200) },
		func(o *bundle.Outer) { o.Manifest = flipped(o.Manifest, 60) },
		func(o *bundle.Outer) { o.AttestationProof.PublicKey = hexLast(o.AttestationProof.PublicKey) },
		func(o *bundle.Outer) { o.AttestationProof.Signature = hexLast(o.AttestationProof.Signature) },
		func(o *bundle.Outer) {
			o.AttestationProof.ProofPayload = string(flipped([]byte(o.AttestationProof.ProofPayload), 60))
		},
		func(o *bundle.Outer) { o.AttestationProof.Scheme += "X" },
		func(o *bundle.Outer) { o.FreshAttestation.Document = flipLast(o.FreshAttestation.Document) },
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
	seen, err := w.refusedBundle(flipLast(w.export.bundle))
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
