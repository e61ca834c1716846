package main

import (
	"bytes"
	"crypto/ecdh"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"io"
	"os"

	"github.com/sallyport/sallyport/attestation"
	"github.com/sallyport/sallyport/attestation/strictjson"
)

// maxInput bounds every file that is read, in bytes. All of them are below a
// quarter of it.
const maxInput = 1 << 20

// read returns the contents of a file; "-" is standard input.
func (c console) read(what, path string) ([]byte, error) {
	in := c.in
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, &usageError{fmt.Sprintf("%s: %v", what, err)}
		}
		defer func() { _ = f.Close() }()
		in = f
	}
	b, err := io.ReadAll(io.LimitReader(in, maxInput+1))
	if err != nil {
		return nil, &usageError{fmt.Sprintf("%s: %v", what, err)}
	}
	if len(b) > maxInput {
		return nil, &usageError{fmt.Sprintf("%s: is larger than %d bytes", what, maxInput)}
	}
	return b, nil
}

// trust makes the trust that the flags name.
func (o *options) trust(c console) (attestation.Trust, error) {
	if o.localRoot != "" {
		root, err := o.readRoot(c)
		if err != nil {
			return attestation.Trust{}, err
		}
		return attestation.TrustLocal(root)
	}
	accepted, err := o.readMeasurements(c)
	if err != nil {
		return attestation.Trust{}, err
	}
	return attestation.TrustAWS(accepted...)
}

func (o *options) readRoot(c console) (*x509.Certificate, error) {
	b, err := c.read("--local-root", o.localRoot)
	if err != nil {
		return nil, err
	}
	block, rest := pem.Decode(b)
	if block == nil || block.Type != "CERTIFICATE" || len(bytes.TrimSpace(rest)) != 0 {
		return nil, &usageError{"--local-root: must be one certificate in PEM"}
	}
	root, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, &usageError{"--local-root: must be one certificate in PEM"}
	}
	return root, nil
}

func (o *options) readMeasurements(c console) ([]attestation.Measurements, error) {
	b, err := c.read("--measurements", o.measurements)
	if err != nil {
		return nil, err
	}
	var list []struct {
		PCR0 string `json:"pcr0" strict:"required"`
		PCR1 string `json:"pcr1" strict:"required"`
		PCR2 string `json:"pcr2" strict:"required"`
	}
	if err := strictjson.Decode(b, &list); err != nil {
		return nil, &usageError{fmt.Sprintf("--measurements: %v", err)}
	}
	var accepted []attestation.Measurements
	for i, m := range list {
		one, err := attestation.ParseMeasurements(m.PCR0, m.PCR1, m.PCR2)
		if err != nil {
			return nil, &usageError{fmt.Sprintf("--measurements: [%d]: %v", i, err)}
		}
		accepted = append(accepted, one)
	}
	return accepted, nil
}

// readManifest returns the exact bytes of the manifest, and what they say.
func (o *options) readManifest(c console) ([]byte, *attestation.Manifest, error) {
	if o.manifest == "" {
		return nil, nil, nil
	}
	b, err := c.read("--manifest", o.manifest)
	if err != nil {
		return nil, nil, err
	}
	m, err := attestation.ParseManifest(b)
	return b, m, err
}

// readTargetKey reads a P-256 private key as 64 hex digits. Its errors do not
// repeat what is in the file.
func (o *options) readTargetKey(c console) (*ecdh.PrivateKey, error) {
	b, err := c.read("--target-key", o.targetKey)
	if err != nil {
		return nil, err
	}
	scalar, err := hex.DecodeString(string(bytes.TrimSpace(b)))
	if err == nil {
		key, err := ecdh.P256().NewPrivateKey(scalar)
		if err == nil {
			return key, nil
		}
	}
	return nil, &usageError{"--target-key: must be a private key of P-256, 64 hex digits"}
}

// readDocument reads a document, raw or base64, or a fresh attestation.
func (o *options) readDocument(c console) (doc []byte, fresh *attestation.FreshAttestation, err error) {
	b, err := c.read("document", o.file)
	if err != nil {
		return nil, nil, err
	}
	text := bytes.TrimSpace(b)
	if len(text) > 0 && text[0] == '{' {
		fresh = new(attestation.FreshAttestation)
		if err := strictjson.Decode(text, fresh); err != nil {
			return nil, nil, &refusal{"malformed", fmt.Sprintf("fresh attestation: %v", err)}
		}
		return fresh.Document, fresh, nil
	}
	// Raw documents begin with a byte that is not ASCII: an array of four, or
	// tag 18. Line breaks are what base64(1) puts in.
	if len(b) > 0 && b[0] < 0x80 {
		text = bytes.ReplaceAll(bytes.ReplaceAll(text, []byte("\r"), nil), []byte("\n"), nil)
		if doc, err := base64.StdEncoding.Strict().DecodeString(string(text)); err == nil {
			return doc, nil, nil
		}
	}
	return b, nil, nil
}
