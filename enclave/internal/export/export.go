// Package export seals private keys for the one recipient that an approved
// activity names. It has the plaintext of a key in its hands and must not
// keep it: what comes out is HPKE ciphertext in the signed part of a bundle
// (package attestation/bundle), or an error that says nothing about the key.
//
// It trusts its caller to have checked the activity, and to sign and prove
// what it returns.
package export

import (
	"crypto/ecdh"
	"errors"
	"fmt"
	"io"

	"github.com/cloudflare/circl/hpke"

	"github.com/sallyport/sallyport/attestation/bundle"
)

// maxPlaintext leaves room for the tag within what recipients accept.
const maxPlaintext = bundle.MaxCiphertext - 16

// suite is the only one of a bundle: DHKEM(P-256, HKDF-SHA256), HKDF-SHA256
// and AES-256-GCM (RFC 9180, section 7: 0x0010, 0x0001, 0x0002).
var suite = hpke.NewSuite(hpke.KEM_P256_HKDF_SHA256, hpke.KDF_HKDF_SHA256, hpke.AEAD_AES256GCM)

// An Envelope is made for one plaintext and one target key. Making it is most
// of the work of sealing and needs no secret but its own.
type Envelope struct {
	target, enc []byte
	sealer      hpke.Sealer
	ciphertext  []byte
}

// NewEnvelope encapsulates to target, a public key as [ParseTarget] returns
// it (RFC 9180, section 6.1). It takes 32 bytes from rand, which become the
// ephemeral key and so must be secret.
func NewEnvelope(rand io.Reader, target []byte) (*Envelope, error) {
	return newEnvelope(rand, target, bundle.Info())
}

func newEnvelope(rand io.Reader, target, info []byte) (*Envelope, error) {
	// Before any key material is touched: the library would refuse most bad
	// points too, but not name them.
	if err := checkPoint(target); err != nil {
		return nil, err
	}
	public, err := hpke.KEM_P256_HKDF_SHA256.Scheme().UnmarshalBinaryPublicKey(target)
	if err != nil {
		return nil, errors.New("export: target key is not usable")
	}
	sender, err := suite.NewSender(public, info)
	if err != nil {
		return nil, errors.New("export: setting up HPKE")
	}
	e := &Envelope{target: target}
	if e.enc, e.sealer, err = sender.Setup(rand); err != nil {
		return nil, errors.New("export: encapsulating to the target key")
	}
	return e, nil
}

// Seal seals plaintext: 32 bytes of a private key, or a mnemonic as text. The
// caller still owns plaintext and should wipe it. An envelope seals once.
func (e *Envelope) Seal(plaintext []byte) error {
	return e.seal(plaintext, bundle.AAD(e.enc, e.target))
}

func (e *Envelope) seal(plaintext, aad []byte) error {
	if e.ciphertext != nil {
		return errors.New("export: the envelope has sealed already")
	}
	if n := len(plaintext); n == 0 || n > maxPlaintext {
		return fmt.Errorf("export: plaintext: must be 1 to %d bytes", maxPlaintext)
	}
	ciphertext, err := e.sealer.Seal(plaintext, aad)
	if err != nil {
		return errors.New("export: sealing")
	}
	e.ciphertext = ciphertext
	return nil
}

// Data returns the bytes that the quorum key signs: the encoding of a
// [bundle.Data].
func (e *Envelope) Data(organizationID string) ([]byte, error) {
	if organizationID == "" {
		return nil, errors.New("export: organization id: must not be empty")
	}
	if e.ciphertext == nil {
		return nil, errors.New("export: the envelope is empty")
	}
	return bundle.Data{EncappedPublic: e.enc, Ciphertext: e.ciphertext, OrganizationID: organizationID}.Encode()
}

func checkPoint(target []byte) error {
	if len(target) != 65 || target[0] != 4 {
		return errors.New("export: target key: must be an uncompressed point of 65 bytes")
	}
	if _, err := ecdh.P256().NewPublicKey(target); err != nil {
		return errors.New("export: target key: is not on the curve P-256")
	}
	return nil
}
