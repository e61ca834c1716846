package engine

import (
	"bytes"
	"errors"
	"fmt"
	"math/big"

	"github.com/sallyport/sallyport/enclave/internal/keys"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
)

// checkSetup refuses what the library would take and should not, and what it
// would panic at.
func checkSetup(s *mpc.Setup) error {
	if err := mpc.Sound(s.Op, s.Curve); err != nil {
		return err
	}
	switch {
	case len(s.Parties) < 2 || len(s.Parties) > 2*mpc.MaxParties:
		return fmt.Errorf("parties: %d, must be 2 to %d", len(s.Parties), 2*mpc.MaxParties)
	case s.Self < 0 || s.Self >= len(s.Parties):
		return errors.New("self: is no party")
	}
	olds, news, err := checkRoles(s)
	if err != nil {
		return err
	}
	if s.Threshold < mpc.MinThreshold || s.Threshold > news || news > mpc.MaxParties {
		return fmt.Errorf("threshold: %d of %d", s.Threshold, news)
	}
	switch s.Op {
	case mpc.OpReshare:
		return checkReshare(s, olds)
	case mpc.OpSign, mpc.OpPresign:
		return checkSigning(s)
	}
	return checkPreParams(s)
}

// checkRoles counts the members of both committees. X coordinates are unique over
// both: the library takes a party of the same one for a member of either.
func checkRoles(s *mpc.Setup) (olds, news int, err error) {
	order := group(s.Curve).Params().N
	xs := map[string]bool{}
	speaks := map[int]bool{}
	for i, r := range s.Roles {
		x := integer(r.X[:])
		switch {
		case r.Party < 0 || r.Party >= len(s.Parties):
			return 0, 0, fmt.Errorf("role %d: has no party", i)
		case x.Sign() == 0 || x.Cmp(order) >= 0:
			return 0, 0, fmt.Errorf("role %d: its x coordinate must be above zero and below the group order", i)
		case xs[x.String()]:
			return 0, 0, fmt.Errorf("role %d: its x coordinate is taken", i)
		case !r.Old && speaks[r.Party]:
			return 0, 0, fmt.Errorf("role %d: its party has another", i)
		case r.Old && s.Op != mpc.OpReshare:
			return 0, 0, fmt.Errorf("role %d: old members are for a reshare", i)
		}
		xs[x.String()] = true
		if r.Old {
			olds++
			continue
		}
		news++
		speaks[r.Party] = true
	}
	if s.Op != mpc.OpReshare && news != len(s.Parties) {
		return 0, 0, errors.New("roles: each party must have one")
	}
	return olds, news, nil
}

func checkReshare(s *mpc.Setup, olds int) error {
	if s.OldThreshold < mpc.MinThreshold || s.OldThreshold > olds || olds > mpc.MaxParties {
		return fmt.Errorf("old threshold: %d of %d", s.OldThreshold, olds)
	}
	own := map[int]*keys.Secret{}
	for _, o := range s.Old {
		own[o.Role] = o.Secret
	}
	isNew := false
	for i, r := range s.Roles {
		if r.Party != s.Self {
			continue
		}
		isNew = isNew || !r.Old
		if r.Old {
			if err := checkShare(s.Curve, own[i], r.Public); err != nil {
				return fmt.Errorf("role %d: %w", i, err)
			}
		}
	}
	if isNew {
		return checkPreParams(s)
	}
	return nil
}

// checkSigning also holds the roles to the members of the share: proofs of the
// others are verified under their public shares.
func checkSigning(s *mpc.Setup) error {
	if s.Share == nil || s.Share.Curve != s.Curve || s.Share.Threshold != s.Threshold || !bytes.Equal(s.Share.Public, s.Public) {
		return errors.New("share: is of another key")
	}
	for i, r := range s.Roles {
		found := false
		for _, m := range s.Share.Members {
			found = found || (m.X == r.X && bytes.Equal(m.Public, r.Public))
		}
		if !found {
			return fmt.Errorf("role %d: is no member of the key", i)
		}
		if r.Party == s.Self {
			if err := checkShare(s.Curve, s.Share.Secret, r.Public); err != nil {
				return fmt.Errorf("role %d: %w", i, err)
			}
		}
	}
	if s.Op == mpc.OpSign && s.Curve != keys.Ed25519 && len(s.Digest) != digestSize {
		return fmt.Errorf("digest: %d bytes, must be %d", len(s.Digest), digestSize)
	}
	if s.Delta != nil && (len(s.Delta) != digestSize || new(big.Int).SetBytes(s.Delta).Cmp(group(s.Curve).Params().N) >= 0) {
		return errors.New("delta: must be 32 bytes and below the group order")
	}
	return nil
}

func checkPreParams(s *mpc.Setup) error {
	if s.Curve != keys.Ed25519 && len(s.PreParams.Expose()) == 0 {
		return errors.New("pre-parameters: there are none")
	}
	return nil
}

// checkShare holds a secret share to its public one.
func checkShare(c keys.Curve, secret *keys.Secret, public []byte) error {
	own, err := keys.ScalarPublic(c, secret)
	if err != nil {
		return err
	}
	if !bytes.Equal(own, public) {
		return errors.New("the share does not belong to its public share")
	}
	return nil
}
