package attestationtest

import (
	"crypto/elliptic"
	"crypto/x509/pkix"

	"github.com/sallyport/sallyport/attestation"
)

// LongChain makes a document with a CA more than its intermediate's path length
// allows, and the trust in its root. All signatures are right.
func (p *PKI) LongChain(payload Payload) ([]byte, attestation.Trust) {
	p.tb.Helper()
	q := *p
	q.intermediateKey = NewKey(p.tb, elliptic.P384())
	extra := p.caTemplate(pkix.Name{CommonName: "test.instance.sallyport.invalid"}, 0)
	q.intermediate = p.issue(extra, p.intermediate, &q.intermediateKey.PublicKey, p.intermediateKey)
	q.leaf = p.issue(p.leafTemplate(), q.intermediate, &p.leafKey.PublicKey, q.intermediateKey)
	doc := q.Sign(payload, Bundle(func(b [][]byte) [][]byte { return [][]byte{b[0], p.intermediate.Raw, b[1]} }))
	return doc, p.Trust()
}
