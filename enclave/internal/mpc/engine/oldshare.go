package engine

import (
	"errors"
	"math/big"

	"github.com/bnb-chain/tss-lib/v2/crypto"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
)

// oldPoints are the points that the old members of a reshare must share out: each
// its public share times its Lagrange coefficient, by role. They add up to the
// public key, or the old shares are not those of the key.
func oldPoints(s *mpc.Setup) (map[int]*crypto.ECPoint, error) {
	order := group(s.Curve).Params().N
	out := map[int]*crypto.ECPoint{}
	var sum *crypto.ECPoint
	for i, r := range s.Roles {
		if !r.Old {
			continue
		}
		p, err := point(s.Curve, r.Public)
		if err != nil {
			return nil, err
		}
		weight := big.NewInt(1)
		for j, o := range s.Roles {
			if o.Old && j != i {
				x := integer(o.X[:])
				difference := new(big.Int).Sub(x, integer(r.X[:]))
				weight.Mul(weight, x).Mul(weight, difference.ModInverse(difference.Mod(difference, order), order)).Mod(weight, order)
			}
		}
		if out[i] = p.ScalarMult(weight); sum == nil {
			sum = out[i]
		} else if sum, err = sum.Add(out[i]); err != nil {
			return nil, errors.New("the old public shares are not those of the key")
		}
	}
	if public, err := point(s.Curve, s.Public); err != nil || !sum.Equals(public) {
		return nil, errors.New("the old public shares are not those of the key")
	}
	return out, nil
}

// ownShare refuses an old member that shares out another share than its own.
func (g *gate) ownShare(c *checker, role int, parts [][]byte) {
	if c.err != nil {
		return
	}
	want := g.old[role]
	c.must(want.X().Cmp(integer(parts[1])) == 0 && want.Y().Cmp(integer(parts[2])) == 0, "the share that is shared out must be the member's own")
}
