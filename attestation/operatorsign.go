package attestation

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/asn1"
	"errors"
	"math/big"
	"slices"
)

// signAs signs a digest of 32 bytes by a key on P-256.
func signAs(operator crypto.Signer, digest []byte) (sig OperatorSignature, err error) {
	public, ok := operator.Public().(*ecdsa.PublicKey)
	if !ok || public.Curve != elliptic.P256() {
		return sig, errors.New("operator key: must be on the curve P-256")
	}
	der, err := operator.Sign(nil, digest, crypto.SHA256) // deterministic (RFC 6979) where the key is in memory
	if err != nil {
		return sig, err
	}
	var rs struct{ R, S *big.Int }
	if rest, err := asn1.Unmarshal(der, &rs); err != nil || len(rest) > 0 || !fits(rs.R) || !fits(rs.S) {
		return sig, errors.New("operator key: gave no signature")
	}
	point, err := public.Bytes()
	if err != nil {
		return sig, errors.New("operator key: must be on the curve P-256")
	}
	sig = OperatorSignature{append([]byte{2 | point[64]&1}, point[1:33]...), make([]byte, rawSignature)}
	rs.R.FillBytes(sig.Signature[:32])
	rs.S.FillBytes(sig.Signature[32:])
	return sig, nil
}

func fits(n *big.Int) bool { return n.Sign() > 0 && n.BitLen() <= 256 }

func (s OperatorSignature) signs(digest []byte) bool {
	key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), uncompressed(s.PublicKey))
	if err != nil || len(s.Signature) != rawSignature {
		return false
	}
	r, t := new(big.Int).SetBytes(s.Signature[:32]), new(big.Int).SetBytes(s.Signature[32:])
	return ecdsa.Verify(key, digest, r, t)
}

// Good reports whether a signature is one of this manifest, by whomever.
func (s *Signed) Good(sig OperatorSignature) bool { return sig.signs(s.digest()) }

func (s OperatorSignature) isOf(operators []Operator) bool {
	return slices.ContainsFunc(operators, func(o Operator) bool { return bytes.Equal(o.PublicKey, s.PublicKey) })
}

// A Handover is what an operator asks a running enclave for: to give its root to
// another one and serve no more. It stops the first, so that not everybody may ask.
type Handover struct {
	Nonce        []byte // of the running enclave
	ManifestHash []byte // of the manifest that the other booted under: SHA-256
	Receiver     []byte // its root-receiving key: SEC 1 uncompressed P-256, 65 bytes
}

// digest is SHA-256 of a label, the SHA-256 of the nonce, the hash and the key.
func (h Handover) digest() []byte {
	nonce := sha256.Sum256(h.Nonce)
	sum := sha256.Sum256(slices.Concat([]byte("sallyport handover v1\x00"), nonce[:], h.ManifestHash, h.Receiver))
	return sum[:]
}

// Sign asks as an operator.
func (h Handover) Sign(operator crypto.Signer) (OperatorSignature, error) {
	return signAs(operator, h.digest())
}

// Verify wants the signature of one of the operators.
func (h Handover) Verify(operators []Operator, s OperatorSignature) error {
	switch {
	case !s.isOf(operators):
		return refuse(ReasonSignature, "handover: it is asked for by nobody who is an operator of the manifest")
	case !s.signs(h.digest()):
		return refuse(ReasonSignature, "handover: the operator's signature does not verify")
	}
	return nil
}
