//go:build cgo

package pkcs11

import (
	"bytes"
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"

	p11 "github.com/miekg/pkcs11"
)

// An Operator is the key of an operator or holder, on P-256, that a token made
// and keeps. It signs, and it agrees on secrets: it is an [ecdh.KeyExchanger],
// so that hpke.NewDHKEMPrivateKey makes of it a key that opens what is sealed to
// it with DHKEM(P-256, HKDF-SHA256). It is safe for concurrent use.
type Operator struct {
	pair   *pair
	public *ecdh.PublicKey
}

var _ ecdh.KeyExchanger = (*Operator)(nil)

// GenerateOperator makes a key pair in the token, reads its attributes and its
// public key back, and signs and agrees with it once. The label must be new: 1
// to 255 bytes. Errors are those of [Token.GenerateSigner].
func (t *Token) GenerateOperator(ctx context.Context, label string) (*Operator, error) {
	return operatorOf(t.generatePair(ctx, operatorKind(), label))
}

// FindOperator finds the one key with this CKA_ID, or the one that the URI
// names if id is nil. Errors are those of [Token.FindSigner].
func (t *Token) FindOperator(ctx context.Context, id []byte) (*Operator, error) {
	return operatorOf(t.findNamed(ctx, func(Curve) pairKind { return operatorKind() }, id))
}

func operatorOf(p *pair, err error) (*Operator, error) {
	if err != nil {
		return nil, err
	}
	public, err := ecdh.P256().NewPublicKey(p.public)
	if err != nil {
		return nil, fmt.Errorf("%w: %x: CKA_EC_POINT: %w", ErrKey, p.id, err)
	}
	return &Operator{p, public}, nil
}

// Sign signs a digest by SHA-256, 32 bytes. The signature is r and s, big
// endian, of 32 bytes each, with s at most half the order. It has been
// verified. [ErrUnavailable] may be tried again.
func (o *Operator) Sign(ctx context.Context, digest []byte) ([]byte, error) {
	return o.pair.sign(ctx, digest)
}

// ECDH returns the x coordinate of the product of the key and peer's point, 32
// bytes, big endian. The caller wipes it. [ErrUnavailable] may be tried again.
// It waits at most for the token's timeout.
func (o *Operator) ECDH(peer *ecdh.PublicKey) ([]byte, error) {
	if peer == nil || peer.Curve() != ecdh.P256() {
		return nil, errors.New("pkcs11: peer: must be a public key on the curve P-256")
	}
	return withSession(context.Background(), o.pair.t, func(s p11.SessionHandle) ([]byte, error) {
		private, err := o.pair.private(s)
		if err != nil {
			return nil, err
		}
		return o.pair.t.derive(s, private, peer)
	})
}

// PublicKey returns the public key.
func (o *Operator) PublicKey() *ecdh.PublicKey { return o.public }

// Curve returns P-256.
func (o *Operator) Curve() ecdh.Curve { return ecdh.P256() }

// ID returns CKA_ID, 1 to 64 bytes: what [Token.FindOperator] takes.
func (o *Operator) ID() []byte { return bytes.Clone(o.pair.id) }

// Label returns CKA_LABEL.
func (o *Operator) Label() string { return o.pair.label }

// derive is CKM_ECDH1_DERIVE without a key derivation function. The point is
// sent raw, as the standard wants; not all modules take DER.
func (t *Token) derive(s p11.SessionHandle, private p11.ObjectHandle, peer *ecdh.PublicKey) ([]byte, error) {
	params := p11.NewECDH1DeriveParams(p11.CKD_NULL, nil, peer.Bytes())
	object, err := t.api.DeriveKey(s, mechanisms(p11.CKM_ECDH1_DERIVE, params), private, sharedTemplate())
	if err != nil {
		return nil, unavailable("agreeing", err)
	}
	defer func() { _ = t.api.DestroyObject(s, object) }()
	shared, err := t.attribute(s, object, p11.CKA_VALUE)
	if err != nil {
		return nil, err
	}
	if err := checkSize("agreeing", shared, 32); err != nil {
		clear(shared)
		return nil, err
	}
	return shared, nil
}

func sharedTemplate() []*p11.Attribute {
	return []*p11.Attribute{
		p11.NewAttribute(p11.CKA_CLASS, p11.CKO_SECRET_KEY),
		p11.NewAttribute(p11.CKA_KEY_TYPE, p11.CKK_GENERIC_SECRET),
		p11.NewAttribute(p11.CKA_VALUE_LEN, 32),
		p11.NewAttribute(p11.CKA_TOKEN, false),
		p11.NewAttribute(p11.CKA_PRIVATE, true),
		p11.NewAttribute(p11.CKA_SENSITIVE, false),
		p11.NewAttribute(p11.CKA_EXTRACTABLE, true),
	}
}

// tryECDH agrees with a key of our own, and wants what it computes.
func (p *pair) tryECDH(s p11.SessionHandle, private p11.ObjectHandle) error {
	own, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	public, err := ecdh.P256().NewPublicKey(p.public)
	if err != nil {
		return err
	}
	want, err := own.ECDH(public)
	if err != nil {
		return err
	}
	defer clear(want)
	got, err := p.t.derive(s, private, own.PublicKey())
	if err != nil {
		return err
	}
	defer clear(got)
	if subtle.ConstantTimeCompare(want, got) != 1 {
		return fmt.Errorf("%w: it agrees on another secret than its peer", ErrUnavailable)
	}
	return nil
}
