package attestation

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"

	"github.com/sallyport/sallyport/attestation/strictjson"
)

// SignedFormat is the format of a manifest with its operators' signatures.
const SignedFormat = "sallyport-signed-manifest-v1"

// manifestLabel keeps an operator's signature of a manifest from meaning anything else.
const manifestLabel = "sallyport manifest v1\x00"

// rawSignature is r || s.
const rawSignature = 64

// A Signed manifest is what operators pass around and what an enclave boots with:
// the canonical bytes of a manifest, and signatures of them. One without
// operators has none.
type Signed struct {
	Manifest []byte
	// Signatures are sorted by key, one of each.
	Signatures []OperatorSignature
}

// An OperatorSignature is ECDSA P-256 over a SHA-256; r || s, 64 bytes. Of a manifest it is
// that of "sallyport manifest v1", a zero byte and the canonical bytes.
type OperatorSignature struct {
	PublicKey []byte // SEC 1 compressed, 33 bytes
	Signature []byte
}

type signedJSON struct {
	Format     string          `json:"format" strict:"required"`
	Manifest   []byte          `json:"manifest" strict:"required"`
	Signatures []signatureJSON `json:"signatures" strict:"required"`
}

type signatureJSON struct {
	PublicKey strictjson.Hex `json:"publicKey" strict:"required"`
	Signature strictjson.Hex `json:"signature" strict:"required"`
}

// maxSigned bounds the file: the manifest in base64, and signatures of 230 bytes.
const maxSigned = maxManifest*4/3 + 16<<10

// ParseSigned reads a signed manifest, or the bare canonical bytes of one, which
// have no signatures. It checks forms only; see [Signed.Verify]. Errors are of
// type [*Error].
func ParseSigned(b []byte) (*Signed, error) {
	if len(b) > maxSigned {
		return nil, refuse(ReasonManifest, "signed manifest: has %d bytes, more than %d", len(b), maxSigned)
	}
	var peek struct{ Format string }
	if json.Unmarshal(b, &peek) == nil && peek.Format == ManifestFormat {
		_, err := ParseManifest(b)
		return &Signed{Manifest: b}, err
	}
	var j signedJSON
	if err := strictjson.Decode(b, &j); err != nil {
		return nil, refuse(ReasonManifest, "signed manifest: %v", err)
	}
	if j.Format != SignedFormat {
		return nil, refuse(ReasonManifest, "signed manifest: format: must be %s", SignedFormat)
	}
	s := &Signed{Manifest: j.Manifest}
	for _, sig := range j.Signatures {
		s.Signatures = append(s.Signatures, OperatorSignature{sig.PublicKey, sig.Signature})
	}
	return s, s.check()
}

func (s *Signed) check() error {
	if len(s.Signatures) > 2*maxOperators {
		return refuse(ReasonManifest, "signatures: must be at most %d", 2*maxOperators)
	}
	for i, sig := range s.Signatures {
		switch {
		case uncompressed(sig.PublicKey) == nil:
			return refuse(ReasonManifest, "signatures[%d].publicKey: must be a compressed point on the curve P-256", i)
		case len(sig.Signature) != rawSignature:
			return refuse(ReasonManifest, "signatures[%d].signature: must be %d bytes", i, rawSignature)
		case i > 0 && bytes.Compare(s.Signatures[i-1].PublicKey, sig.PublicKey) >= 0:
			return refuse(ReasonManifest, "signatures: must be sorted by public key, one of each")
		}
	}
	return nil
}

// Encode returns the one form of a signed manifest.
func (s *Signed) Encode() []byte {
	j := signedJSON{Format: SignedFormat, Manifest: s.Manifest, Signatures: []signatureJSON{}}
	for _, sig := range s.Signatures {
		j.Signatures = append(j.Signatures, signatureJSON{sig.PublicKey, sig.Signature})
	}
	b, err := strictjson.Marshal(j)
	if err != nil {
		panic("internal error: a signed manifest of strings does not encode")
	}
	return b
}

// Sign adds the signature of an operator, whose key is in memory or in a token; one
// that is there is replaced.
func (s *Signed) Sign(operator crypto.Signer) error {
	next, err := signAs(operator, s.digest())
	if err != nil {
		return err
	}
	s.Signatures = slices.DeleteFunc(s.Signatures, func(o OperatorSignature) bool { return bytes.Equal(o.PublicKey, next.PublicKey) })
	s.Signatures = append(s.Signatures, next)
	slices.SortFunc(s.Signatures, func(a, b OperatorSignature) int { return bytes.Compare(a.PublicKey, b.PublicKey) })
	return nil
}

func (s *Signed) digest() []byte {
	sum := sha256.Sum256(append([]byte(manifestLabel), s.Manifest...))
	return sum[:]
}

// Verify reads the manifest and wants that enough of its own operators have
// signed it. Every signature that is there must be good.
func (s *Signed) Verify() (*Manifest, error) {
	m, err := ParseManifest(s.Manifest)
	if err != nil {
		return nil, err
	}
	return m, s.VerifyBy(m.Operators, m.OperatorThreshold)
}

// VerifyBy wants the signatures of so many of the operators. Others' do not count,
// but every one that is there must be good.
func (s *Signed) VerifyBy(operators []Operator, threshold int64) error {
	digest, count := s.digest(), int64(0)
	for _, sig := range s.Signatures {
		if !sig.signs(digest) {
			return refuse(ReasonSignature, "manifest: the signature of the key %s does not verify", hex.EncodeToString(sig.PublicKey))
		}
		if sig.isOf(operators) {
			count++
		}
	}
	if count < threshold {
		return refuse(ReasonManifest, "manifest: %d operators have signed it, %d are needed", count, threshold)
	}
	return nil
}
