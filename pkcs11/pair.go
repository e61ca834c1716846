//go:build cgo

package pkcs11

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	p11 "github.com/miekg/pkcs11"
)

// Constants of PKCS#11 3.0 for Edwards curves.
const (
	ckkECEdwards           = 0x40
	ckmECEdwardsKeyPairGen = 0x1055
	ckmEdDSA               = 0x1057
)

// A pairKind is what a key pair is for.
type pairKind struct {
	curve    Curve
	keyType  uint
	generate uint // mechanisms
	sign     uint
	derives  bool
	profile  profile
}

func signerKind(c Curve) pairKind {
	if c == Ed25519 {
		return pairKind{c, ckkECEdwards, ckmECEdwardsKeyPairGen, ckmEdDSA, false, signing(false, ckmEdDSA)}
	}
	return pairKind{c, p11.CKK_EC, p11.CKM_EC_KEY_PAIR_GEN, p11.CKM_ECDSA, false, signing(false, p11.CKM_ECDSA)}
}

func operatorKind() pairKind {
	return pairKind{P256, p11.CKK_EC, p11.CKM_EC_KEY_PAIR_GEN, p11.CKM_ECDSA, true, signing(true, p11.CKM_ECDSA, p11.CKM_ECDH1_DERIVE)}
}

// A pair is a key pair of a token: private in it, public here.
type pair struct {
	t      *Token
	kind   pairKind
	curve  curve
	id     []byte // CKA_ID
	label  string // CKA_LABEL
	public []byte
}

// generatePair makes a pair that stays in the token, and finds it again as
// everybody later will. What turns out bad is deleted: nothing can depend on it.
func (t *Token) generatePair(ctx context.Context, kind pairKind, label string) (*pair, error) {
	if label == "" || len(label) > 255 {
		return nil, errors.New("pkcs11: label: must be 1 to 255 bytes")
	}
	return withToken(ctx, t, func(s p11.SessionHandle) (*pair, error) {
		for _, class := range []uint{p11.CKO_PRIVATE_KEY, p11.CKO_PUBLIC_KEY} {
			if _, _, err := t.findOne(s, class, label, nil); err == nil {
				return nil, fmt.Errorf("%w: there is one called %q already", ErrKey, label)
			} else if !errors.Is(err, errNoKey) {
				return nil, err
			}
		}
		id := newID()
		public, private, err := t.makePair(s, kind, id, label, true)
		if err != nil {
			return nil, unavailable("making the key", err)
		}
		p, err := t.findPair(s, func(Curve) pairKind { return kind }, "", id)
		if err != nil {
			_ = t.api.DestroyObject(s, private)
			_ = t.api.DestroyObject(s, public)
			return nil, err
		}
		t.log.Info("made a key in the token", "label", label, "id", fmt.Sprintf("%x", id), "curve", kind.curve, "serial", t.serial)
		return p, nil
	})
}

func (t *Token) makePair(s p11.SessionHandle, kind pairKind, id []byte, label string, stays bool) (public, private p11.ObjectHandle, err error) {
	c, err := kind.curve.check()
	if err != nil {
		return 0, 0, err
	}
	names := []*p11.Attribute{p11.NewAttribute(p11.CKA_ID, id), p11.NewAttribute(p11.CKA_LABEL, label)}
	err = kind.profile.make(stays, func(template []*p11.Attribute) (err error) {
		public, private, err = t.api.GenerateKeyPair(s, mechanisms(kind.generate, nil),
			append([]*p11.Attribute{
				p11.NewAttribute(p11.CKA_EC_PARAMS, c.params),
				p11.NewAttribute(p11.CKA_TOKEN, stays),
				p11.NewAttribute(p11.CKA_PRIVATE, false),
				p11.NewAttribute(p11.CKA_MODIFIABLE, false),
				p11.NewAttribute(p11.CKA_VERIFY, true),
			}, names...),
			append(template, names...))
		return err
	})
	return public, private, err
}

// findPair finds the one private key, judges it, reads its public key, and
// tries them. kindOf says what a key of a curve must be.
func (t *Token) findPair(s p11.SessionHandle, kindOf func(Curve) pairKind, label string, id []byte) (*pair, error) {
	private, id, err := t.findOne(s, p11.CKO_PRIVATE_KEY, label, id)
	if err != nil {
		return nil, err
	}
	p, err := t.readPair(s, kindOf, private, id)
	if err != nil {
		return nil, err
	}
	if err := t.judge(s, private, id, p.kind.profile); err != nil {
		return nil, err
	}
	if err := p.try(s, private); err != nil {
		if !t.alive(s) {
			return nil, err
		}
		return nil, fmt.Errorf("%w: %x: it does not do its work: %v", ErrKey, id, err)
	}
	t.rememberHandle(id, private)
	return p, nil
}

// try signs a random digest, and agrees with a random key if it is for that.
func (p *pair) try(s p11.SessionHandle, private p11.ObjectHandle) error {
	digest := make([]byte, max(p.curve.scalar, 32))
	_, _ = rand.Read(digest)
	if _, err := p.signWith(s, private, digest); err != nil {
		return err
	}
	if p.kind.derives {
		return p.tryECDH(s, private)
	}
	return nil
}

// private returns the handle of the private key, of this login.
func (p *pair) private(s p11.SessionHandle) (p11.ObjectHandle, error) {
	if h, ok := p.t.handle(p.id); ok {
		return h, nil
	}
	found, err := p.t.findPair(s, func(Curve) pairKind { return p.kind }, "", p.id)
	if err != nil {
		return 0, err
	}
	if !bytes.Equal(found.public, p.public) {
		return 0, fmt.Errorf("%w: %x: it is another key now", ErrKey, p.id)
	}
	h, _ := p.t.handle(p.id)
	return h, nil
}

func (p *pair) sign(ctx context.Context, digest []byte) ([]byte, error) {
	if err := p.curve.checkInput(digest); err != nil {
		return nil, err
	}
	own := bytes.Clone(digest) // the call may outlive ours
	return withSession(ctx, p.t, func(s p11.SessionHandle) ([]byte, error) {
		private, err := p.private(s)
		if err != nil {
			return nil, err
		}
		return p.signWith(s, private, own)
	})
}

// signWith returns no signature that does not verify.
func (p *pair) signWith(s p11.SessionHandle, private p11.ObjectHandle, digest []byte) ([]byte, error) {
	if err := p.t.api.SignInit(s, mechanisms(p.kind.sign, nil), private); err != nil {
		return nil, unavailable("signing", err)
	}
	signature, err := p.t.api.Sign(s, digest)
	if err != nil {
		return nil, unavailable("signing", err)
	}
	return p.curve.finish(p.public, digest, signature)
}

// findNamed finds the pair with the id, or the one that the URI names.
func (t *Token) findNamed(ctx context.Context, kindOf func(Curve) pairKind, id []byte) (*pair, error) {
	label := ""
	if id == nil {
		label, id = t.uri.object, t.uri.id
	}
	if id == nil && label == "" {
		return nil, errors.New("pkcs11: id: must be given, or the URI must name the key by id or object")
	}
	own := bytes.Clone(id)
	return withSession(ctx, t, func(s p11.SessionHandle) (*pair, error) { return t.findPair(s, kindOf, label, own) })
}
