package sharing

import (
	"bytes"
	"crypto/ecdh"
	"crypto/hpke"
	"encoding/binary"
	"errors"
)

// HolderContext is HPKE's info, and the associated data, of a share that is sealed
// to its holder: the appliance, the set (8 bytes big endian) and the holder's key.
func HolderContext(appliance []byte, set int64, holder []byte) (info, aad []byte) {
	aad = binary.BigEndian.AppendUint64(bytes.Clone(appliance), uint64(set))
	return []byte("sallyport holder share v1"), append(aad, holder...)
}

// PostedContext is HPKE's info, and the associated data, of a share that a holder
// sends to an enclave: the SHA-256 of the manifest, the enclave's root-receiving key
// and the holder's key.
func PostedContext(manifestHash, receiver, holder []byte) (info, aad []byte) {
	aad = append(bytes.Clone(manifestHash), receiver...)
	return []byte("sallyport posted share v1"), append(aad, holder...)
}

// HandoverContext is HPKE's info, and the associated data, of a root that one enclave
// gives to another: the SHA-256 of the other's manifest, its root-receiving key, the
// appliance and the set (8 bytes big endian).
func HandoverContext(manifestHash, receiver, appliance []byte, set int64) (info, aad []byte) {
	aad = append(append(bytes.Clone(manifestHash), receiver...), appliance...)
	return []byte("sallyport handed root v1"), binary.BigEndian.AppendUint64(aad, uint64(set))
}

var errNotOpen = errors.New("sharing: the share does not open with this holder's key")

// Open opens the share of a holder, whose key on P-256 is in memory or in a token,
// and checks that it is the one of the document. The caller wipes it.
func (d *Document) Open(key ecdh.KeyExchanger) ([]byte, error) {
	holder := key.PublicKey().Bytes()
	s := d.Of(holder)
	if s == nil {
		return nil, errors.New("sharing: it has no share of this holder's key")
	}
	info, aad := HolderContext(d.Appliance, d.Set, holder)
	share, err := open(key, s.Sealed, info, aad)
	if err != nil || len(share) != ShareSize {
		return nil, errNotOpen
	}
	if !bytes.Equal(Hash(d.Appliance, d.Set, holder, share), s.Hash) {
		clear(share)
		return nil, errors.New("sharing: the share is not the one that its hash names")
	}
	return share, nil
}

func open(key ecdh.KeyExchanger, sealed, info, aad []byte) ([]byte, error) {
	private, err := hpke.NewDHKEMPrivateKey(key)
	if err != nil {
		return nil, err
	}
	r, err := hpke.NewRecipient(sealed[:pointSize], private, hpke.HKDFSHA256(), hpke.AES256GCM(), info)
	if err != nil {
		return nil, err
	}
	return r.Open(aad, sealed[pointSize:])
}

// Post seals a share to an enclave's root-receiving key, 65 bytes: enc and ciphertext.
func Post(share, manifestHash, receiver, holder []byte) ([]byte, error) {
	point, err := ecdh.P256().NewPublicKey(receiver)
	if err != nil {
		return nil, errors.New("sharing: the root-receiving key must be a point of P-256")
	}
	public, err := hpke.NewDHKEMPublicKey(point)
	if err != nil {
		return nil, err
	}
	info, aad := PostedContext(manifestHash, receiver, holder)
	enc, sender, err := hpke.NewSender(public, hpke.HKDFSHA256(), hpke.AES256GCM(), info)
	if err != nil {
		return nil, err
	}
	ciphertext, err := sender.Seal(aad, share)
	if err != nil {
		return nil, err
	}
	return append(enc, ciphertext...), nil
}
