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
	"github.com/sallyport/sallyport/enclave/internal/keys"
)

// maxPlaintext leaves room for the tag within what recipients accept.
const maxPlaintext = bundle.MaxCiphertext - 16

// suite is the only one of a bundle: DHKEM(P-256, HKDF-SHA256), HKDF-SHA256
// and AES-256-GCM (RFC 9180, section 7: 0x0010, 0x0001, 0x0002).
var suite = hpke.NewSuite(hpke.KEM_P256_HKDF_SHA256, hpke.KDF_HKDF_SHA256, hpke.AEAD_AES256GCM)

// Seal seals plaintext (32 bytes of a private key, or a mnemonic as text) to
// target, a public key as [ParseTarget] returns it, and returns the bytes
// that the quorum key signs: the encoding of a [bundle.Data]. It takes 32
// bytes from rand, which become the ephemeral key and so must be secret.
//
// The caller still owns plaintext and should wipe it.
func Seal(rand io.Reader, plaintext, target []byte, organizationID string) ([]byte, error) {
	if organizationID == "" {
		return nil, errors.New("export: organization id: must not be empty")
	}
	if n := len(plaintext); n == 0 || n > maxPlaintext {
		return nil, fmt.Errorf("export: plaintext: must be 1 to %d bytes", maxPlaintext)
	}
	// Before any key material is touched: the library would refuse most bad
	// points too, but not name them.
	if err := checkPoint(target); err != nil {
		return nil, err
	}
	var enc, ciphertext []byte
	var err error
	keys.WithSecret(func() {
		enc, ciphertext, err = seal(rand, plaintext, target, bundle.Info(), func(enc []byte) []byte {
			return bundle.AAD(enc, target)
		})
	})
	if err != nil {
		return nil, err
	}
	return bundle.Data{
		EncappedPublic: enc,
		Ciphertext:     ciphertext,
		OrganizationID: organizationID,
	}.Encode()
}

// seal is SealBase of RFC 9180, section 6.1, with associated data that depends
// on the encapsulated key.
func seal(rand io.Reader, plaintext, target, info []byte, aad func(enc []byte) []byte) (enc, ciphertext []byte, err error) {
	public, err := hpke.KEM_P256_HKDF_SHA256.Scheme().UnmarshalBinaryPublicKey(target)
	if err != nil {
		return nil, nil, errors.New("export: target key is not usable")
	}
	sender, err := suite.NewSender(public, info)
	if err != nil {
		return nil, nil, errors.New("export: setting up HPKE")
	}
	enc, sealer, err := sender.Setup(rand)
	if err != nil {
		return nil, nil, errors.New("export: encapsulating to the target key")
	}
	if ciphertext, err = sealer.Seal(plaintext, aad(enc)); err != nil {
		return nil, nil, errors.New("export: sealing")
	}
	return enc, ciphertext, nil
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
