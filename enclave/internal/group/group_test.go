package group

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/enclave/internal/journal"
	"github.com/sallyport/sallyport/enclave/internal/mpc"
	"github.com/sallyport/sallyport/enclave/wire"
)

func TestQuorumLeavesNoThresholdBehind(t *testing.T) {
	for _, test := range []struct{ n, t, want int }{{2, 2, 2}, {3, 2, 2}, {3, 3, 3}, {4, 2, 3}, {5, 2, 4}, {5, 3, 3}, {5, 4, 4}, {16, 2, 15}} {
		var ids []mpc.NodeID
		for i := range test.n {
			ids = append(ids, mpc.NodeID{byte(i)})
		}
		g, err := New(Config{Self: ids[0], Members: ids, Threshold: test.t})
		if err != nil {
			t.Fatal(err)
		}
		if g.Quorum() != test.want || 2*g.Quorum() <= test.n || g.Quorum()+test.t <= test.n {
			t.Errorf("%d of %d: quorum %d, want %d", test.t, test.n, g.Quorum(), test.want)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	a, b, c := mpc.NodeID{1}, mpc.NodeID{2}, mpc.NodeID{3}
	for _, test := range []struct {
		members   []mpc.NodeID
		threshold int
		want      string
	}{
		{[]mpc.NodeID{a}, 1, "members: must be"},
		{[]mpc.NodeID{a, b, b}, 2, "listed twice"},
		{[]mpc.NodeID{b, c}, 2, "this node is not listed"},
		{[]mpc.NodeID{a, b}, 1, "threshold: must be"},
		{[]mpc.NodeID{a, b}, 3, "threshold: must be"},
	} {
		if _, err := New(Config{Self: a, Members: test.members, Threshold: test.threshold}); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%v: %v, want %q", test.members, err, test.want)
		}
	}
}

func TestAllMembersApplyOneOrder(t *testing.T) {
	_, members := newMembers(t, 3, 2, nil)
	var all sync.WaitGroup
	for i := range 60 {
		all.Go(func() {
			if _, err := members[i%3].submit(fmt.Sprint(i)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	agree(t, members...)
	got := members[0].all()
	slices.Sort(got)
	if len(got) != 60 || len(slices.Compact(got)) != 60 {
		t.Errorf("%d items, and not each once", len(got))
	}
}

func TestOneMemberIsNotMissed(t *testing.T) {
	net, members := newMembers(t, 3, 2, nil)
	members[0].mustSubmit("first")
	agree(t, members...)
	net.part(members[:2], members[2], true)
	for i := range 5 {
		members[i%2].mustSubmit(fmt.Sprint("without it ", i))
	}
	if _, err := members[2].submit("alone"); !errors.Is(err, &wire.Error{Code: wire.Unavailable}) {
		t.Errorf("a member without a quorum: %v", err)
	}
	net.part(members[:2], members[2], false)
	members[2].mustSubmit("back")
	agree(t, members...)
	if n := len(members[0].all()); n != 7 && n != 8 { // what was submitted alone may be ordered later
		t.Errorf("%d items", n)
	}
}

func TestReplayGivesTheSameState(t *testing.T) {
	_, members := newMembers(t, 3, 2, nil)
	for i := range 10 {
		members[i%3].mustSubmit(fmt.Sprint(i))
	}
	agree(t, members...)
	slots, digest := members[1].State()
	list := members[1].all()
	members[1].restart()
	if n, d := members[1].State(); n != slots || d != digest || !slices.Equal(members[1].all(), list) {
		t.Errorf("after a restart: %d slots and another digest", n)
	}
	for _, m := range members {
		m.restart()
	}
	members[2].mustSubmit("after")
	agree(t, members...)
}

// A proposer that goes away after one other member has its value leaves it to the
// others to choose it.
func TestAcceptedValueSurvivesItsProposer(t *testing.T) {
	net, members := newMembers(t, 3, 2, nil)
	members[0].mustSubmit("first")
	agree(t, members...)
	// Nobody hears that it was chosen: its proposer is gone after the accepts.
	net.mu.Lock()
	net.touch = func(from, to mpc.NodeID, method string) bool {
		return from != members[0].id || method != methodReach && method != methodAccept || method == methodAccept && to == members[1].id
	}
	net.mu.Unlock()
	members[0].mustSubmit("second")
	members[0].stop()
	if n := len(members[1].all()); n != 1 {
		t.Fatalf("member 1 has heard too much: %d items", n)
	}
	if err := members[2].CatchUp(t.Context(), []mpc.NodeID{members[1].id}); err != nil {
		t.Fatal(err)
	}
	if got := members[2].all(); !slices.Equal(got, []string{"first", "second"}) {
		t.Errorf("after catching up: %q", got)
	}
	members[0].start()
	agree(t, members...)
}

func TestNobodyActsOnAnOlderState(t *testing.T) {
	net, members := newMembers(t, 5, 2, nil)
	members[0].mustSubmit("first")
	agree(t, members...)
	net.part(members[:4], members[4], true)
	members[0].mustSubmit("second")
	// The member that missed it asks any one other, and knows.
	for _, other := range members[:4] {
		net.part(members[:4], members[4], false)
		if err := members[4].CatchUp(t.Context(), []mpc.NodeID{other.id}); err != nil {
			t.Fatal(err)
		}
		if got := members[4].all(); len(got) != 2 {
			t.Fatalf("caught up with one other: %q", got)
		}
	}
	net.part(members[:4], members[4], true)
	if err := members[4].CatchUp(t.Context(), []mpc.NodeID{members[0].id}); !errors.Is(err, &wire.Error{Code: wire.Unavailable}) {
		t.Errorf("catching up without an answer: %v", err)
	}
}

func TestCopyThatDiffersIsRefusedWithTheDigest(t *testing.T) {
	_, members := newMembers(t, 3, 2, nil)
	members[0].mustSubmit("same")
	agree(t, members...)
	members[2].mu.Lock()
	members[2].strays = true
	members[2].mu.Unlock()
	members[0].mustSubmit("then")
	deadline := time.Now().Add(5 * time.Second)
	for len(members[2].all()) < 2 && time.Now().Before(deadline) {
		time.Sleep(time.Millisecond)
	}
	_, err := members[2].submit("of the one that differs")
	if reasonOf(err) != ReasonDiffers {
		t.Fatalf("submitting at the copy that differs: %v", err)
	}
	for _, m := range []*member{members[0], members[2]} {
		_, digest := m.State()
		if !strings.Contains(err.Error(), hex.EncodeToString(digest[:])) {
			t.Errorf("%q does not name the digest %x", err, digest)
		}
	}
	if err := members[0].CatchUp(t.Context(), []mpc.NodeID{members[2].id}); reasonOf(err) != ReasonDiffers {
		t.Errorf("catching up with the copy that differs: %v", err)
	}
	members[0].mustSubmit("the others go on")
	agree(t, members[:2]...)
	first := firstDifference(t, members[0], members[2])
	if first != 2 {
		t.Errorf("the copies differ after %d slots, want 2", first)
	}
}

func firstDifference(t *testing.T, a, b *member) int {
	t.Helper()
	q := list{From: 0, Count: 100}
	ours, _ := a.onList(t.Context(), b.id, &q)
	theirs, err := call[listed](t.Context(), a.Group, b.id, methodList, q)
	if err != nil {
		t.Fatal(err)
	}
	for i := range min(len(ours.Digests), len(theirs.Digests)) {
		if ours.Digests[i] != theirs.Digests[i] {
			return i
		}
	}
	return -1
}

func TestGroupsOfOtherMembersDoNotMix(t *testing.T) {
	_, members := newMembers(t, 3, 2, func(i int, m *member) {
		if i == 2 {
			m.limit = 3 // this one was configured otherwise
		}
	})
	members[0].mustSubmit("first")
	if _, err := members[2].submit("other"); reasonOf(err) != ReasonDiffers {
		t.Errorf("a member with another threshold: %v", err)
	}
	members[0].stop()
	members[0].limit = 3
	g, err := New(Config{Self: members[0].id, Members: members[0].members, Threshold: 3, Replay: members[0].replay})
	if err != nil {
		t.Fatal(err)
	}
	if _, err = journal.Open(t.Context(), members[0].store, members[0].sealer, time.Now, g.ReplayEntry); err == nil || !strings.Contains(err.Error(), "other members") {
		t.Errorf("replay under another threshold: %v", err)
	}
	members[0].limit = 2
	members[0].start()
}

func TestClockThatIsWrongIsRefused(t *testing.T) {
	_, members := newMembers(t, 3, 2, func(i int, m *member) {
		if i == 0 {
			m.now = func() time.Time { return time.Now().Add(time.Hour) }
		}
	})
	if _, err := members[0].submit("from the future"); reasonOf(err) != ReasonClock {
		t.Errorf("a member whose clock is an hour ahead: %v", err)
	}
	members[1].mustSubmit("now")
}

func TestRefusedItemTakesNoOtherWithIt(t *testing.T) {
	no := func(i *Item) error {
		if strings.HasPrefix(string(i.Body), "bad") {
			return wire.Errorf(wire.PermissionDenied, "", "no")
		}
		return nil
	}
	net, members := newMembers(t, 3, 2, func(_ int, m *member) { m.admit = no })
	net.delay = 5 * time.Millisecond // so that items wait for each other
	var all sync.WaitGroup
	for i := range 12 {
		all.Go(func() {
			text := "good "
			if i%4 == 0 {
				text = "bad "
			}
			_, err := members[0].submit(text + fmt.Sprint(i))
			if refused := errors.Is(err, &wire.Error{Code: wire.PermissionDenied}); refused != (i%4 == 0) || err != nil && !refused {
				t.Errorf("%s: %v", text, err)
			}
		})
	}
	all.Wait()
	if got := members[0].all(); len(got) != 9 {
		t.Errorf("%q", got)
	}
}

func TestMessagesOfStrangersAndNonsenseAreRefused(t *testing.T) {
	net, members := newMembers(t, 3, 2, nil)
	stranger := port{net, mpc.NodeID{9}}
	for _, method := range []string{methodPrepare, methodAccept, methodReach, methodFetch, methodList} {
		if _, err := stranger.Call(t.Context(), members[0].id, method, []byte{0xa0}); !errors.Is(err, &wire.Error{Code: wire.PermissionDenied}) {
			t.Errorf("%s of a stranger: %v", method, err)
		}
		peer := port{net, members[1].id}
		if _, err := peer.Call(t.Context(), members[0].id, method, []byte("nonsense")); !errors.Is(err, &wire.Error{Code: wire.InvalidArgument}) {
			t.Errorf("%s of nonsense: %v", method, err)
		}
	}
	for _, v := range []*value{{}, {Items: make([]Item, maxItems+1)}} {
		_, digest := members[0].State()
		m := ballotMessage{Digest: digest, Ballot: 99, Value: encodeValue(v)}
		if _, err := members[0].onAccept(t.Context(), members[1].id, &m); !errors.Is(err, &wire.Error{Code: wire.InvalidArgument}) {
			t.Errorf("a value of %d items: %v", len(v.Items), err)
		}
	}
	if _, _, err := members[0].Submit(t.Context(), make([]byte, MaxBody+1)); !errors.Is(err, &wire.Error{Code: wire.InvalidArgument}) {
		t.Errorf("an item that is too long: %v", err)
	}
	members[0].mustSubmit(strings.Repeat("x", MaxBody))
	agree(t, members...)
}

// Whatever a network loses and however often members restart, what was
// acknowledged stands in all copies once, and all copies are the same.
func TestOrderHoldsOverABadNetworkAndRestarts(t *testing.T) {
	net, members := newMembers(t, 3, 2, nil)
	net.mu.Lock()
	net.loss = 0.15
	net.mu.Unlock()
	var mu sync.Mutex
	acked := map[string]bool{}
	var all sync.WaitGroup
	for i, m := range members {
		all.Go(func() {
			for k := range 25 {
				text := fmt.Sprintf("%d-%d", i, k)
				ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
				if k%9 == 8 {
					m.restart()
				}
				if _, _, err := m.Submit(ctx, []byte(text)); err == nil {
					mu.Lock()
					acked[text] = true
					mu.Unlock()
				}
				cancel()
			}
		})
	}
	all.Wait()
	net.mu.Lock()
	net.loss = 0
	net.mu.Unlock()
	members[0].mustSubmit("last")
	agree(t, members...)
	count := map[string]int{}
	for _, text := range members[0].all() {
		count[text]++
	}
	for text := range acked {
		if count[text] != 1 {
			t.Errorf("%s was acknowledged and stands there %d times", text, count[text])
		}
	}
	if len(acked) < 40 {
		t.Errorf("only %d of 75 were acknowledged", len(acked))
	}
}
