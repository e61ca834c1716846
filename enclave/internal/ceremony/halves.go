package ceremony

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"

	"github.com/sallyport/sallyport/attestation"
	"github.com/sallyport/sallyport/enclave/internal/keys"
)

// halfSize is each half of a root secret, and the secret.
const halfSize = 32

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

// encode writes the halves, each after its length (4 bytes big endian).
func (h *halves) encode() (b []byte) {
	for _, half := range []*keys.Secret{h.quorum, h.kms} {
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(half.Expose()))), half.Expose()...)
	}
	return b
}

func decodeHalves(b []byte) (h halves, err error) {
	for _, to := range []**keys.Secret{&h.quorum, &h.kms} {
		if len(b) < 4 {
			return h, errors.New("length")
		}
		n := binary.BigEndian.Uint32(b)
		if b = b[4:]; (n != 0 && n != halfSize) || int(n) > len(b) {
			return h, errors.New("length")
		}
		if n > 0 {
			*to = keys.NewSecret(b[:n])
		}
		b = b[n:]
	}
	if len(b) > 0 {
		return h, errors.New("length")
	}
	return h, nil
}
