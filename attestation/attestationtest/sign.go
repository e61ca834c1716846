package attestationtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha512"
	"crypto/x509"
	"slices"
)

// ES384 is the protected header {1: -35} of a genuine document.
var ES384 = []byte{0xa1, 0x01, 0x38, 0x22}

// plan is how one document is made; options change it.
type plan struct {
	issuer  *x509.Certificate // the intermediate
	leaf    *x509.Certificate
	leafKey *ecdsa.PrivateKey
	bundle  [][]byte

	leafCurve    elliptic.Curve
	leafEdit     func(*x509.Certificate)
	intermediate func(*x509.Certificate)
	bundleEdit   func([][]byte) [][]byte
	membersEdit  []func([]member) []member
	payloadEdit  func([]byte) []byte
	signature    func([]byte) []byte
	definite     bool
	prefix       []byte
	protected    []byte
	unprotected  []byte
}

// Option makes a document differ from a genuine one. What is edited before
// signing is signed: a hostile module, not a hostile carrier.
type Option func(*plan)

// LeafCurve puts the key of the leaf on another curve.
func LeafCurve(c elliptic.Curve) Option { return func(p *plan) { p.leafCurve = c } }

// Leaf edits the template of the leaf certificate.
func Leaf(edit func(*x509.Certificate)) Option { return func(p *plan) { p.leafEdit = edit } }

// Intermediate edits the template of the intermediate certificate.
func Intermediate(edit func(*x509.Certificate)) Option {
	return func(p *plan) { p.intermediate = edit }
}

// Bundle edits the CA bundle: the DER of the root, then of the intermediate.
func Bundle(edit func([][]byte) [][]byte) Option { return func(p *plan) { p.bundleEdit = edit } }

// Definite writes the payload as a map of definite length, as hardware did
// until 2022. The default is today's indefinite length.
func Definite() Option { return func(p *plan) { p.definite = true } }

// Member replaces the CBOR value of a member of the payload.
func Member(name string, value []byte) Option {
	return func(p *plan) {
		p.membersEdit = append(p.membersEdit, func(all []member) []member {
			for i := range all {
				if all[i].name == name {
					all[i].value = value
				}
			}
			return all
		})
	}
}

// ExtraMember adds a member at the end of the payload; the name may be there
// already.
func ExtraMember(name string, value []byte) Option {
	return func(p *plan) {
		p.membersEdit = append(p.membersEdit, func(all []member) []member {
			return append(all, member{name, value})
		})
	}
}

// WithoutMember leaves a member out.
func WithoutMember(name string) Option {
	return func(p *plan) {
		p.membersEdit = append(p.membersEdit, func(all []member) []member {
			return slices.DeleteFunc(all, func(m member) bool { return m.name == name })
		})
	}
}

// RawPayload edits the encoded payload before it is signed.
func RawPayload(edit func([]byte) []byte) Option { return func(p *plan) { p.payloadEdit = edit } }

// Protected replaces the bytes of the protected header; they are signed.
func Protected(b []byte) Option { return func(p *plan) { p.protected = b } }

// Unprotected replaces the CBOR of the unprotected header.
func Unprotected(b []byte) Option { return func(p *plan) { p.unprotected = b } }

// Signature edits the signature, r || s.
func Signature(edit func([]byte) []byte) Option { return func(p *plan) { p.signature = edit } }

// Prefix puts bytes, such as a tag, before the document.
func Prefix(b ...byte) Option { return func(p *plan) { p.prefix = b } }

// Sign makes a document: an untagged COSE_Sign1, RFC 9052 section 4.2.
func (p *PKI) Sign(payload Payload, options ...Option) []byte {
	p.tb.Helper()
	d := &plan{protected: ES384, unprotected: []byte{0xa0}}
	for _, o := range options {
		o(d)
	}
	p.certify(d)
	encoded := d.encode(p.fill(payload))
	signature := p.signature(d, encoded)
	if d.signature != nil {
		signature = d.signature(signature)
	}
	return d.assemble(encoded, signature)
}

// Recertified returns a PKI with the same root whose certificates are edited by
// the options, once: all its documents have the same chain.
func (p *PKI) Recertified(options ...Option) *PKI {
	p.tb.Helper()
	var d plan
	for _, o := range options {
		o(&d)
	}
	p.certify(&d)
	q := *p
	q.intermediate, q.leaf, q.leafKey = d.issuer, d.leaf, d.leafKey
	return &q
}

// certify makes the certificates that the options ask for.
func (p *PKI) certify(d *plan) {
	p.tb.Helper()
	intermediate := p.intermediate
	if d.intermediate != nil {
		t := p.intermediateTemplate()
		d.intermediate(t)
		intermediate = p.issue(t, p.Root, &p.intermediateKey.PublicKey, p.rootKey)
	}
	d.issuer, d.leaf, d.leafKey = intermediate, p.leaf, p.leafKey
	if d.leafCurve != nil {
		d.leafKey = NewKey(p.tb, d.leafCurve)
	}
	if d.leafCurve != nil || d.leafEdit != nil || d.intermediate != nil {
		t := p.leafTemplate()
		if d.leafEdit != nil {
			d.leafEdit(t)
		}
		d.leaf = p.issue(t, intermediate, &d.leafKey.PublicKey, p.intermediateKey)
	}
	d.bundle = [][]byte{p.Root.Raw, intermediate.Raw}
	if d.bundleEdit != nil {
		d.bundle = d.bundleEdit(d.bundle)
	}
}

func (p *plan) encode(payload Payload) []byte {
	all := p.members(payload)
	for _, edit := range p.membersEdit {
		all = edit(all)
	}
	b := []byte{0xbf}
	if p.definite {
		b = Head(majorMap, uint64(len(all)))
	}
	for _, m := range all {
		b = append(b, Text(m.name)...)
		b = append(b, m.value...)
	}
	if !p.definite {
		b = append(b, 0xff)
	}
	if p.payloadEdit != nil {
		b = p.payloadEdit(b)
	}
	return b
}

func (p *PKI) signature(d *plan, payload []byte) []byte {
	p.tb.Helper()
	toSign := append(Head(majorArray, 4), Text("Signature1")...)
	toSign = append(toSign, Bytes(d.protected)...)
	toSign = append(toSign, Bytes(nil)...)
	toSign = append(toSign, Bytes(payload)...)
	digest := sha512.Sum384(toSign)
	r, s, err := ecdsa.Sign(rand.Reader, d.leafKey, digest[:])
	if err != nil {
		p.tb.Fatalf("signing a document: %v", err)
	}
	size := (d.leafKey.Curve.Params().BitSize + 7) / 8
	signature := make([]byte, 2*size)
	r.FillBytes(signature[:size])
	s.FillBytes(signature[size:])
	return signature
}

func (p *plan) assemble(payload, signature []byte) []byte {
	b := append(slices.Clone(p.prefix), Head(majorArray, 4)...)
	b = append(b, Bytes(p.protected)...)
	b = append(b, p.unprotected...)
	b = append(b, Bytes(payload)...)
	return append(b, Bytes(signature)...)
}
