package node

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"strings"

	"golang.org/x/crypto/sha3"

	"github.com/sallyport/sallyport/enclave/internal/mpc/hd"
)

const digestSize = 32

// digest hashes a message by the name of the hash: what ECDSA signs.
func digest(algorithm string, msg []byte) ([]byte, error) {
	switch strings.ToLower(algorithm) {
	case "sha256":
		d := sha256.Sum256(msg)
		return d[:], nil
	case "sha256d":
		d := sha256.Sum256(msg)
		d = sha256.Sum256(d[:])
		return d[:], nil
	case "keccak256": // Ethereum's, not SHA-3
		h := sha3.NewLegacyKeccak256()
		_, _ = h.Write(msg)
		return h.Sum(nil), nil
	case "none":
		if len(msg) != digestSize {
			return nil, bad("msg: must be a digest of exactly %d bytes when hash_algo is none", digestSize)
		}
		return msg, nil
	}
	return nil, bad("hash_algo: must be sha256, sha256d, keccak256 or none")
}

// hexField reads hex in either case.
func hexField(field, text string) ([]byte, error) {
	b, err := hex.DecodeString(text)
	if err != nil {
		return nil, bad("%s: must be an even number of hexadecimal digits", field)
	}
	return b, nil
}

const maxPath = 255

// checkPath takes the child numbers of a derivation that needs no private key.
func checkPath(path []uint32) error {
	if len(path) > maxPath {
		return bad("derivation_path: must have at most %d numbers", maxPath)
	}
	for i, n := range path {
		if n >= 1<<31 {
			return bad("derivation_path[%d]: must be below 2147483648: hardened keys cannot be derived from shares", i)
		}
	}
	return nil
}

// pathBytes is a path in terms: 4 bytes each, big endian.
func pathBytes(path []uint32) []byte {
	b := []byte{}
	for _, n := range path {
		b = binary.BigEndian.AppendUint32(b, n)
	}
	return b
}

// A child is a key that was derived.
type child struct {
	public []byte
	delta  []byte // to add to the key; nil when nothing was derived
}

// derive follows a path from the key of a share.
func (h *held) derive(path []uint32) (*child, error) {
	if err := checkPath(path); err != nil {
		return nil, err
	}
	if len(path) == 0 {
		return &child{public: h.share.public}, nil
	}
	public, _, delta, err := hd.Derive(h.curve, h.share.public, h.share.chainCode, path)
	if err != nil {
		return nil, bad("derivation_path: %v", err)
	}
	return &child{public, delta}, nil
}
