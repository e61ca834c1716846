package secrets

import (
	"crypto/ecdh"
	"crypto/hpke"

	"github.com/sallyport/sallyport/attestation/bundle"
)

func unseal(target *ecdh.PrivateKey, d bundle.Data) ([]byte, error) {
	key, err := hpke.NewDHKEMPrivateKey(target)
	if err != nil {
		return nil, err
	}
	r, err := hpke.NewRecipient(d.EncappedPublic, key, hpke.HKDFSHA256(), hpke.AES256GCM(), bundle.Info())
	if err != nil {
		return nil, err
	}
	return r.Open(bundle.AAD(d.EncappedPublic, target.PublicKey().Bytes()), d.Ciphertext)
}
