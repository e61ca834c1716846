package attestation

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math/big"
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
	Signatures []ManifestSignature
}

// A ManifestSignature is ECDSA P-256 over SHA-256 of "sallyport manifest v1", a zero
// byte and the canonical bytes of the manifest; r || s, 64 bytes.
type ManifestSignature struct {
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
		s.Signatures = append(s.Signatures, ManifestSignature{sig.PublicKey, sig.Signature})
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
	public, ok := operator.Public().(*ecdsa.PublicKey)
	if !ok || public.Curve != elliptic.P256() {
		return errors.New("operator key: must be on the curve P-256")
	}
	digest := s.digest()
	der, err := operator.Sign(nil, digest, crypto.SHA256) // deterministic (RFC 6979) where the key is in memory
	if err != nil {
		return err
	}
	var rs struct{ R, S *big.Int }
	if rest, err := asn1.Unmarshal(der, &rs); err != nil || len(rest) > 0 || rs.R.BitLen() > 256 || rs.S.BitLen() > 256 || rs.R.Sign() < 0 || rs.S.Sign() < 0 {
		return errors.New("operator key: gave no signature")
	}
	raw := make([]byte, rawSignature)
	rs.R.FillBytes(raw[:32])
	rs.S.FillBytes(raw[32:])
	point, err := public.Bytes()
	if err != nil {
		return errors.New("operator key: must be on the curve P-256")
	}
	next := ManifestSignature{append([]byte{2 | point[64]&1}, point[1:33]...), raw}
	s.Signatures = slices.DeleteFunc(s.Signatures, func(o ManifestSignature) bool { return bytes.Equal(o.PublicKey, next.PublicKey) })
	s.Signatures = append(s.Signatures, next)
	slices.SortFunc(s.Signatures, func(a, b ManifestSignature) int { return bytes.Compare(a.PublicKey, b.PublicKey) })
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
		key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), uncompressed(sig.PublicKey))
		r, t := new(big.Int).SetBytes(sig.Signature[:32]), new(big.Int).SetBytes(sig.Signature[32:])
		if err != nil || !ecdsa.Verify(key, digest, r, t) {
			return refuse(ReasonSignature, "manifest: the signature of the key %s does not verify", hex.EncodeToString(sig.PublicKey))
		}
		if slices.ContainsFunc(operators, func(o Operator) bool { return bytes.Equal(o.PublicKey, sig.PublicKey) }) {
			count++
		}
	}
	if count < threshold {
		return refuse(ReasonManifest, "manifest: %d operators have signed it, %d are needed", count, threshold)
	}
	return nil
}
