package ceremony

import (
	"crypto/rand"
	"fmt"

	"github.com/cloudflare/circl/hpke"

	"github.com/sallyport/sallyport/attestation"
	"github.com/sallyport/sallyport/attestation/sharing"
	"github.com/sallyport/sallyport/enclave/internal/keys"
	"github.com/sallyport/sallyport/enclave/internal/kms"
)

// ceremonySuite is the one of all ceremonies: DHKEM(P-256, HKDF-SHA256), HKDF-SHA256 and
// AES-256-GCM (RFC 9180, section 7).
var ceremonySuite = hpke.NewSuite(hpke.KEM_P256_HKDF_SHA256, hpke.KDF_HKDF_SHA256, hpke.AEAD_AES256GCM)

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

// deal splits the quorum's half and seals a share to each holder.
func deal(appliance []byte, plan *attestation.RootPlan, half *keys.Secret) (out []sharing.Share, err error) {
	split, err := keys.Split(keys.Ed25519, half, int(plan.Threshold), len(plan.Holders), rand.Reader)
	if err != nil {
		return nil, err
	}
	defer func() {
		for _, s := range split {
			s.Value.Erase()
		}
	}()
	for i, h := range plan.Holders {
		share := append(append(make([]byte, 0, sharing.ShareSize), split[i].Index), split[i].Value.Expose()...)
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
