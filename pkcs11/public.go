//go:build cgo

package pkcs11

import (
	"bytes"
	"errors"
	"fmt"

	p11 "github.com/miekg/pkcs11"
)

// readPair reads what is public about a private key.
func (t *Token) readPair(s p11.SessionHandle, kindOf func(Curve) pairKind, private p11.ObjectHandle, id []byte) (*pair, error) {
	c, err := t.curveOf(s, private)
	if err != nil {
		return nil, fmt.Errorf("%w: %x: %w", ErrKey, id, err)
	}
	p := &pair{t: t, kind: kindOf(c), curve: curves[c], id: id}
	if p.kind.curve != c {
		return nil, fmt.Errorf("%w: %x: its curve must be %s, not %s", ErrKey, id, p.kind.curve, c)
	}
	label, err := t.attribute(s, private, p11.CKA_LABEL)
	if err != nil {
		return nil, err
	}
	p.label = string(label)
	p.public, err = t.publicKey(s, p.curve, private, id)
	return p, err
}

// curveOf reads CKA_KEY_TYPE and CKA_EC_PARAMS.
func (t *Token) curveOf(s p11.SessionHandle, private p11.ObjectHandle) (Curve, error) {
	keyType, err := t.attribute(s, private, p11.CKA_KEY_TYPE)
	if err != nil {
		return "", err
	}
	params, err := t.attribute(s, private, p11.CKA_EC_PARAMS)
	if err != nil && !errors.Is(err, p11.Error(p11.CKR_ATTRIBUTE_TYPE_INVALID)) {
		return "", err
	}
	if bytes.Equal(params, edwardsName) {
		params = curves[Ed25519].params
	}
	for _, c := range Curves {
		if bytes.Equal(params, curves[c].params) && bytes.Equal(keyType, p11.NewAttribute(0, signerKind(c).keyType).Value) {
			return c, nil
		}
	}
	return "", fmt.Errorf("CKA_EC_PARAMS must be those of a curve of %v", Curves)
}

// publicKey reads CKA_EC_POINT of the public key with the same id; some modules
// have it on the private key instead.
func (t *Token) publicKey(s p11.SessionHandle, c curve, private p11.ObjectHandle, id []byte) ([]byte, error) {
	object, _, err := t.findOne(s, p11.CKO_PUBLIC_KEY, "", id)
	if errors.Is(err, errNoKey) {
		object, err = private, nil
	}
	if err != nil {
		return nil, err
	}
	b, err := t.attribute(s, object, p11.CKA_EC_POINT)
	if errors.Is(err, p11.Error(p11.CKR_ATTRIBUTE_TYPE_INVALID)) {
		return nil, fmt.Errorf("%w: %x: it has no public key: creation left it half-written", ErrKey, id)
	}
	if err != nil {
		return nil, err
	}
	point, err := c.readPoint(b)
	if err != nil {
		return nil, fmt.Errorf("%w: %x: CKA_EC_POINT: %w", ErrKey, id, err)
	}
	return point, nil
}
