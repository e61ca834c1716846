package engine

import (
	"errors"
	"math/big"

	"github.com/bnb-chain/tss-lib/v2/crypto"
	"github.com/bnb-chain/tss-lib/v2/crypto/paillier"
	ecdsakeygen "github.com/bnb-chain/tss-lib/v2/ecdsa/keygen"
	eddsakeygen "github.com/bnb-chain/tss-lib/v2/eddsa/keygen"
	"github.com/sallyport/sallyport/enclave/internal/codec"
	"github.com/sallyport/sallyport/enclave/internal/keys"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
	"github.com/sallyport/sallyport/enclave/internal/mpc/preparams"
)

// state is what an ECDSA party keeps beside its share: its Paillier key, and
// the moduli of all members, its own included. Ed25519 needs none.
type state struct {
	P     []byte   `cbor:"1,keyasint"` // Paillier primes
	Q     []byte   `cbor:"2,keyasint"`
	Peers []moduli `cbor:"3,keyasint"` // in the order of the members
}

// moduli are one member's public parameters, big endian.
type moduli struct {
	X      []byte `cbor:"1,keyasint"`
	N      []byte `cbor:"2,keyasint"` // Paillier
	NTilde []byte `cbor:"3,keyasint"`
	H1     []byte `cbor:"4,keyasint"`
	H2     []byte `cbor:"5,keyasint"`
}

func integer(b []byte) *big.Int { return new(big.Int).SetBytes(b) }

// paillierKey makes the library's key of two primes.
func paillierKey(p, q *big.Int) *paillier.PrivateKey {
	one := big.NewInt(1)
	p1, q1 := new(big.Int).Sub(p, one), new(big.Int).Sub(q, one)
	phi := new(big.Int).Mul(p1, q1)
	lambda := new(big.Int).Div(phi, new(big.Int).GCD(nil, nil, p1, q1))
	return &paillier.PrivateKey{
		PublicKey: paillier.PublicKey{N: new(big.Int).Mul(p, q)}, LambdaN: lambda, PhiN: phi, P: p, Q: q,
	}
}

// preParams makes the library's form of a fresh set.
func preParams(secret *keys.Secret) (ecdsakeygen.LocalPreParams, error) {
	s, err := preparams.Decode(secret)
	if err != nil {
		return ecdsakeygen.LocalPreParams{}, err
	}
	p, q := integer(s.P), integer(s.Q)
	safe := func(n *big.Int) *big.Int { n = new(big.Int).Lsh(n, 1); return n.SetBit(n, 0, 1) }
	nTilde := new(big.Int).Mul(safe(p), safe(q))
	h1, alpha := integer(s.H1), integer(s.Alpha)
	beta := new(big.Int).ModInverse(alpha, new(big.Int).Mul(p, q))
	key := paillierKey(integer(s.PaillierP), integer(s.PaillierQ))
	if beta == nil || key.N.BitLen() != modulusBits || nTilde.BitLen() != modulusBits {
		return ecdsakeygen.LocalPreParams{}, errors.New("preparams: not a usable set")
	}
	return ecdsakeygen.LocalPreParams{
		PaillierSK: key, NTildei: nTilde, H1i: h1, H2i: new(big.Int).Exp(h1, alpha, nTilde), Alpha: alpha, Beta: beta, P: p, Q: q,
	}, nil
}

// ecdsaSave makes the library's form of a share for some of its members.
func ecdsaSave(secret *keys.Secret, own [32]byte, st *keys.Secret, public []byte, members []mpc.Role, delta *big.Int) (ecdsakeygen.LocalPartySaveData, error) {
	save := ecdsakeygen.NewLocalPartySaveData(len(members))
	var s state
	if st != nil {
		if err := codec.Decode(st.Expose(), &s); err != nil {
			return save, errors.New("share: its state is not of this engine")
		}
		save.PaillierSK = paillierKey(integer(s.P), integer(s.Q))
	}
	peers := map[[32]byte]moduli{}
	for _, p := range s.Peers {
		peers[[32]byte(leftPad(p.X))] = p
	}
	base, err := savePoints(keys.Secp256k1, secret, public, members, delta, save.Ks, save.BigXj)
	if err != nil {
		return save, err
	}
	save.Xi, save.ECDSAPub, save.ShareID = base.xi, base.public, integer(own[:])
	for i, m := range members {
		p, ok := peers[m.X]
		if st == nil { // an imported key has none, and resharing uses it only to name the key
			p = moduli{N: []byte{1}, NTilde: []byte{1}, H1: []byte{1}, H2: []byte{1}}
		} else if !ok {
			return save, errors.New("share: its state lacks a member")
		}
		save.PaillierPKs[i] = &paillier.PublicKey{N: integer(p.N)}
		save.NTildej[i], save.H1j[i], save.H2j[i] = integer(p.NTilde), integer(p.H1), integer(p.H2)
		if m.X == own {
			save.NTildei, save.H1i, save.H2i = save.NTildej[i], save.H1j[i], save.H2j[i]
		}
	}
	return save, nil
}

// eddsaSave is the same for Ed25519.
func eddsaSave(secret *keys.Secret, own [32]byte, public []byte, members []mpc.Role, delta *big.Int) (eddsakeygen.LocalPartySaveData, error) {
	save := eddsakeygen.NewLocalPartySaveData(len(members))
	base, err := savePoints(keys.Ed25519, secret, public, members, delta, save.Ks, save.BigXj)
	save.Xi, save.EDDSAPub, save.ShareID = base.xi, base.public, integer(own[:])
	return save, err
}

type saveBase struct {
	xi     *big.Int
	public *crypto.ECPoint
}

// savePoints fills in what both kinds of share have. Delta is added to the
// share and, as points, to all that is public: the constant of the polynomial.
func savePoints(c keys.Curve, secret *keys.Secret, public []byte, members []mpc.Role, delta *big.Int, ks []*big.Int, xs []*crypto.ECPoint) (b saveBase, err error) {
	b.xi = integer(secret.Expose())
	if delta != nil {
		b.xi.Add(b.xi, delta).Mod(b.xi, group(c).Params().N)
	}
	if b.public, err = point(c, public); err != nil {
		return b, err
	}
	by := newShift(c, delta)
	if b.public, err = by.add(b.public); err != nil {
		return b, err
	}
	for i, m := range members {
		ks[i] = integer(m.X[:])
		p, err := point(c, m.Public)
		if err != nil {
			return b, err
		}
		if xs[i], err = by.add(p); err != nil {
			return b, err
		}
	}
	return b, nil
}

func leftPad(b []byte) []byte { return integer(b).FillBytes(make([]byte, 32)) }

// A saved share, of either kind.
type saved struct {
	xi, id *big.Int
	ks     []*big.Int
	points []*crypto.ECPoint
	public *crypto.ECPoint
	state  *keys.Secret
}

func fromECDSA(d *ecdsakeygen.LocalPartySaveData) *saved {
	s := state{P: d.PaillierSK.P.Bytes(), Q: d.PaillierSK.Q.Bytes()}
	for i, k := range d.Ks {
		s.Peers = append(s.Peers, moduli{
			X: k.Bytes(), N: d.PaillierPKs[i].N.Bytes(), NTilde: d.NTildej[i].Bytes(), H1: d.H1j[i].Bytes(), H2: d.H2j[i].Bytes(),
		})
	}
	b := codec.Encode(s)
	defer clear(b)
	return &saved{d.Xi, d.ShareID, d.Ks, d.BigXj, d.ECDSAPub, keys.NewSecret(b)}
}

func fromEDDSA(d *eddsakeygen.LocalPartySaveData) *saved {
	return &saved{d.Xi, d.ShareID, d.Ks, d.BigXj, d.EDDSAPub, keys.NewSecret(nil)}
}

// share makes a share of what the library has saved, and checks that the
// secret belongs to its public share.
func (v *saved) share(s *mpc.Setup, news []int) (*mpc.Share, error) {
	order := group(s.Curve).Params().N
	xi := new(big.Int).Mod(v.xi, order)
	out := &mpc.Share{
		Curve: s.Curve, Threshold: s.Threshold, Self: s.Parties[s.Self], Public: compressed(s.Curve, v.public), State: v.state,
	}
	raw := xi.FillBytes(make([]byte, 32))
	defer clear(raw)
	out.Secret = keys.NewSecret(raw)
	own, err := keys.ScalarPublic(s.Curve, out.Secret)
	if err != nil {
		return nil, err
	}
	found := false
	for _, role := range news {
		for i, k := range v.ks {
			if [32]byte(k.FillBytes(make([]byte, 32))) != s.Roles[role].X {
				continue
			}
			m := mpc.Member{Party: s.Parties[s.Roles[role].Party], X: s.Roles[role].X, Public: compressed(s.Curve, v.points[i])}
			out.Members = append(out.Members, m)
			found = found || (k.Cmp(v.id) == 0 && string(m.Public) == string(own))
		}
	}
	if !found || len(out.Members) != len(news) {
		return nil, errors.New("the new share does not belong to its public share")
	}
	sortMembers(out.Members)
	return out, nil
}
