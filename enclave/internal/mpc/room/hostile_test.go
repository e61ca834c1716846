package room

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/sallyport/sallyport/enclave/internal/keys"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
	"github.com/sallyport/sallyport/enclave/internal/mpc/mpctest"
)

func failed(t *testing.T, err error, cause mpc.Cause, culprits ...mpc.PartyID) {
	t.Helper()
	f, ok := errors.AsType[*mpc.Failure](err)
	if !ok || f.Cause != cause || !slices.Equal(f.Culprits, culprits) {
		t.Errorf("got %v (%+v), want cause %s and culprits %v", err, f, cause, culprits)
	}
}

func TestPartiesThatWereAskedForSomethingElse(t *testing.T) {
	w := newWorld(t, 2)
	shares := w.keygen(2, 0, 1)
	_, errs := w.sign(shares, "x", []int{0, 1}, func(n int, q *mpc.SignRequest) {
		q.Terms = mpc.Terms{Operation: "sign", Details: [][]byte{{byte(n)}}}
	})
	for _, err := range errs {
		failed(t, err, mpc.CauseSetup)
	}
	_, errs = w.sign(shares, "x", []int{0, 1}, nil)
	if err := errors.Join(errs...); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

func TestPartyThatDoesNotComeIsNamed(t *testing.T) {
	w := newWorld(t, 3)
	parties := []mpc.PartyID{w.party(0), w.party(1), w.party(2)}
	where := w.where(3)
	w.rooms[0].Times.Join, w.rooms[1].Times.Join = 400*time.Millisecond, 400*time.Millisecond
	_, errs := all([]int{0, 1}, func(n int) (*mpc.Share, error) {
		return w.rooms[n].Keygen(t.Context(), &mpc.KeygenRequest{Where: where, Curve: keys.Secp256k1, Self: parties[n], Parties: parties, Threshold: 2})
	})
	for _, err := range errs {
		failed(t, err, mpc.CauseTimeout, parties[2])
	}
}

func TestPartyThatGoesSilentIsNamed(t *testing.T) {
	w := newWorld(t, 2)
	shares := w.keygen(2, 0, 1)
	silent := relayName(shares[1].Self.String())
	sessions := 0
	w.net.Touch = func(from, _ string, body []byte) [][]byte {
		if body[0] == frameSession {
			if sessions++; from == silent && sessions > 1 {
				return nil
			}
		}
		return [][]byte{body}
	}
	_, errs := w.sign(shares, "x", []int{0, 1}, nil)
	failed(t, errs[0], mpc.CauseTimeout, shares[1].Self)
	w.net.Edit(func(n *mpctest.Relay) { n.Touch = nil })
	_, errs = w.sign(shares, "x", []int{0, 1}, nil)
	if err := errors.Join(errs...); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

func TestRelayThatDamagesEverythingOnce(t *testing.T) {
	w := newWorld(t, 2)
	seen := map[string]bool{}
	w.net.Touch = func(from, to string, body []byte) [][]byte {
		bad := slices.Clone(body)
		bad[len(bad)/2] ^= 1
		at := from + to + string(body[:min(len(body), 80)])
		if seen[at] {
			return [][]byte{body, body[:1], {}, body[:len(body)-1]}
		}
		seen[at] = true
		return [][]byte{bad, body, body}
	}
	w.keygen(2, 0, 1)
}

func TestRoomIsGoodForOneOperation(t *testing.T) {
	w := newWorld(t, 2)
	shares := w.keygen(2, 0, 1)
	where := w.where(2)
	again := func() []error {
		_, errs := all([]int{0, 1}, func(n int) (struct{}, error) {
			return struct{}{}, w.rooms[n].Agree(t.Context(), where, shares[n], mpc.Terms{})
		})
		return errs
	}
	if err := errors.Join(again()...); err != nil {
		t.Fatal(err)
	}
	for _, err := range again() {
		failed(t, err, mpc.CauseSetup)
	}
}

func TestWrongShareIsBlamedOnItsParty(t *testing.T) {
	w := newWorld(t, 2)
	shares := w.keygen(2, 0, 1)
	shares[0].Secret = keys.NewSecret(append(make([]byte, 31), 9))
	where := w.where(2)
	_, errs := all([]int{0, 1}, func(n int) (*keys.Secret, error) {
		return w.rooms[n].Export(t.Context(), &mpc.ExportRequest{Where: where, Share: shares[n], To: shares[1].Self})
	})
	failed(t, errs[1], mpc.CauseShare, shares[0].Self)
	failed(t, errs[0], mpc.CauseShare)
}

func TestExportNeedsAllContributionsFirst(t *testing.T) {
	w := newWorld(t, 2)
	shares := w.keygen(2, 0, 1)
	where := w.where(2)
	refused := mpc.Failf(mpc.CauseRefused, nil, "policy")
	_, errs := all([]int{0, 1}, func(n int) (*keys.Secret, error) {
		q := &mpc.ExportRequest{Where: where, Share: shares[n], To: shares[1].Self}
		if n == 0 {
			q.Contribute = func(context.Context) error { return refused }
		}
		return w.rooms[n].Export(t.Context(), q)
	})
	failed(t, errs[0], mpc.CauseRefused)
	failed(t, errs[1], mpc.CauseRefused)
}

func TestEquivocationIsProven(t *testing.T) {
	w := newWorld(t, 3)
	parties := []mpc.PartyID{w.party(0), w.party(1), w.party(2)}
	slices.SortFunc(parties, mpc.PartyID.Compare)
	where := w.where(3)
	liar := func(ctx context.Context, s *talk) error {
		for i, body := range []string{"one thing", "another"} {
			c := newCasts(s)
			s.send(i, c.sign([]byte(body)))
		}
		<-ctx.Done()
		return context.Cause(ctx)
	}
	honest := func(ctx context.Context, s *talk) error {
		c := newCasts(s)
		for {
			from, m, err := s.next(ctx)
			if err != nil {
				return err
			}
			if _, _, err := c.take(from, m); err != nil {
				return err
			}
		}
	}
	_, errs := all([]int{0, 1, 2}, func(n int) (struct{}, error) {
		p := plan{where: where, self: parties[n], candidates: parties, timeout: time.Second}
		if n == 2 {
			return struct{}{}, w.rooms[n].operate(t.Context(), p, liar, nil)
		}
		return struct{}{}, w.rooms[n].operate(t.Context(), p, honest, nil)
	})
	f, ok := errors.AsType[*mpc.Failure](errors.Join(errs[:2]...))
	if !ok || f.Cause != mpc.CauseEquivocated {
		t.Fatalf("got %v", errs)
	}
	named := 0
	for _, err := range errs[:2] {
		if f, ok := err.(*mpc.Failure); ok && f.Cause == mpc.CauseEquivocated && len(f.Culprits) == 1 && f.Culprits[0] == parties[2] {
			named++
		}
	}
	if named == 0 {
		t.Errorf("the liar is not named: %v", errs)
	}
}

func TestCallerWhoGoesAwayEndsTheOperation(t *testing.T) {
	w := newWorld(t, 2)
	shares := w.keygen(2, 0, 1)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		time.Sleep(50 * time.Millisecond)
		cancel()
	}()
	if err := w.rooms[0].Agree(ctx, w.where(2), shares[0], mpc.Terms{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// A knock that was held back names the pairs that were, and makes a party say hello
// again under another than the one by which it was heard.
func TestOldKnockEndsNoOperation(t *testing.T) {
	w := newWorld(t, 2)
	shares := w.keygen(2, 0, 1)
	pairs := []Pairs{w.rooms[0].Pairs, w.rooms[1].Pairs}
	one, err := pairs[0].Initiate(t.Context(), w.nodes[1])
	if err != nil {
		t.Fatal(err)
	}
	two, err := pairs[1].Handle(t.Context(), one)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pairs[0].Handle(t.Context(), two); err != nil {
		t.Fatal(err)
	}
	ids := pairs[0].IDs(w.nodes[1])
	if len(ids) < 2 {
		t.Fatal("there is one pair only")
	}
	stale := encodeKnock(shares[1].Self.String(), ids[len(ids)-1:], false)
	first := relayName(shares[0].Self.String())
	w.net.Edit(func(n *mpctest.Relay) {
		n.Touch = func(_, to string, body []byte) [][]byte {
			if to != first || body[0] != frameHello {
				return [][]byte{body}
			}
			return [][]byte{stale, body}
		}
	})
	for range 4 {
		_, errs := w.sign(shares, "x", []int{0, 1}, nil)
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
	}
}
