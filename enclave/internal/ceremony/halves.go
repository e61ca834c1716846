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

// newHalves makes those of a new root: 32 random bytes each, below 2^256-189, which is
// all but 189 of all. The caller erases them, also beside an error.
func newHalves(plan *attestation.RootPlan) (h halves, err error) {
	if len(plan.Holders) > 0 {
		h.quorum, err = keys.Generate(keys.Ed25519, rand.Reader)
	}
	if err == nil && plan.KMS != nil {
		h.kms, err = keys.Generate(keys.Ed25519, rand.Reader)
	}
	return h, err
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
	ikm := appendHalves(make([]byte, 0, 2*(4+halfSize)), quorum, kms)
	defer clear(ikm)
	info := binary.BigEndian.AppendUint64(append([]byte("sallyport root secret v1\x00"), appliance...), uint64(set))
	root, err := hkdf.Key(sha256.New, ikm, nil, string(info), halfSize)
	if err != nil {
		panic("internal error: deriving the root secret")
	}
	return root
}

// appendHalves writes each half after its length (4 bytes big endian), without
// leaving a copy: b has the room.
func appendHalves(b []byte, all ...[]byte) []byte {
	for _, half := range all {
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(half))), half...)
	}
	return b
}

// A bequest is what one enclave hands to another: the halves of the root, and where
// the journal ended, which has to go on from there.
type bequest struct {
	halves
	size uint64
	head [32]byte
}

const bequestSize = 2*(4+halfSize) + 8 + 32

// encode writes a bequest; the caller wipes it.
func (b *bequest) encode() []byte {
	out := appendHalves(make([]byte, 0, bequestSize), b.quorum.Expose(), b.kms.Expose())
	return append(binary.BigEndian.AppendUint64(out, b.size), b.head[:]...)
}

func decodeBequest(raw []byte) (*bequest, error) {
	out := new(bequest)
	for _, to := range []**keys.Secret{&out.quorum, &out.kms} {
		if len(raw) < 4 {
			return out, errLength
		}
		n := binary.BigEndian.Uint32(raw)
		if raw = raw[4:]; (n != 0 && n != halfSize) || int(n) > len(raw) {
			return out, errLength
		}
		if n > 0 {
			*to = keys.NewSecret(raw[:n])
		}
		raw = raw[n:]
	}
	if len(raw) != 8+32 {
		return out, errLength
	}
	out.size, out.head = binary.BigEndian.Uint64(raw), [32]byte(raw[8:])
	return out, nil
}

var errLength = errors.New("length")
