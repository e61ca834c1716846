package ceremony

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/cloudflare/circl/hpke"

	"github.com/sallyport/sallyport/attestation"
	"github.com/sallyport/sallyport/attestation/sharing"
	"github.com/sallyport/sallyport/enclave/internal/keys"
	"github.com/sallyport/sallyport/enclave/internal/kms"
)

// halfSize is each half of a root secret, and the secret.
const halfSize = 32

// ceremonySuite is the one of all ceremonies: DHKEM(P-256, HKDF-SHA256), HKDF-SHA256 and
// AES-256-GCM (RFC 9180, section 7).
var ceremonySuite = hpke.NewSuite(hpke.KEM_P256_HKDF_SHA256, hpke.KDF_HKDF_SHA256, hpke.AEAD_AES256GCM)

// halves are what a root secret follows from, either of which may be missing where
// the plan has none.
type halves struct{ quorum, kms *keys.Secret }

// newHalves makes those of a new root.
func newHalves(plan *attestation.RootPlan) halves {
	var h halves
	if len(plan.Holders) > 0 {
		h.quorum = newHalf()
	}
	if plan.KMS != nil {
		h.kms = newHalf()
	}
	return h
}

// newHalf is 32 random bytes below 2^256-189, which is all but 189 of all.
func newHalf() *keys.Secret {
	half, err := keys.Generate(keys.Ed25519, rand.Reader)
	if err != nil {
		panic("internal error: the generator gives no random bytes") // it never fails
	}
	return half
}

func (h halves) root(appliance []byte, set int64) []byte {
	return rootOf(appliance, set, h.quorum.Expose(), h.kms.Expose())
}

func (h halves) erase() {
	h.quorum.Erase()
	h.kms.Erase()
}

// fits tells whether a plan is one for a root of these halves.
func (h halves) fits(plan *attestation.RootPlan) bool {
	return (h.quorum != nil) == (len(plan.Holders) > 0) && (h.kms != nil) == (plan.KMS != nil)
}

// spread makes a document that spreads the root as a plan says.
func (h halves) spread(appliance []byte, plan *attestation.RootPlan) (doc *sharing.Document, err error) {
	doc = &sharing.Document{Appliance: appliance, Set: plan.Set, Threshold: plan.Threshold}
	if h.quorum != nil {
		if doc.Shares, err = deal(appliance, plan, h.quorum); err != nil {
			return nil, err
		}
	}
	if h.kms != nil {
		doc.KMS = &sharing.KMSHalf{Hash: sharing.KMSHash(appliance, plan.Set, h.kms.Expose())}
		if doc.KMS.Ciphertext, err = kms.Encrypt(plan.KMS.PublicKey, h.kms.Expose()); err != nil {
			return nil, err
		}
	}
	root := h.root(appliance, plan.Set)
	defer clear(root)
	doc.RootCheck = sharing.RootCheck(appliance, plan.Set, root)
	return doc, nil
}

// rootOf makes a root secret of its halves, either of which may be missing where
// the plan has none. Neither tells anything of it without the other.
func rootOf(appliance []byte, set int64, quorum, kms []byte) []byte {
	var ikm []byte
	for _, half := range [][]byte{quorum, kms} {
		ikm = append(binary.BigEndian.AppendUint32(ikm, uint32(len(half))), half...)
	}
	defer clear(ikm)
	info := binary.BigEndian.AppendUint64(append([]byte("sallyport root secret v1\x00"), appliance...), uint64(set))
	root, err := hkdf.Key(sha256.New, ikm, nil, string(info), halfSize)
	if err != nil {
		panic("internal error: deriving the root secret")
	}
	return root
}

// deal splits the quorum's half and seals a share to each holder.
func deal(appliance []byte, plan *attestation.RootPlan, half *keys.Secret) (out []sharing.Share, err error) {
	split, err := keys.Split(keys.Ed25519, half, int(plan.Threshold), len(plan.Holders), rand.Reader)
	if err != nil {
		return nil, err
	}
	for i, h := range plan.Holders {
		share := append([]byte{split[i].Index}, split[i].Value.Expose()...)
		split[i].Value.Erase()
		info, aad := sharing.HolderContext(appliance, plan.Set, h.PublicKey)
		sealed, err := sealTo(h.PublicKey, info, aad, share)
		out = append(out, sharing.Share{Holder: h.PublicKey, Hash: sharing.Hash(appliance, plan.Set, h.PublicKey, share), Sealed: sealed})
		clear(share)
		if err != nil {
			return nil, fmt.Errorf("sealing the share of %s: %w", h.Name, err)
		}
	}
	return out, nil
}

func sealTo(public, info, aad, plain []byte) ([]byte, error) {
	key, err := hpke.KEM_P256_HKDF_SHA256.Scheme().UnmarshalBinaryPublicKey(public)
	if err != nil {
		return nil, err
	}
	sender, err := ceremonySuite.NewSender(key, info)
	if err != nil {
		return nil, err
	}
	enc, sealer, err := sender.Setup(rand.Reader)
	if err != nil {
		return nil, err
	}
	ciphertext, err := sealer.Seal(plain, aad)
	return append(enc, ciphertext...), err
}
