package faults

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"

	"github.com/sallyport/sallyport/enclave/internal/keys"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
)

// A roomOperation is one that is played over a relay: node i's part in it.
type roomOperation struct {
	name  string
	nodes int
	begin func() func(ctx context.Context, s *site, i int) error
	short int // how many faults of each kind of frame a short run plays
}

// roomOperations makes the keys that they use, in rooms.
func (r *run) roomOperations(nodes []*node) ([]roomOperation, error) {
	keygen := func(c keys.Curve, n, threshold int, shares []*mpc.Share) func() func(context.Context, *site, int) error {
		return func() func(context.Context, *site, int) error {
			parties := parties(nodes[:n])
			where := newRoom(n)
			return func(ctx context.Context, s *site, i int) (err error) {
				share, err := s.rooms[i].Keygen(ctx, &mpc.KeygenRequest{
					Where: where, Curve: c, Self: parties[i], Parties: parties, Threshold: threshold,
				})
				if shares != nil {
					shares[i] = share
				}
				return err
			}
		}
	}
	sign := func(shares []*mpc.Share) func() func(context.Context, *site, int) error {
		return func() func(context.Context, *site, int) error {
			where, digest := newRoom(2), sha256.Sum256([]byte(rand.Text()))
			return func(ctx context.Context, s *site, i int) error {
				_, err := s.rooms[i].Sign(ctx, &mpc.SignRequest{Where: where, Share: shares[i], Digest: digest[:]})
				return err // the engine has verified the signature
			}
		}
	}
	refresh := func(shares []*mpc.Share) func() func(context.Context, *site, int) error {
		return func() func(context.Context, *site, int) error {
			where, news := newRoom(2), parties(nodes[:2])
			olds := []mpc.PartyID{shares[0].Self, shares[1].Self}
			return func(ctx context.Context, s *site, i int) error {
				fresh, err := s.rooms[i].Reshare(ctx, &mpc.ReshareRequest{
					Where: where, Curve: shares[i].Curve, Public: shares[i].Public, Old: shares[i], OldParties: olds, OldThreshold: 2,
					New: news, NewSelf: &news[i], NewThreshold: 2,
				})
				if err == nil && string(fresh.Public) != string(shares[i].Public) {
					return errors.New("a share of another key")
				}
				return err
			}
		}
	}
	ed, ec := make([]*mpc.Share, 2), make([]*mpc.Share, 2)
	for _, op := range []roomOperation{{"making a key", 2, keygen(keys.Ed25519, 2, 2, ed), 0}, {"making a key", 2, keygen(keys.Secp256k1, 2, 2, ec), 0}} {
		if err := r.plain(nodes, &op); err != nil {
			return nil, err
		}
	}
	return []roomOperation{
		{"Ed25519 sign", 2, sign(ed), 5},
		{"Ed25519 keygen", 3, keygen(keys.Ed25519, 3, 2, nil), 4},
		{"Ed25519 refresh", 2, refresh(ed), 4},
		{"ECDSA sign", 2, sign(ec), 1},
	}, nil
}

// parties are sorted as the nodes are not: each keeps its node's place.
func parties(nodes []*node) (out []mpc.PartyID) {
	for _, n := range nodes {
		p := mpc.PartyID{Node: n.id}
		_, _ = rand.Read(p.Random[:]) // never fails
		out = append(out, p)
	}
	return out
}

func newRoom(size int) mpc.Where {
	var id mpc.RoomID
	_, _ = rand.Read(id[:]) // never fails
	id[0] = byte(size)
	return mpc.Where{Room: id}
}

// together runs some nodes' parts at once.
func together(s *site, part func(ctx context.Context, s *site, i int) error, who ...int) []error {
	ctx, cancel := context.WithTimeout(context.Background(), honestPatience)
	defer cancel()
	errs := make([]error, len(who))
	var wait sync.WaitGroup
	for k, i := range who {
		wait.Go(func() { errs[k] = part(ctx, s, i) })
	}
	wait.Wait()
	return errs
}

// plain runs an operation over a relay that does nothing wrong.
func (r *run) plain(nodes []*node, op *roomOperation) error {
	s, err := newSite(nodes[:op.nodes], patientSilence)
	if err != nil {
		return err
	}
	defer s.close()
	if err := errors.Join(together(s, op.begin(), everyone(op.nodes)...)...); err != nil {
		return fmt.Errorf("%s: %w", op.name, err)
	}
	return nil
}

func everyone(n int) (out []int) {
	for i := range n {
		out = append(out, i)
	}
	return out
}
