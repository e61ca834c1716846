package org

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestOneOrganizationOnAllMembers(t *testing.T) {
	w := newWorld(t, 3, 2)
	root := newPerson(t)
	request := w.founding(1, root)
	first := w.rigs[0].found(request)
	for i, r := range w.rigs {
		if got := r.found(request); got != first {
			t.Errorf("member %d: organization %s, want %s", i, got, first)
		}
	}
	body := activityBody(first, "ACTIVITY_TYPE_CREATE_USERS_V2", usersOf("ann", "bob"))
	a := w.rigs[1].submitAs(root, "create_users", body)
	if a.status != 200 || a.at("activity.status") != "ACTIVITY_STATUS_COMPLETED" {
		t.Fatalf("creating users: %d %s", a.status, a.body)
	}
	user := a.at("activity.result.createUsersResult.userIds.1")
	// The same body at another member is the same activity.
	again := w.rigs[2].submitAs(root, "create_users", body)
	if again.at("activity.id") != a.at("activity.id") || again.at("activity.result.createUsersResult.userIds.1") != user {
		t.Errorf("the same body at another member: %s", again.body)
	}
	for i, r := range w.rigs {
		q := r.queryAs(root, "get_user", fmt.Sprintf(`{"organizationId":%q,"userId":%q}`, first, user))
		if q.at("user.userName") != "bob" {
			t.Errorf("member %d: %d %s", i, q.status, q.body)
		}
	}
	w.agree()
}

func TestVotesAtDifferentMembersAreCountedTogether(t *testing.T) {
	w := newWorld(t, 3, 2)
	ann, bob, eve := newPerson(t), newPerson(t), newPerson(t)
	o := w.rigs[0].found(w.founding(2, ann, bob))
	body := activityBody(o, "ACTIVITY_TYPE_CREATE_USERS_V2", usersOf("carl"))
	a := w.rigs[0].submitAs(ann, "create_users", body)
	if a.at("activity.status") != "ACTIVITY_STATUS_CONSENSUS_NEEDED" {
		t.Fatalf("one of two: %d %s", a.status, a.body)
	}
	vote := activityBody(o, "ACTIVITY_TYPE_APPROVE_ACTIVITY", fmt.Sprintf(`{"fingerprint":%q}`, a.at("activity.fingerprint")))
	if got := w.rigs[1].submitAs(eve, "approve_activity", vote); got.status != 401 {
		t.Errorf("a vote of a stranger: %d %s", got.status, got.body)
	}
	got := w.rigs[1].submitAs(bob, "approve_activity", vote)
	if got.at("activity.status") != "ACTIVITY_STATUS_COMPLETED" || got.at("activity.id") != a.at("activity.id") {
		t.Errorf("the second vote, at another member: %d %s", got.status, got.body)
	}
	w.agree()
	aid, _ := parseID(a.at("activity.id"))
	for i, r := range w.rigs {
		if i == 1 {
			r.restart()
		}
		oid, _ := parseID(o)
		r.mu.Lock()
		r.orgs[oid].byID[aid].content = nil // it is read back from the journal
		r.mu.Unlock()
		q := r.queryAs(ann, "get_activity", fmt.Sprintf(`{"organizationId":%q,"activityId":%q}`, o, a.at("activity.id")))
		if q.at("activity.status") != "ACTIVITY_STATUS_COMPLETED" || q.at("activity.votes.1.message") != vote || q.at("activity.createdAt") != got.at("activity.createdAt") {
			t.Errorf("member %d: %d %s", i, q.status, q.body)
		}
	}
}

func TestMemberThatIsAwayIsNotMissedAndCatchesUp(t *testing.T) {
	w := newWorld(t, 3, 2)
	root := newPerson(t)
	o := w.rigs[0].found(w.founding(1, root))
	w.rigs[2].stop()
	create := func(r *rig, name string) answer {
		return r.submitAs(root, "create_users", activityBody(o, "ACTIVITY_TYPE_CREATE_USERS_V2", usersOf(name)))
	}
	for i := range 4 {
		if a := create(w.rigs[i%2], fmt.Sprint("user ", i)); a.status != 200 {
			t.Fatalf("without one member: %d %s", a.status, a.body)
		}
	}
	w.rigs[2].start()
	w.agree()
	slots, digest := w.rigs[2].order.State()
	for _, r := range w.rigs {
		r.restart()
		if n, d := r.order.State(); n != slots || d != digest {
			t.Errorf("after a restart: %d entries and another digest", n)
		}
	}
	w.part(w.rigs[0], true)
	if a := create(w.rigs[0], "alone"); a.status != 503 && a.status != 599 {
		t.Errorf("a member alone: %d %s", a.status, a.body)
	}
	w.part(w.rigs[0], false)
	if a := create(w.rigs[0], "together"); a.status != 200 {
		t.Errorf("after the partition: %d %s", a.status, a.body)
	}
	w.agree()
}

func TestConcurrentSubmissionsAtAllMembers(t *testing.T) {
	w := newWorld(t, 3, 2)
	root := newPerson(t)
	o := w.rigs[0].found(w.founding(1, root))
	same := activityBody(o, "ACTIVITY_TYPE_CREATE_USERS_V2", usersOf("of all"))
	var all sync.WaitGroup
	for i := range 30 {
		all.Go(func() {
			body := activityBody(o, "ACTIVITY_TYPE_CREATE_USERS_V2", usersOf(fmt.Sprint("u", i)))
			if i%5 == 0 {
				body = same
			}
			if a := w.rigs[i%3].submitAs(root, "create_users", body); a.status != 200 {
				t.Errorf("%d %s", a.status, a.body)
			}
		})
	}
	all.Wait()
	w.agree()
	q := w.rigs[1].queryAs(root, "list_users", fmt.Sprintf(`{"organizationId":%q}`, o))
	if n := strings.Count(q.body, `"userName"`); n != 1+24+1 {
		t.Errorf("%d users, want 26", n)
	}
}

func TestFoundingOfAGroupNamesAllMembers(t *testing.T) {
	w := newWorld(t, 3, 2)
	root := newPerson(t)
	rigs := w.rigs
	w.rigs = rigs[:2]
	request := w.founding(1, root)
	w.rigs = rigs
	if a := rigs[0].post(organizationsPath, request, nil); a.status != 400 || !strings.Contains(a.body, rigs[2].node.String()) {
		t.Errorf("a founding body that leaves a member out: %d %s", a.status, a.body)
	}
	for _, r := range rigs[1:] {
		r.OpenOrganizations = false
	}
	if a := rigs[0].post(organizationsPath, w.founding(1, root), nil); a.status != 403 {
		t.Errorf("founding on members whose manifests do not open organizations: %d %s", a.status, a.body)
	}
	if n, _ := rigs[0].order.State(); n != 0 {
		t.Errorf("%d entries were made", n)
	}
}

func TestTimestampIsJudgedAtFirstSight(t *testing.T) {
	w := newWorld(t, 3, 2)
	root := newPerson(t)
	o := w.rigs[0].found(w.founding(1, root))
	old := strings.Replace(activityBody(o, "ACTIVITY_TYPE_CREATE_USERS_V2", usersOf("late")),
		fmt.Sprint(time.Now().UnixMilli())[:9], fmt.Sprint(time.Now().Add(-2 * time.Hour).UnixMilli())[:9], 1)
	before, _ := w.rigs[0].order.State()
	if a := w.rigs[0].submitAs(root, "create_users", old); a.status != 400 || !strings.Contains(a.body, "timestampMs") {
		t.Errorf("a body of two hours ago: %d %s", a.status, a.body)
	}
	if n, _ := w.rigs[0].order.State(); n != before {
		t.Error("what is refused was ordered")
	}
}

// A copy of an organization that came to differ, whatever the reason, is refused
// with its digest.
func TestCopyThatDiffersIsRefusedWithTheDigest(t *testing.T) {
	w := newWorld(t, 3, 2)
	root := newPerson(t)
	o := w.rigs[0].found(w.founding(1, root))
	w.agree()
	oid, _ := parseID(o)
	odd := w.rigs[2]
	odd.mu.Lock()
	odd.orgs[oid].quorum.threshold = 2 // nobody decided this
	odd.mu.Unlock()
	create := func(r *rig, name string) answer {
		return r.submitAs(root, "create_users", activityBody(o, "ACTIVITY_TYPE_CREATE_USERS_V2", usersOf(name)))
	}
	if a := create(w.rigs[0], "first"); a.status != 200 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if n, _ := odd.order.State(); n == 2 {
			break
		}
	}
	_, digest := odd.order.State()
	if a := create(odd, "second"); a.status != 400 || !strings.Contains(a.body, fmt.Sprintf("%x", digest)) {
		t.Errorf("at the copy that differs: %d %s", a.status, a.body)
	}
	if a := create(w.rigs[1], "third"); a.status != 200 {
		t.Errorf("at the others: %d %s", a.status, a.body)
	}
	w.agree(w.rigs[:2]...)
}
