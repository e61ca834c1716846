// Package sharing is the format of a sharing document, and what a holder does with
// one.
//
// A sharing document says how one root secret of an appliance is spread: a share
// for each holder, sealed to the holder's key, and what a key management service
// decrypts. Everything in it is public but what is sealed. The manifest in force
// names it by its SHA-256, so nobody can put another in its place.
//
// The quorum's half of a root secret is 32 random bytes, a number below 2^256-189; a
// share is a point of a polynomial modulo that prime (Shamir): x, 1 byte, and y, 32
// bytes big endian.
package sharing

import (
	"bytes"
	"crypto/ecdh"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/sallyport/sallyport/attestation/strictjson"
)

// Format is the only format of a sharing document.
const Format = "sallyport-sharing-v1"

// Sizes in bytes.
const (
	// ShareSize is x and y.
	ShareSize = 1 + 32
	// SealedSize is a sealed share: HPKE's enc, the share and the tag.
	SealedSize = pointSize + ShareSize + 16

	pointSize     = 65
	applianceSize = 16
	maxHolders    = 32
	maxDocument   = 32 << 10
	maxCiphertext = 512 // RSA of 4096 bits
)

// Document is a sharing document.
type Document struct {
	Appliance []byte // 16 bytes
	Set       int64  // of the manifest's root plan
	RootCheck []byte // by which the root secret is known, see [RootCheck]
	Threshold int64  // shares needed; 0 without holders
	Shares    []Share
	// KMS is the half that a key management service decrypts; nil without one.
	KMS *KMSHalf
}

// KMSHalf is 32 random bytes that a key management service decrypts.
type KMSHalf struct {
	Ciphertext []byte // RSAES-OAEP with SHA-256 (RFC 8017, section 7.1)
	Hash       []byte // of the half, see [KMSHash]
}

// Share is one holder's.
type Share struct {
	Holder []byte // the holder's key: SEC 1 uncompressed P-256, 65 bytes
	Hash   []byte // of the share, see [Hash]
	// Sealed is HPKE to the holder's key (RFC 9180, base mode, DHKEM(P-256, HKDF-SHA256), HKDF-SHA256,
	// AES-256-GCM): enc, 65 bytes, then the ciphertext. See [HolderContext].
	Sealed []byte
}

type documentJSON struct {
	Format    string         `json:"format" strict:"required"`
	Appliance strictjson.Hex `json:"appliance" strict:"required"`
	Set       int64          `json:"set" strict:"required"`
	RootCheck strictjson.Hex `json:"rootCheck" strict:"required"`
	Threshold int64          `json:"threshold" strict:"required"`
	Shares    []shareJSON    `json:"shares" strict:"required"`
	KMS       *kmsJSON       `json:"kms,omitempty"`
}

type kmsJSON struct {
	Ciphertext strictjson.Hex `json:"ciphertext" strict:"required"`
	Hash       strictjson.Hex `json:"hash" strict:"required"`
}

type shareJSON struct {
	Holder strictjson.Hex `json:"holder" strict:"required"`
	Hash   strictjson.Hex `json:"hash" strict:"required"`
	Sealed strictjson.Hex `json:"sealed" strict:"required"`
}

// Encode returns the canonical bytes.
func (d *Document) Encode() ([]byte, error) {
	if err := d.check(); err != nil {
		return nil, err
	}
	j := documentJSON{Format, d.Appliance, d.Set, d.RootCheck, d.Threshold, []shareJSON{}, nil}
	for _, s := range d.Shares {
		j.Shares = append(j.Shares, shareJSON{s.Holder, s.Hash, s.Sealed})
	}
	if d.KMS != nil {
		j.KMS = &kmsJSON{d.KMS.Ciphertext, d.KMS.Hash}
	}
	return strictjson.Marshal(j)
}

// Parse reads canonical bytes, strictly.
func Parse(b []byte) (*Document, error) {
	if len(b) > maxDocument {
		return nil, fmt.Errorf("sharing: has %d bytes, more than %d", len(b), maxDocument)
	}
	var j documentJSON
	if err := strictjson.Decode(b, &j); err != nil {
		return nil, fmt.Errorf("sharing: %w", err)
	}
	if j.Format != Format {
		return nil, errors.New("sharing: format: must be " + Format)
	}
	d := &Document{Appliance: j.Appliance, Set: j.Set, RootCheck: j.RootCheck, Threshold: j.Threshold}
	if j.KMS != nil {
		d.KMS = &KMSHalf{j.KMS.Ciphertext, j.KMS.Hash}
	}
	for _, s := range j.Shares {
		d.Shares = append(d.Shares, Share{s.Holder, s.Hash, s.Sealed})
	}
	again, err := d.Encode()
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(again, b) {
		return nil, errors.New("sharing: must be in its canonical form")
	}
	return d, nil
}

func (d *Document) check() error {
	switch n := int64(len(d.Shares)); {
	case len(d.Appliance) != applianceSize:
		return fmt.Errorf("sharing: appliance: must be %d bytes", applianceSize)
	case d.Set < 1:
		return errors.New("sharing: set: must be at least 1")
	case len(d.RootCheck) != sha256.Size:
		return fmt.Errorf("sharing: rootCheck: must be %d bytes", sha256.Size)
	case n > maxHolders:
		return fmt.Errorf("sharing: shares: must be at most %d", maxHolders)
	case n == 0 && d.KMS == nil:
		return errors.New("sharing: shares: must not be empty without kms")
	case d.Threshold < 0 || d.Threshold > n || (n > 0 && d.Threshold < 1):
		return errors.New("sharing: threshold: must be 1 to the number of shares")
	case d.KMS != nil && (len(d.KMS.Ciphertext) == 0 || len(d.KMS.Ciphertext) > maxCiphertext || len(d.KMS.Hash) != sha256.Size):
		return fmt.Errorf("sharing: kms: ciphertext must be 1 to %d bytes and hash %d", maxCiphertext, sha256.Size)
	}
	for i, s := range d.Shares {
		if _, err := ecdh.P256().NewPublicKey(s.Holder); err != nil {
			return fmt.Errorf("sharing: shares[%d].holder: must be an uncompressed point of P-256", i)
		}
		if len(s.Hash) != sha256.Size || len(s.Sealed) != SealedSize {
			return fmt.Errorf("sharing: shares[%d]: hash must be %d bytes and sealed %d", i, sha256.Size, SealedSize)
		}
		for _, other := range d.Shares[:i] {
			if bytes.Equal(other.Holder, s.Holder) {
				return fmt.Errorf("sharing: shares[%d].holder: is there twice", i)
			}
		}
	}
	return nil
}

// Of finds a holder's share, or returns nil.
func (d *Document) Of(holder []byte) *Share {
	for i := range d.Shares {
		if bytes.Equal(d.Shares[i].Holder, holder) {
			return &d.Shares[i]
		}
	}
	return nil
}

// Hash is by what a share is known: SHA-256 of a label, the appliance, the set (8 bytes
// big endian), the holder's key and the share. A share has 256 random bits.
func Hash(appliance []byte, set int64, holder, share []byte) []byte {
	return hash("sallyport root share v1\x00", appliance, set, holder, share)
}

// KMSHash is by what the half of a key management service is known: SHA-256 of a label, the
// appliance, the set (8 bytes big endian) and the half.
func KMSHash(appliance []byte, set int64, half []byte) []byte {
	return hash("sallyport kms half v1\x00", appliance, set, half)
}

// RootCheck is by what a root secret of 32 random bytes is known: SHA-256 of a label, the
// appliance, the set (8 bytes big endian) and the secret.
func RootCheck(appliance []byte, set int64, root []byte) []byte {
	return hash("sallyport root check v1\x00", appliance, set, root)
}

func hash(label string, appliance []byte, set int64, parts ...[]byte) []byte {
	h := sha256.New()
	h.Write([]byte(label))
	h.Write(appliance)
	h.Write(binary.BigEndian.AppendUint64(nil, uint64(set)))
	for _, p := range parts {
		h.Write(p)
	}
	return h.Sum(nil)
}
