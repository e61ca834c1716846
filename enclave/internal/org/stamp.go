package org

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"math/big"

	"filippo.io/nistec"
	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	secpecdsa "github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"

	"github.com/sallyport/sallyport/attestation/strictjson"
	"github.com/sallyport/sallyport/enclave/wire"
)

// A keyCurve is the curve of an API key. Numbers stand in the journal.
type keyCurve uint8

const (
	curveP256      keyCurve = 1
	curveSecp256k1 keyCurve = 2
	curveEd25519   keyCurve = 3
)

// curveNames are the names of one curve in the three places that have one.
type curveNames struct {
	curve      keyCurve
	apiKey     string // curveType of a registration
	credential string // credential type of an answer
	scheme     string // scheme of a stamp
}

var curves = []curveNames{
	{curveP256, "API_KEY_CURVE_P256", "CREDENTIAL_TYPE_API_KEY_P256", "SIGNATURE_SCHEME_TK_API_P256"},
	{curveSecp256k1, "API_KEY_CURVE_SECP256K1", "CREDENTIAL_TYPE_API_KEY_SECP256K1", "SIGNATURE_SCHEME_TK_API_SECP256K1"},
	{curveEd25519, "API_KEY_CURVE_ED25519", "CREDENTIAL_TYPE_API_KEY_ED25519", "SIGNATURE_SCHEME_TK_API_ED25519"},
}

func (c keyCurve) names() curveNames { return curves[c-1] }

// A credentialKey is curve and canonical public key bytes: what a stamp names
// its credential by.
type credentialKey struct {
	curve keyCurve
	key   [33]byte // compressed SEC 1; Ed25519: 32 bytes and a zero
}

func (k credentialKey) hex() string {
	if k.curve == curveEd25519 {
		return hex.EncodeToString(k.key[:ed25519.PublicKeySize])
	}
	return hex.EncodeToString(k.key[:])
}

// A publicKey verifies stamps of one credential. Exactly one field is set.
type publicKey struct {
	p256    *ecdsa.PublicKey
	secp    *secp256k1.PublicKey
	ed25519 ed25519.PublicKey
}

// parseCredentialKey reads the one accepted form of an API public key:
// lower-case hex of the compressed point, or of the 32 bytes of an Ed25519
// key. Every other form would be a second name of the same key. Whether the
// point is on the curve is asked once, at registration.
func parseCredentialKey(curve keyCurve, s string) (credentialKey, bool) {
	ck := credentialKey{curve: curve}
	size := len(ck.key)
	if curve == curveEd25519 {
		size = ed25519.PublicKeySize
	}
	if len(s) != 2*size {
		return ck, false
	}
	_, err := hex.Decode(ck.key[:], []byte(s))
	return ck, err == nil && ck.hex() == s
}

// parse gives the verifying key, or false when the bytes are no key of the curve.
func (k credentialKey) parse() (publicKey, bool) {
	switch k.curve {
	case curveP256:
		point, err := nistec.NewP256Point().SetBytes(k.key[:])
		if err != nil {
			return publicKey{}, false
		}
		pub, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point.Bytes())
		return publicKey{p256: pub}, err == nil
	case curveSecp256k1:
		pub, err := secp256k1.ParsePubKey(k.key[:])
		return publicKey{secp: pub}, err == nil
	case curveEd25519:
		pub := k.key[:ed25519.PublicKeySize]
		return publicKey{ed25519: pub}, onEdwards(pub) && !smallOrder(pub)
	}
	return publicKey{}, false
}

var (
	edwardsP, _ = new(big.Int).SetString("57896044618658097711785492504343953926634992332820282019728792003956564819949", 10)
	edwardsD, _ = new(big.Int).SetString("37095705934669439343138083508754565189542113879843219016388785533085940283555", 10)
)

// onEdwards tells whether 32 bytes are the canonical encoding of a point of
// edwards25519 (RFC 8032, section 5.1.3): y is below p, and
// x^2 = (y^2 - 1) / (d y^2 + 1) has a root. The standard library asks only
// when it verifies, and takes a y of p and more as a second name of a key.
func onEdwards(pub []byte) bool {
	be := make([]byte, len(pub))
	for i, b := range pub {
		be[len(pub)-1-i] = b
	}
	be[0] &= 0x7f // the sign of x
	y := new(big.Int).SetBytes(be)
	if y.Cmp(edwardsP) >= 0 {
		return false
	}
	yy := new(big.Int).Mul(y, y)
	u := new(big.Int).Sub(yy, big.NewInt(1))
	v := yy.Mul(yy, edwardsD)
	v.Add(v, big.NewInt(1))
	return big.Jacobi(u.Mul(u, v), edwardsP) == 1 // u/v is a square when u*v is
}

// smallOrder tells the encodings of points of order at most 8: a signature
// under one of them verifies for many messages.
func smallOrder(pub []byte) bool {
	for _, bad := range smallOrderPoints {
		diff := (pub[31] ^ bad[31]) & 0x7f
		for i := range 31 {
			diff |= pub[i] ^ bad[i]
		}
		if diff == 0 {
			return true
		}
	}
	return false
}

// smallOrderPoints are the y coordinates, sign bit clear, of the eight-torsion
// and their non-canonical encodings (p and p+1).
var smallOrderPoints = func() [][32]byte {
	var out [][32]byte
	for _, s := range []string{
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000000",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	} {
		raw, err := hex.DecodeString(s)
		if err != nil {
			panic("internal error: small order table")
		}
		out = append(out, [32]byte(raw))
	}
	return out
}()

// verify checks a signature in the form of the scheme: ASN.1 DER over
// SHA-256 of the body, or 64 bytes over the body itself. High-S signatures
// are accepted, for published clients make them; a signature is therefore
// never a name of anything.
func (p publicKey) verify(body, signature []byte) bool {
	switch {
	case p.p256 != nil:
		digest := sha256.Sum256(body)
		return ecdsa.VerifyASN1(p.p256, digest[:], signature)
	case p.secp != nil:
		sig, err := secpecdsa.ParseDERSignature(signature)
		digest := sha256.Sum256(body)
		return err == nil && sig.Verify(digest[:], p.secp)
	case p.ed25519 != nil:
		return len(signature) == ed25519.SignatureSize && ed25519.Verify(p.ed25519, body, signature)
	}
	return false
}

// A stamp is a parsed X-Stamp header.
type stamp struct {
	PublicKey string `json:"publicKey" strict:"required"`
	Scheme    string `json:"scheme" strict:"required"`
	Signature string `json:"signature" strict:"required"`

	key       credentialKey
	signature []byte
}

const maxStamp = 4096 // bytes; the longest valid one has under 500

var errMalformedStamp = wire.Errorf(wire.Unauthenticated, "SIGNATURE_INVALID", "malformed activity stamp")

// parseStamp reads base64url, with or without padding, of a JSON object with
// exactly publicKey, scheme and signature.
func parseStamp(header []byte) (*stamp, error) {
	if len(header) > maxStamp {
		return nil, errMalformedStamp
	}
	for len(header) > 0 && header[len(header)-1] == '=' && len(header)%4 == 0 {
		header = trimPadding(header)
	}
	raw := make([]byte, base64.RawURLEncoding.DecodedLen(len(header)))
	n, err := base64.RawURLEncoding.Strict().Decode(raw, header)
	if err != nil || base64.RawURLEncoding.EncodedLen(n) != len(header) {
		return nil, errMalformedStamp
	}
	var st stamp
	if err := strictjson.Decode(raw[:n], &st); err != nil {
		return nil, errMalformedStamp
	}
	var curve keyCurve
	for _, names := range curves {
		if names.scheme == st.Scheme {
			curve = names.curve
		}
	}
	if curve == 0 {
		return nil, wire.Errorf(wire.Unauthenticated, "SIGNATURE_INVALID", "malformed activity stamp: scheme is not one of SIGNATURE_SCHEME_TK_API_P256, _SECP256K1, _ED25519")
	}
	if st.signature, err = hex.DecodeString(st.Signature); err != nil {
		return nil, errMalformedStamp
	}
	var ok bool
	if st.key, ok = parseCredentialKey(curve, st.PublicKey); !ok {
		return nil, errMalformedStamp
	}
	return &st, nil
}

// trimPadding drops the one or two characters of base64 padding.
func trimPadding(header []byte) []byte {
	header = header[:len(header)-1]
	if len(header) > 0 && header[len(header)-1] == '=' {
		header = header[:len(header)-1]
	}
	return header
}
