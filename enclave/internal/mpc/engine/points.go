package engine

import (
	"errors"
	"math/big"

	"github.com/bnb-chain/tss-lib/v2/crypto"
	"github.com/decred/dcrd/dcrec/edwards/v2"
	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/sallyport/sallyport/enclave/internal/keys"
)

// compressed is a point in the form of [mpc.Member] Public.
func compressed(c keys.Curve, p *crypto.ECPoint) []byte {
	if c == keys.Ed25519 {
		return edwards.NewPublicKey(p.X(), p.Y()).SerializeCompressed()
	}
	var x, y secp256k1.FieldVal
	x.SetByteSlice(p.X().Bytes())
	y.SetByteSlice(p.Y().Bytes())
	return secp256k1.NewPublicKey(&x, &y).SerializeCompressed()
}

// point reads what compressed writes.
func point(c keys.Curve, b []byte) (*crypto.ECPoint, error) {
	if c == keys.Ed25519 {
		k, err := edwards.ParsePubKey(b)
		if err != nil || len(b) != 32 {
			return nil, errors.New("not a point of Ed25519")
		}
		return crypto.NewECPoint(group(c), k.GetX(), k.GetY())
	}
	k, err := secp256k1.ParsePubKey(b)
	if err != nil || len(b) != 33 {
		return nil, errors.New("not a compressed point of secp256k1")
	}
	return crypto.NewECPoint(group(c), k.X(), k.Y())
}

// shifted adds delta times the base point, for derivation; nil adds nothing.
func shifted(c keys.Curve, p *crypto.ECPoint, delta *big.Int) (*crypto.ECPoint, error) {
	if delta == nil {
		return p, nil
	}
	return p.Add(crypto.ScalarBaseMult(group(c), delta))
}
