package client

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
)

// SchemeP256 is the stamp scheme of every [APIKey]: ECDSA over P-256 and
// SHA-256, signature in ASN.1 DER.
const SchemeP256 = "SIGNATURE_SCHEME_TK_API_P256"

// CurveP256 is the curveType under which an [APIKey] is registered.
const CurveP256 = "API_KEY_CURVE_P256"

// APIKey is a P-256 key that stamps requests. It prints as its public half
// only; [APIKey.PrivateHex] is the one way out for the private half.
type APIKey struct {
	private *ecdsa.PrivateKey
	public  string
}

// NewAPIKey makes a fresh key.
func NewAPIKey() (*APIKey, error) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making an API key: %w", err)
	}
	return newAPIKey(k)
}

// ParseAPIKey reads a key from its two hex forms: the compressed public point
// (33 bytes, SEC 1) and the private scalar (32 bytes, big endian). It refuses
// halves that do not belong together. Errors never repeat the private half.
func ParseAPIKey(publicHex, privateHex string) (*APIKey, error) {
	raw, err := hex.DecodeString(privateHex)
	if err != nil || len(raw) != 32 {
		return nil, errors.New("API private key: must be 64 hex digits")
	}
	k, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), raw)
	if err != nil {
		return nil, errors.New("API private key: is not a scalar of P-256")
	}
	key, err := newAPIKey(k)
	if err != nil {
		return nil, err
	}
	if key.public != publicHex {
		return nil, errors.New("API public key: does not belong to the private key")
	}
	return key, nil
}

func newAPIKey(k *ecdsa.PrivateKey) (*APIKey, error) {
	point, err := k.PublicKey.Bytes() // 0x04 || X || Y
	if err != nil {
		return nil, fmt.Errorf("encoding an API public key: %w", err)
	}
	compressed := append([]byte{2 | point[64]&1}, point[1:33]...)
	return &APIKey{private: k, public: hex.EncodeToString(compressed)}, nil
}

// PublicHex is the compressed public point, 33 bytes, as lower-case hex.
func (k *APIKey) PublicHex() string { return k.public }

// PrivateHex is the private scalar, 32 bytes big endian, as lower-case hex.
// It goes to files that only the key's owner reads, never to a log.
func (k *APIKey) PrivateHex() (string, error) {
	raw, err := k.private.Bytes()
	if err != nil {
		return "", errors.New("API private key: cannot be encoded")
	}
	return hex.EncodeToString(raw), nil
}

// Format prints the public half, whatever the verb.
func (k *APIKey) Format(f fmt.State, _ rune) { _, _ = fmt.Fprintf(f, "APIKey(%s)", k.public) }

// LogValue logs the public half.
func (k *APIKey) LogValue() slog.Value { return slog.StringValue(k.public) }

// MarshalText refuses: a key is written field by field, on purpose.
func (k *APIKey) MarshalText() ([]byte, error) {
	return nil, errors.New("API key: does not marshal")
}

type stamp struct {
	PublicKey string `json:"publicKey"`
	Scheme    string `json:"scheme"`
	Signature string `json:"signature"`
}

// Stamp signs exactly body and returns the value of the X-Stamp header:
// base64url without padding of the JSON of publicKey, scheme and signature.
// A later change of a single byte of body makes the stamp worthless.
func Stamp(body []byte, key *APIKey) (string, error) {
	digest := sha256.Sum256(body)
	sig, err := ecdsa.SignASN1(rand.Reader, key.private, digest[:])
	if err != nil {
		return "", fmt.Errorf("stamping: %w", err)
	}
	value, err := json.Marshal(stamp{PublicKey: key.public, Scheme: SchemeP256, Signature: hex.EncodeToString(sig)})
	if err != nil {
		return "", fmt.Errorf("stamping: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(value), nil
}
