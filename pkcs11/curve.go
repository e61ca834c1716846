package pkcs11

import (
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"errors"
	"fmt"
	"math/big"

	"filippo.io/edwards25519"
	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	k1ecdsa "github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"
	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// A Curve is that of a signing key.
type Curve string

// The curves. What is signed is a digest of the curve's size; Ed25519 signs the
// message itself. Signatures are r and s, big endian, s at most half the order;
// those of Ed25519 are of RFC 8032.
const (
	P256      Curve = "p256"      // 32 bytes are signed, 64 bytes a signature
	P384      Curve = "p384"      // 48 bytes, 96 bytes
	Secp256k1 Curve = "secp256k1" // 32 bytes, 64 bytes
	Ed25519   Curve = "ed25519"   // 1 to 65536 bytes, 64 bytes
)

// Curves are all of them.
var Curves = []Curve{P256, P384, Secp256k1, Ed25519}

// maxMessage bounds what Ed25519 signs, in bytes: modules copy it.
const maxMessage = 1 << 16

// A curve is what one of them takes.
type curve struct {
	scalar int    // bytes of r, of s and of a digest; 0 for Ed25519
	point  int    // bytes of a public key
	params []byte // CKA_EC_PARAMS, DER
	order  *big.Int
	onIt   func(point []byte) error
	verify func(point, digest, signature []byte) bool
}

var curves = map[Curve]curve{
	P256:      {32, 65, []byte{6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7}, elliptic.P256().Params().N, onNIST(ecdh.P256()), verifyNIST(elliptic.P256())},
	P384:      {48, 97, []byte{6, 5, 0x2b, 0x81, 4, 0, 34}, elliptic.P384().Params().N, onNIST(ecdh.P384()), verifyNIST(elliptic.P384())},
	Secp256k1: {32, 65, []byte{6, 5, 0x2b, 0x81, 4, 0, 10}, secp256k1.Params().N, onSecp256k1, verifySecp256k1},
	Ed25519:   {0, 32, []byte{6, 3, 0x2b, 0x65, 0x70}, nil, onEd25519, verifyEd25519},
}

// edwardsName is the other form of CKA_EC_PARAMS for Ed25519, a PrintableString;
// SoftHSM gives it whatever it got.
var edwardsName = append([]byte{19, 12}, "edwards25519"...)

func (c Curve) check() (curve, error) {
	found, ok := curves[c]
	if !ok {
		return curve{}, fmt.Errorf("pkcs11: curve: must be one of %v", Curves)
	}
	return found, nil
}

// readPoint reads CKA_EC_POINT, which modules give raw or as a DER OCTET
// STRING, and wants a point of the curve. It returns the uncompressed point of
// SEC 1, or the 32 bytes of RFC 8032.
func (c curve) readPoint(b []byte) ([]byte, error) {
	point := b
	if len(b) != c.point {
		s, inner := cryptobyte.String(b), cryptobyte.String(nil)
		if !s.ReadASN1(&inner, asn1.OCTET_STRING) || !s.Empty() || len(inner) != c.point {
			return nil, fmt.Errorf("must be %d bytes, or a DER OCTET STRING of them", c.point)
		}
		point = inner
	}
	return append([]byte(nil), point...), c.onIt(point)
}

// checkInput wants what the curve signs. Modules cut what is too long.
func (c curve) checkInput(b []byte) error {
	if c.scalar == 0 && (len(b) == 0 || len(b) > maxMessage) {
		return fmt.Errorf("pkcs11: message: must be 1 to %d bytes, not %d", maxMessage, len(b))
	}
	if c.scalar != 0 && len(b) != c.scalar {
		return fmt.Errorf("pkcs11: digest: must be %d bytes, not %d", c.scalar, len(b))
	}
	return nil
}

// finish makes s the lower of the two that verify, and verifies.
func (c curve) finish(point, digest, signature []byte) ([]byte, error) {
	if c.scalar == 0 {
		if len(signature) != ed25519.SignatureSize || !c.verify(point, digest, signature) {
			return nil, errBadSignature
		}
		return signature, nil
	}
	if len(signature) != 2*c.scalar {
		return nil, errBadSignature
	}
	s := new(big.Int).SetBytes(signature[c.scalar:])
	if other := new(big.Int).Sub(c.order, s); other.Sign() > 0 && s.Cmp(other) > 0 {
		other.FillBytes(signature[c.scalar:])
	}
	if !c.verify(point, digest, signature) {
		return nil, errBadSignature
	}
	return signature, nil
}

var errBadSignature = fmt.Errorf("%w: it gave a signature that does not verify", ErrUnavailable)

func onNIST(c ecdh.Curve) func([]byte) error {
	return func(point []byte) error {
		_, err := c.NewPublicKey(point)
		return err
	}
}

func onSecp256k1(point []byte) error {
	if point[0] != 4 { // others of this length mix two forms
		return errors.New("must be an uncompressed point")
	}
	_, err := secp256k1.ParsePubKey(point)
	return err
}

// onEd25519 wants a canonical point that is not of small order.
func onEd25519(point []byte) error {
	p, err := new(edwards25519.Point).SetBytes(point)
	if err != nil {
		return err
	}
	if string(p.Bytes()) != string(point) {
		return errors.New("must be encoded canonically")
	}
	if new(edwards25519.Point).MultByCofactor(p).Equal(edwards25519.NewIdentityPoint()) == 1 {
		return errors.New("must not be of small order")
	}
	return nil
}

func verifyNIST(c elliptic.Curve) func(point, digest, signature []byte) bool {
	return func(point, digest, signature []byte) bool {
		key, err := ecdsa.ParseUncompressedPublicKey(c, point)
		half := len(signature) / 2
		return err == nil && ecdsa.Verify(key, digest, new(big.Int).SetBytes(signature[:half]), new(big.Int).SetBytes(signature[half:]))
	}
}

func verifySecp256k1(point, digest, signature []byte) bool {
	key, err := secp256k1.ParsePubKey(point)
	var r, s secp256k1.ModNScalar
	if err != nil || r.SetByteSlice(signature[:32]) || s.SetByteSlice(signature[32:]) {
		return false
	}
	return k1ecdsa.NewSignature(&r, &s).Verify(digest, key)
}

func verifyEd25519(point, message, signature []byte) bool {
	return ed25519.Verify(point, message, signature)
}
