package mpctest

import (
	"crypto/rand"
	"testing"

	"github.com/sallyport/sallyport/enclave/internal/keys"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
)

// KeygenSetups are the setups of all parties of a keygen.
func KeygenSetups(c keys.Curve, n, threshold int) (out []*mpc.Setup) {
	for i := range n {
		s := &mpc.Setup{Op: mpc.OpKeygen, Curve: c, Session: [32]byte{1}, Parties: Parties(n), Self: i, Threshold: threshold}
		for j := range n {
			s.Roles = append(s.Roles, mpc.Role{Party: j, X: X(j)})
		}
		if c == keys.Secp256k1 {
			s.PreParams = PreParams(i)
		}
		out = append(out, s)
	}
	return out
}

// Keygen makes a key.
func Keygen(t testing.TB, e mpc.Engine, c keys.Curve, n, threshold int) []*mpc.Share {
	t.Helper()
	return Shares(t, Run(t.Context(), Start(t, e, KeygenSetups(c, n, threshold)), nil, nil))
}

// SignSetups are the setups of some members of a key.
func SignSetups(op mpc.Op, shares []*mpc.Share, members []int, digest, delta []byte) (out []*mpc.Setup) {
	var parties []mpc.PartyID
	var roles []mpc.Role
	for i, m := range members {
		own := shares[m].Members[shares[m].Member(shares[m].Self)]
		parties = append(parties, own.Party)
		roles = append(roles, mpc.Role{Party: i, X: own.X, Public: own.Public})
	}
	for i, m := range members {
		out = append(out, &mpc.Setup{
			Op: op, Curve: shares[m].Curve, Session: [32]byte{2}, Parties: parties, Self: i, Roles: roles,
			Threshold: shares[m].Threshold, Public: shares[m].Public, Share: shares[m], Digest: digest, Delta: delta,
		})
	}
	return out
}

// newcomers makes n party ids that are none of [Parties]: of other nodes, or other
// parties of the same.
func newcomers(n int, others bool) (out []mpc.PartyID) {
	for i := range n {
		node := mpc.NodeID{2, byte(i + 1)}
		if others {
			node[1] |= 0x40
		}
		out = append(out, mpc.PartyID{Node: node, Random: [16]byte{0x80 | byte(i+1)}})
	}
	return out
}

// ReshareSetups are the setups of a reshare to n new members: of all parties in
// the room, the old ones first. If both is set, the old members are the first
// of the new ones.
func ReshareSetups(old []*mpc.Share, n, threshold int, both bool) (out []*mpc.Setup) {
	parties := newcomers(n, !both)
	if !both {
		parties = append(Parties(len(old)), parties...)
	}
	s := mpc.Setup{
		Op: mpc.OpReshare, Curve: old[0].Curve, Session: [32]byte{3}, Parties: parties, Threshold: threshold,
		OldThreshold: old[0].Threshold, Public: old[0].Public,
	}
	for i, o := range old {
		own := o.Members[o.Member(o.Self)]
		s.Roles = append(s.Roles, mpc.Role{Party: i, X: own.X, Old: true, Public: own.Public})
	}
	for i := range n {
		s.Roles = append(s.Roles, mpc.Role{Party: len(parties) - n + i, X: X(100 + i)})
	}
	for i := range parties {
		c := s
		c.Self = i
		if i < len(old) {
			c.Old = []mpc.OldShare{{Role: i, Secret: keys.NewSecret(old[i].Secret.Expose()), State: keys.NewSecret(old[i].State.Expose())}}
		}
		addPreParams(&c, i)
		out = append(out, &c)
	}
	return out
}

// ImportSetups are those of an import of a key by the first of n new members: it
// speaks for two old shares, of which there is no more than the secret.
func ImportSetups(t testing.TB, c keys.Curve, key *keys.Secret, n, threshold int) (out []*mpc.Setup) {
	t.Helper()
	public, err := keys.ScalarPublic(c, key)
	if err != nil {
		t.Fatal(err)
	}
	points, err := keys.SplitPoints(c, key, [][32]byte{X(200), X(201)}, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s := mpc.Setup{
		Op: mpc.OpReshare, Curve: c, Session: [32]byte{4}, Parties: newcomers(n, false), Threshold: threshold, OldThreshold: 2, Public: public,
	}
	for _, p := range points {
		share, err := keys.ScalarPublic(c, p.Y)
		if err != nil {
			t.Fatal(err)
		}
		s.Roles = append(s.Roles, mpc.Role{Party: 0, X: p.X, Old: true, Public: share})
	}
	for i := range n {
		s.Roles = append(s.Roles, mpc.Role{Party: i, X: X(100 + i)})
	}
	for i := range n {
		m := s
		m.Self = i
		if i == 0 {
			for j, p := range points {
				m.Old = append(m.Old, mpc.OldShare{Role: j, Secret: p.Y})
			}
		}
		addPreParams(&m, i)
		out = append(out, &m)
	}
	return out
}

// addPreParams gives a set to who is a new member and needs one. Keygen takes
// the first ones, so a reshare begins in the middle.
func addPreParams(s *mpc.Setup, i int) {
	for _, r := range s.Roles {
		if r.Party == s.Self && !r.Old && s.Curve == keys.Secp256k1 {
			s.PreParams = PreParams(Sets/2 + i)
		}
	}
}
