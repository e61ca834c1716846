package faults

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/sallyport/sallyport/enclave/internal/keys"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
	"github.com/sallyport/sallyport/enclave/wire"
)

// A roomOperation is one that is played over a relay: node i's part in it.
type roomOperation struct {
	name  string
	nodes int
	begin func() func(ctx context.Context, s *site, i int) error
	short int // how many faults of each kind of frame a short run plays
}

// Silence after which a party counts as gone: long where nobody is, for the machine
// may be slow.
const (
	patientSilence = 30 * time.Second
	shortSilence   = 1500 * time.Millisecond
)

// playRooms plays what a relay can do to operations of attested nodes.
func (r *run) playRooms() error {
	nodes, err := newNodes(3)
	if err != nil {
		return err
	}
	operations, err := r.roomOperations(nodes)
	if err != nil {
		return err
	}
	for i, op := range operations {
		for _, f := range frames {
			if i > 0 && f.kind != sessionFrame {
				continue // the same for all operations
			}
			list := relayFaults()
			if r.options.Short {
				r.rand.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
				list = list[:op.short]
			}
			for _, fault := range list {
				r.playRelay(nodes, &op, f.kind, f.name, fault)
			}
		}
		falls := []int{0, 1, 2} // silent after so many frames
		if r.options.Short {
			falls = falls[2:]
		}
		for _, n := range falls {
			r.playRelay(nodes, &op, sessionFrame, "session", relayFault{fmt.Sprintf("all lost but the first %d", n), wantNamed, after(n)})
		}
		r.playAbsent(nodes, &op)
		r.playReplay(nodes, &op)
	}
	return nil
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

// playRelay plays one fault of the relay.
func (r *run) playRelay(nodes []*node, op *roomOperation, kind byte, frame string, f relayFault) {
	silence := patientSilence
	if f.want == wantNamed {
		silence = shortSilence
	}
	s, err := newSite(nodes[:op.nodes], silence)
	if err != nil {
		r.reportRoom(op, frame+" "+f.name, []error{err}, err.Error())
		return
	}
	defer s.close()
	s.faulty.set(f.begin(s.faulty, kind))
	errs := together(s, op.begin(), everyone(op.nodes)...)
	r.reportRoom(op, frame+": "+f.name, errs, judgeRoom(nodes, errs, f.want))
}

// playAbsent leaves the evil node out.
func (r *run) playAbsent(nodes []*node, op *roomOperation) {
	s, err := newSite(nodes[:op.nodes], shortSilence/3)
	if err != nil {
		r.reportRoom(op, "a party does not come", []error{err}, err.Error())
		return
	}
	defer s.close()
	who := slices.DeleteFunc(everyone(op.nodes), func(i int) bool { return i == evil })
	errs := together(s, op.begin(), who...)
	r.reportRoom(op, "a party does not come", errs, judgeRoom(nodes, slices.Insert(errs, evil, nil), wantNamed))
}

// playReplay runs the operation twice under the same channels, and sends what was
// said in the first in the second again.
func (r *run) playReplay(nodes []*node, op *roomOperation) {
	const name = "after those of an earlier operation"
	s, err := newSite(nodes[:op.nodes], patientSilence)
	if err != nil {
		r.reportRoom(op, name, []error{err}, err.Error())
		return
	}
	defer s.close()
	var recorded []wire.RelayMessage
	s.faulty.set(func(m wire.RelayMessage) []wire.RelayMessage {
		recorded = append(recorded, wire.RelayMessage{Party: m.Party, Body: slices.Clone(m.Body)})
		return []wire.RelayMessage{m}
	})
	errs := together(s, op.begin(), everyone(op.nodes)...)
	if errors.Join(errs...) == nil {
		s.faulty.set(replay(recorded))
		errs = together(s, op.begin(), everyone(op.nodes)...)
	}
	r.reportRoom(op, name, errs, judgeRoom(nodes, errs, wantResult))
}

// judgeRoom says what is wrong with how a case ended for each node, if anything is.
func judgeRoom(nodes []*node, errs []error, want want) string {
	if want == wantResult {
		if err := errors.Join(errs...); err != nil {
			return err.Error()
		}
		return ""
	}
	named := false
	for i, err := range errs {
		if i == evil {
			continue
		}
		f, ok := errors.AsType[*mpc.Failure](err)
		switch {
		case err == nil:
			return "a result"
		case !ok || f.Cause != mpc.CauseTimeout:
			return err.Error()
		}
		for _, c := range f.Culprits {
			if named = true; c.Node != nodes[evil].id {
				return "an honest party is named"
			}
		}
	}
	if !named {
		return "nobody names the sender" // who hears it from another names nobody
	}
	return ""
}

// reportRoom prints how a case ended, and counts it.
func (r *run) reportRoom(op *roomOperation, name string, errs []error, why string) {
	r.cases++
	ended := "result"
	if f, ok := errors.AsType[*mpc.Failure](errs[0]); ok {
		who := "nobody named"
		if len(f.Culprits) > 0 {
			who = "sender named"
		}
		ended = string(f.Cause) + ", " + who
	}
	verdict := "as expected"
	if why != "" {
		verdict = "NOT AS EXPECTED: " + why
	} else {
		r.expected++
	}
	_, _ = fmt.Fprintf(r.out, "%-15s over a relay         %-58s %-32s %s\n", op.name, name, ended, verdict)
}
