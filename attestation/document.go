package attestation

import (
	"bytes"
	"time"

	"github.com/fxamacker/cbor/v2"
)

// Document is what a verified attestation document says. There is no way to
// get one from this package without verification.
type Document struct {
	// ModuleID names the Nitro Security Module that signed.
	ModuleID string
	// Timestamp is the module's own time, in milliseconds UTC.
	Timestamp time.Time
	// PCRs are the locked registers by index, 48 bytes each.
	PCRs map[int][]byte
	// UserData, Nonce and PublicKey are nil when the document leaves them out.
	UserData, Nonce, PublicKey []byte
	// LeafNotAfter is when the certificate of the signing key expires. It may
	// be minutes away: the module keeps its certificate for three hours.
	LeafNotAfter time.Time
	// Assurance is that of the [Trust] which accepted the document.
	Assurance string
}

// Measurements returns PCR0, 1 and 2.
func (d *Document) Measurements() Measurements {
	var m Measurements
	copy(m.PCR0[:], d.PCRs[0])
	copy(m.PCR1[:], d.PCRs[1])
	copy(m.PCR2[:], d.PCRs[2])
	return m
}

// Limits of the fields of a document. Where two statements of AWS differ, the
// stricter one counts.
const (
	// MaxUserData and MaxNonce are in bytes.
	MaxUserData = 512
	MaxNonce    = 512
	// MaxPublicKey is in bytes.
	MaxPublicKey = 1024

	maxModuleID    = 128
	maxCertificate = 1024 // bytes of DER
	maxBundle      = 10   // certificates; real bundles have 4
	signatureSize  = 96   // r || s on P-384, RFC 9053 section 2.1
)

// protectedES384 is the only protected header accepted, {1: -35}: the
// algorithm is ECDSA with SHA-384, and nothing else is said. RFC 9053 section
// 2.1.
var protectedES384 = []byte{0xa1, 0x01, 0x38, 0x22}

// envelope is a COSE_Sign1 structure, RFC 9052 section 4.2.
type envelope struct {
	_           struct{} `cbor:",toarray"`
	Protected   octets
	Unprotected cbor.RawMessage
	Payload     octets
	Signature   octets
}

// payload is the attestation document inside the envelope, as in AWS's
// "Verifying the root of trust" guide.
type payload struct {
	ModuleID    string            `cbor:"module_id"`
	Timestamp   uint64            `cbor:"timestamp"`
	Digest      string            `cbor:"digest"`
	PCRs        map[uint64]octets `cbor:"pcrs"`
	Certificate octets            `cbor:"certificate"`
	CABundle    []octets          `cbor:"cabundle"`
	PublicKey   octets            `cbor:"public_key"`
	UserData    octets            `cbor:"user_data"`
	Nonce       octets            `cbor:"nonce"`
}

// decode reads a document strictly and checks everything that needs no
// certificate. It returns the untagged COSE_Sign1 bytes as well.
func decode(doc []byte) (cose []byte, p *payload, err error) {
	if len(doc) > MaxDocumentSize {
		return nil, nil, refuse(ReasonMalformed, "the document has %d bytes, more than %d", len(doc), MaxDocumentSize)
	}
	cose = doc
	if len(doc) > 0 && doc[0] == majorTag<<5|18 {
		cose = doc[1:] // RFC 9052 section 2: tag 18 is COSE_Sign1
	}
	if err := wellFormed(cose); err != nil {
		return nil, nil, refuse(ReasonMalformed, "envelope: %v", err)
	}
	var e envelope
	if err := decoder.Unmarshal(cose, &e); err != nil {
		return nil, nil, refuse(ReasonMalformed, "envelope: not a COSE_Sign1 array of four")
	}
	if err := e.check(); err != nil {
		return nil, nil, err
	}
	if err := wellFormed(e.Payload); err != nil {
		return nil, nil, refuse(ReasonMalformed, "payload: %v", err)
	}
	p = new(payload)
	if err := decoder.Unmarshal(e.Payload, p); err != nil {
		return nil, nil, refuse(ReasonMalformed, "payload: an unknown or duplicate member, or one of a wrong type")
	}
	if err := p.check(); err != nil {
		return nil, nil, err
	}
	return cose, p, nil
}

func (e *envelope) check() error {
	if !bytes.Equal(e.Protected, protectedES384) {
		return refuse(ReasonMalformed, "protected header: must be {1: -35} and nothing else")
	}
	if !bytes.Equal(e.Unprotected, []byte{0xa0}) && !bytes.Equal(e.Unprotected, []byte{0xbf, cborBreak}) {
		return refuse(ReasonMalformed, "unprotected header: must be an empty map")
	}
	if len(e.Payload) == 0 {
		return refuse(ReasonMalformed, "payload: is missing")
	}
	if len(e.Signature) != signatureSize {
		return refuse(ReasonMalformed, "signature: must be %d bytes, has %d", signatureSize, len(e.Signature))
	}
	return nil
}

// maxTimestamp is the last millisecond of the year 9999.
const maxTimestamp = 253402300799999

func (p *payload) check() error {
	if err := p.checkSizes(); err != nil {
		return err
	}
	switch {
	case p.ModuleID == "":
		return refuse(ReasonMalformed, "module_id: is missing")
	case len(p.ModuleID) > maxModuleID || !printable(p.ModuleID):
		return refuse(ReasonMalformed, "module_id: must be at most %d printable characters", maxModuleID)
	case p.Timestamp == 0:
		return refuse(ReasonMalformed, "timestamp: is missing")
	case p.Timestamp > maxTimestamp:
		return refuse(ReasonMalformed, "timestamp: is beyond the year 9999")
	case p.Digest != "SHA384":
		return refuse(ReasonMalformed, "digest: must be SHA384")
	case len(p.PCRs) == 0:
		return refuse(ReasonMalformed, "pcrs: are missing")
	}
	for index, value := range p.PCRs {
		if index >= PCRCount {
			return refuse(ReasonMalformed, "pcrs: there is no register %d", index)
		}
		if len(value) != PCRSize {
			return refuse(ReasonMalformed, "pcrs: register %d must be %d bytes, has %d", index, PCRSize, len(value))
		}
	}
	return nil
}

func (p *payload) checkSizes() error {
	for _, f := range []struct {
		name  string
		value octets
		least int
		most  int
	}{
		{"certificate", p.Certificate, 1, maxCertificate},
		{"user_data", p.UserData, 0, MaxUserData},
		{"nonce", p.Nonce, 0, MaxNonce},
		{"public_key", p.PublicKey, 0, MaxPublicKey},
	} {
		if len(f.value) < f.least {
			return refuse(ReasonMalformed, "%s: is missing", f.name)
		}
		if len(f.value) > f.most {
			return refuse(ReasonMalformed, "%s: must be at most %d bytes, has %d", f.name, f.most, len(f.value))
		}
	}
	if len(p.CABundle) == 0 || len(p.CABundle) > maxBundle {
		return refuse(ReasonMalformed, "cabundle: must have 1 to %d certificates, has %d", maxBundle, len(p.CABundle))
	}
	for i, c := range p.CABundle {
		if len(c) == 0 || len(c) > maxCertificate {
			return refuse(ReasonMalformed, "cabundle: certificate %d must be 1 to %d bytes, has %d", i, maxCertificate, len(c))
		}
	}
	return nil
}

func (p *payload) time() time.Time { return time.UnixMilli(int64(p.Timestamp)).UTC() }

// document makes the value that callers get, once everything is verified.
func (p *payload) document(assurance string, leafNotAfter time.Time) *Document {
	pcrs := make(map[int][]byte, len(p.PCRs))
	for index, value := range p.PCRs {
		pcrs[int(index)] = value
	}
	return &Document{
		ModuleID:     p.ModuleID,
		Timestamp:    p.time(),
		PCRs:         pcrs,
		UserData:     p.UserData,
		Nonce:        p.Nonce,
		PublicKey:    p.PublicKey,
		LeafNotAfter: leafNotAfter,
		Assurance:    assurance,
	}
}

// printable reports whether s is printable ASCII, so that it can be shown on a
// terminal and in a log.
func printable(s string) bool {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7e {
			return false
		}
	}
	return true
}
