package bundle

import (
	"bytes"
	"crypto/ecdh"
	"crypto/hpke"
)

// Open verifies a bundle as [Verify] does, for the public key of target, and
// only then decrypts it. The plaintext is the private key: 32 bytes, or a
// mnemonic as text. Errors are of type [*Error]; beside an error there is
// neither plaintext nor Verified.
//
// That the plaintext belongs to Verified.Statement.PublicKey is for the caller
// to check, who knows the curve. A target key is for one export: forget it
// after this.
func Open(b []byte, target *ecdh.PrivateKey, e Expect) (plaintext []byte, v *Verified, err error) {
	if target == nil || target.Curve() != ecdh.P256() {
		return nil, nil, refuse(ReasonUsage, "target key: must be on P-256")
	}
	public := target.PublicKey().Bytes()
	if e.TargetPublicKey != nil && !bytes.Equal(e.TargetPublicKey, public) {
		return nil, nil, refuse(ReasonUsage, "target public key: must be that of the target key")
	}
	e.TargetPublicKey = public
	if v, err = Verify(b, e); err != nil {
		return nil, nil, err
	}
	if plaintext, err = v.Data.open(target); err != nil {
		return nil, nil, err
	}
	return plaintext, v, nil
}

// open is HPKE in base mode with DHKEM(P-256, HKDF-SHA256), HKDF-SHA256 and
// AES-256-GCM: RFC 9180 section 5.1.1, suite 0x0010, 0x0001, 0x0002. All
// failures are one error.
func (d *Data) open(target *ecdh.PrivateKey) ([]byte, error) {
	refused := refuse(ReasonDecrypt, "data: ciphertext: must open with the target key")
	key, err := hpke.NewDHKEMPrivateKey(target)
	if err != nil {
		return nil, refused
	}
	r, err := hpke.NewRecipient(d.EncappedPublic, key, hpke.HKDFSHA256(), hpke.AES256GCM(), Info())
	if err != nil {
		return nil, refused
	}
	plaintext, err := r.Open(AAD(d.EncappedPublic, target.PublicKey().Bytes()), d.Ciphertext)
	if err != nil {
		return nil, refused
	}
	return plaintext, nil
}
