package keys

import (
	"fmt"

	"filippo.io/nistec"
	"github.com/decred/dcrd/dcrec/secp256k1/v4"
)

// Uncompress returns the 65-byte form (SEC 1, section 2.3.3) of a 33-byte
// public key of an ECDSA curve. It refuses what is not on the curve.
func Uncompress(c Curve, public []byte) ([]byte, error) {
	if len(public) != 33 {
		return nil, fmt.Errorf("public key: must be 33 bytes, not %d", len(public))
	}
	switch c {
	case Secp256k1:
		p, err := secp256k1.ParsePubKey(public)
		if err != nil {
			return nil, fmt.Errorf("public key: is not on the curve %v", c)
		}
		return p.SerializeUncompressed(), nil
	case P256:
		p, err := nistec.NewP256Point().SetBytes(public)
		if err != nil {
			return nil, fmt.Errorf("public key: is not on the curve %v", c)
		}
		return p.Bytes(), nil
	default:
		return nil, fmt.Errorf("public key: keys of %v have one form only", c)
	}
}
