package node

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"math/big"
	"strings"

	"github.com/sallyport/sallyport/attestation/strictjson"
)

// Signature algorithms of a JWT (RFC 7518, section 3.1).
const (
	algES256 = "ES256"
	algRS256 = "RS256"

	minRSA, maxRSA = 2048, 8192 // bits
)

// parseRuleKey reads the public key of a rule server: PEM of a SubjectPublicKeyInfo,
// on P-256 for ES256 and RSA for RS256.
func parseRuleKey(alg, text string) (crypto.PublicKey, error) {
	if alg != algES256 && alg != algRS256 {
		return nil, bad("jwt_alg: must be %s or %s", algES256, algRS256)
	}
	block, rest := pem.Decode([]byte(text))
	if len(text) > maxPEM || block == nil || block.Type != "PUBLIC KEY" || strings.TrimSpace(string(rest)) != "" {
		return nil, bad("pubkey: must be one PEM block, PUBLIC KEY, of at most %d bytes", maxPEM)
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, bad("pubkey: must hold a SubjectPublicKeyInfo")
	}
	switch k := key.(type) {
	case *ecdsa.PublicKey:
		if alg == algES256 && k.Curve == elliptic.P256() {
			return k, nil
		}
	case *rsa.PublicKey:
		if n := k.N.BitLen(); alg == algRS256 && n >= minRSA && n <= maxRSA {
			return k, nil
		}
	}
	return nil, bad("pubkey: must be on P-256 for %s, RSA of %d to %d bits for %s", algES256, minRSA, maxRSA, algRS256)
}

// signJWT makes a compact JWS (RFC 7515, section 3.1) with ES256.
func signJWT(key *ecdsa.PrivateKey, claims []byte) ([]byte, error) {
	b64 := base64.RawURLEncoding
	text := b64.EncodeToString([]byte(`{"alg":"ES256","typ":"JWT"}`)) + "." + b64.EncodeToString(claims)
	digest := sha256.Sum256([]byte(text))
	der, err := key.Sign(nil, digest[:], crypto.SHA256) // deterministic (RFC 6979)
	if err != nil {
		return nil, err
	}
	var rs struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(der, &rs); err != nil {
		return nil, err
	}
	var sig [64]byte
	rs.R.FillBytes(sig[:32])
	rs.S.FillBytes(sig[32:])
	return []byte(text + "." + b64.EncodeToString(sig[:])), nil
}

// verifyJWT checks form and signature of a compact JWS and returns its claims,
// by their exact names. The algorithm is the rule's: what the header says must
// be the same, and chooses nothing.
func verifyJWT(alg string, key crypto.PublicKey, text string) (map[string]json.RawMessage, error) {
	parts := strings.Split(strings.TrimSpace(text), ".")
	if len(parts) != 3 {
		return nil, errors.New("it is not a JWT of three parts")
	}
	var raw [3][]byte
	for i, p := range parts {
		var err error
		if raw[i], err = base64.RawURLEncoding.Strict().DecodeString(p); err != nil || strings.ContainsAny(p, "\r\n") {
			return nil, errors.New("a part of the JWT is not base64url without padding")
		}
	}
	header, err := members(raw[0])
	if err != nil || string(header["alg"]) != `"`+alg+`"` || header["crit"] != nil {
		return nil, errors.New("the header of the JWT must name " + alg + " and nothing critical")
	}
	digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if !verifySignature(key, digest[:], raw[2]) {
		return nil, errors.New("the signature of the JWT does not verify")
	}
	claims, err := members(raw[1])
	if err != nil {
		return nil, errors.New("the claims of the JWT are not a strict JSON object")
	}
	return claims, nil
}

func verifySignature(key crypto.PublicKey, digest, sig []byte) bool {
	switch k := key.(type) {
	case *ecdsa.PublicKey:
		return len(sig) == 64 && ecdsa.Verify(k, digest, new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:]))
	case *rsa.PublicKey:
		return rsa.VerifyPKCS1v15(k, crypto.SHA256, digest, sig) == nil
	}
	return false
}

// members reads an object whose names are unique, whatever they are.
func members(b []byte) (out map[string]json.RawMessage, err error) {
	var strict strictjson.Raw
	if err := strictjson.Decode(b, &strict); err != nil {
		return nil, err
	}
	return out, json.Unmarshal(strict, &out)
}
