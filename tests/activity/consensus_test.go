package activity_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/sallyport/sallyport/attestation/bundle"
	"github.com/sallyport/sallyport/enclave/enclavetest"
	"github.com/sallyport/sallyport/enclave/wire"
	"github.com/sallyport/sallyport/host/client"
)

const (
	completed       = "ACTIVITY_STATUS_COMPLETED"
	consensusNeeded = "ACTIVITY_STATUS_CONSENSUS_NEEDED"
	rejected        = "ACTIVITY_STATUS_REJECTED"
	failed          = "ACTIVITY_STATUS_FAILED"

	createKeysPath = "/public/v1/submit/create_private_keys"
	createKeysType = "ACTIVITY_TYPE_CREATE_PRIVATE_KEYS_V2"
	approvePath    = "/public/v1/submit/approve_activity"
	approveType    = "ACTIVITY_TYPE_APPROVE_ACTIVITY"
	rejectPath     = "/public/v1/submit/reject_activity"
	rejectType     = "ACTIVITY_TYPE_REJECT_ACTIVITY"
)

// size is the length of the journal at the host.
func (w *world) size() int {
	n := 0
	w.host.Edit(func(h *enclavetest.Host) { n = len(h.Records) })
	return n
}

// adds runs f and wants the journal to be so many entries longer afterwards.
func (w *world) adds(count int, f func()) {
	w.Helper()
	before := w.size()
	f()
	if got := w.size() - before; got != count {
		w.Errorf("the journal is %d entries longer, want %d", got, count)
	}
}

func keyParams(name string) map[string]any {
	return map[string]any{"privateKeys": []any{map[string]any{
		"privateKeyName": name, "curve": "CURVE_SECP256K1", "privateKeyTags": []string{}, "addressFormats": []string{},
	}}}
}

// propose submits the making of a key, which then needs consensus.
func (w *world) propose(name string, user int) (activity, []byte) {
	w.Helper()
	body := w.body(createKeysType, keyParams(name))
	a := w.activity(w.send(createKeysPath, body, user))
	w.is(a, consensusNeeded)
	return a, body
}

func (w *world) is(a activity, status string) {
	w.Helper()
	if a.Status != status {
		w.Fatalf("activity is %s, want %s: %+v", a.Status, status, a.Failure)
	}
	if (status == completed) != (len(a.Result) > 0) {
		w.Fatalf("%s with result %v", status, a.Result)
	}
}

func fingerprintOf(a activity) map[string]string {
	return map[string]string{"fingerprint": a.Fingerprint}
}

func (w *world) approve(a activity, user int) activity {
	w.Helper()
	return w.submit("approve_activity", approveType, fingerprintOf(a), user)
}

func (w *world) reject(a activity, user int) activity {
	w.Helper()
	return w.submit("reject_activity", rejectType, fingerprintOf(a), user)
}

func (w *world) get(aid string, user int) activity {
	w.Helper()
	var out struct{ Activity activity }
	w.query("get_activity", map[string]string{"organizationId": w.org, "activityId": aid}, user, &out)
	return out.Activity
}

func (w *world) list(extra map[string]any, user int) []activity {
	w.Helper()
	body := map[string]any{"organizationId": w.org}
	for k, v := range extra {
		body[k] = v
	}
	var out struct{ Activities []activity }
	w.query("list_activities", body, user, &out)
	return out.Activities
}

func (w *world) countKeys() int {
	w.Helper()
	var out struct{ PrivateKeys []privateKey }
	w.query("list_private_keys", map[string]string{"organizationId": w.org}, 0, &out)
	return len(out.PrivateKeys)
}

// addUser makes a user who is not of the root quorum, and returns its index
// among w.keys. Every root user must be asked, so quorum users do.
func (w *world) addUser(name string, quorum int) int {
	w.Helper()
	key := w.newKey()
	body := w.body("ACTIVITY_TYPE_CREATE_USERS_V3", map[string]any{"users": []any{map[string]any{
		"userName": name, "apiKeys": []any{map[string]any{
			"apiKeyName": "k", "publicKey": key.PublicHex(), "curveType": "API_KEY_CURVE_P256",
		}}, "authenticators": []any{}, "oauthProviders": []any{}, "userTags": []any{},
	}}})
	var a activity
	for i := range quorum {
		a = w.activity(w.send("/public/v1/submit/create_users", body, i))
	}
	w.is(a, completed)
	var r struct{ UserIDs []string }
	if err := json.Unmarshal(a.Result["createUsersResult"], &r); err != nil {
		w.Fatal(err)
	}
	w.keys = append(w.keys, key)
	w.users = append(w.users, client.FoundedUser{UserID: r.UserIDs[0], UserName: name})
	return len(w.keys) - 1
}

func (w *world) setQuorum(threshold int, members []int, by ...int) {
	w.Helper()
	ids := []string{}
	for _, m := range members {
		ids = append(ids, w.users[m].UserID)
	}
	body := w.body("ACTIVITY_TYPE_UPDATE_ROOT_QUORUM", map[string]any{"threshold": threshold, "userIds": ids})
	var a activity
	for _, user := range by {
		a = w.activity(w.send("/public/v1/submit/update_root_quorum", body, user))
	}
	w.is(a, completed)
}

func TestSecondApprovalByFingerprintExecutes(t *testing.T) {
	w := newWorld(t, 2, 2)
	a, body := w.propose("k", 0)
	if len(a.Votes) != 1 || a.CanApprove || !a.CanReject || w.countKeys() != 0 {
		t.Fatalf("pending activity: %+v", a)
	}
	if other := w.get(a.ID, 1); !other.CanApprove || !other.CanReject {
		t.Errorf("the other root user cannot vote: %+v", other)
	}
	b := w.approve(a, 1)
	w.is(b, completed)
	if b.ID != a.ID || b.Fingerprint != a.Fingerprint || b.Type != createKeysType || len(b.Votes) != 2 {
		t.Errorf("the reply to a vote is not the activity voted on: %+v", b)
	}
	if b.Votes[0].Message != string(body) || b.Votes[1].UserID != w.users[1].UserID || b.CanApprove || b.CanReject {
		t.Errorf("votes: %+v", b.Votes)
	}
	if w.countKeys() != 1 {
		t.Error("not exactly one key")
	}
}

func TestSameBodyOfAnotherUserIsThatUsersApproval(t *testing.T) {
	w := newWorld(t, 3, 3)
	a, body := w.propose("k", 2)
	w.is(w.activity(w.send(createKeysPath, body, 0)), consensusNeeded)
	w.adds(0, func() { w.is(w.activity(w.send(createKeysPath, body, 0)), consensusNeeded) })
	b := w.activity(w.send(createKeysPath, body, 1))
	w.is(b, completed)
	if b.ID != a.ID || len(b.Votes) != 3 || w.countKeys() != 1 {
		t.Errorf("got %+v", b)
	}
}

func TestOneRejectionEndsAnActivity(t *testing.T) {
	w := newWorld(t, 3, 2)
	a, body := w.propose("k", 0)
	b := w.reject(a, 1)
	w.is(b, rejected)
	if b.Votes[1].Selection != "VOTE_SELECTION_REJECTED" || b.CanApprove || b.CanReject {
		t.Errorf("got %+v", b)
	}
	w.adds(0, func() {
		w.refused(w.send(approvePath, w.body(approveType, fingerprintOf(a)), 2), 400, 3)
		w.refused(w.send(rejectPath, w.body(rejectType, fingerprintOf(a)), 2), 400, 3)
		w.is(w.activity(w.send(createKeysPath, body, 2)), rejected)
	})
	if w.countKeys() != 0 {
		t.Error("a rejected activity made a key")
	}
}

func TestSubmitterMayRejectItsOwn(t *testing.T) {
	w := newWorld(t, 2, 2)
	a, _ := w.propose("k", 0)
	w.is(w.reject(a, 0), rejected)
}

func TestTwoKeysOfOneUserAreOneVoice(t *testing.T) {
	w := newWorld(t, 2, 2)
	second := w.newKey()
	body := w.body("ACTIVITY_TYPE_CREATE_API_KEYS_V2", map[string]any{"userId": w.users[0].UserID, "apiKeys": []any{
		map[string]any{"apiKeyName": "second", "publicKey": second.PublicHex(), "curveType": "API_KEY_CURVE_P256"},
	}})
	w.send("/public/v1/submit/create_api_keys", body, 0)
	w.is(w.activity(w.send("/public/v1/submit/create_api_keys", body, 1)), completed)
	w.keys = append(w.keys, second)

	a, proposal := w.propose("k", 0)
	w.adds(0, func() {
		w.is(w.approve(a, 0), consensusNeeded)
		w.is(w.approve(a, 2), consensusNeeded)
		w.is(w.activity(w.send(createKeysPath, proposal, 2)), consensusNeeded)
	})
	w.is(w.approve(a, 1), completed)
}

func TestDenialIsStoredAndRepeated(t *testing.T) {
	w := newWorld(t, 1, 1)
	u := w.addUser("outsider", 1)
	body := w.body(createKeysType, keyParams("k"))
	var first *wire.Reply
	w.adds(1, func() { first = w.send(createKeysPath, body, u) })
	r := w.refused(first, 403, 7)
	if len(r.Details) != 1 || r.Details[0]["@type"] != "type.googleapis.com/errors.v1.PolicyEnginePermissionError" ||
		r.Details[0]["message"] != "No policies evaluated to outcome: Allow" || r.Details[0]["policyEvaluations"] == nil {
		t.Errorf("details: %v", r.Details)
	}
	if want := "You don't have sufficient permissions to take this action."; len(r.Message) < len(want) || r.Message[:len(want)] != want {
		t.Errorf("message: %s", r.Message)
	}
	w.adds(0, func() {
		if again := w.send(createKeysPath, body, u); !bytes.Equal(again.Body, first.Body) || again.Status != 403 {
			t.Errorf("another answer: %s", again.Body)
		}
	})
	list := w.list(nil, u)
	a := list[0]
	w.is(a, rejected)
	if a.Failure == nil || a.Failure.Code != 7 || len(a.Votes) != 1 || a.Votes[0].UserID != w.users[u].UserID || a.CanApprove || a.CanReject {
		t.Errorf("stored denial: %+v", a)
	}
	w.adds(0, func() { w.refused(w.send(approvePath, w.body(approveType, fingerprintOf(a)), 0), 400, 3) })
	w.enclave.Restart(t)
	w.adds(0, func() { w.refused(w.send(createKeysPath, body, u), 403, 7) })
}

func TestOutsidersCopyDoesNotTouchAPendingActivity(t *testing.T) {
	w := newWorld(t, 2, 2)
	u := w.addUser("outsider", 2)
	a, body := w.propose("k", 0)
	w.adds(1, func() { w.refused(w.send(createKeysPath, body, u), 403, 7) })
	w.adds(0, func() { w.refused(w.send(createKeysPath, body, u), 403, 7) })
	w.is(w.get(a.ID, 0), consensusNeeded)
	if n := len(w.list(map[string]any{"filterByType": []string{createKeysType}}, 0)); n != 2 {
		t.Errorf("%d activities, want the pending one and the denial", n)
	}
	w.enclave.Restart(t)
	w.is(w.get(a.ID, 0), consensusNeeded)
	w.is(w.approve(a, 1), completed)
}

func TestOutsidersEarlierCopyDoesNotBlockARootUser(t *testing.T) {
	w := newWorld(t, 1, 1)
	u := w.addUser("outsider", 1)
	body := w.body(createKeysType, keyParams("k"))
	w.refused(w.send(createKeysPath, body, u), 403, 7)
	a := w.activity(w.send(createKeysPath, body, 0))
	w.is(a, completed)
	w.adds(0, func() { w.refused(w.send(createKeysPath, body, u), 403, 7) })
	before := w.get(a.ID, 0)
	w.enclave.Restart(t)
	if after := w.get(a.ID, 0); after.Status != before.Status || w.countKeys() != 1 {
		t.Errorf("after the restart: %+v", after)
	}
}

func TestOutsidersEarlierCopyDoesNotMakeAStaleBodyFresh(t *testing.T) {
	w := newWorld(t, 1, 1)
	u := w.addUser("outsider", 1)
	body := w.body(createKeysType, keyParams("k"))
	held := w.stamped(createKeysPath, body, w.keys[0])
	w.refused(w.send(createKeysPath, body, u), 403, 7)
	w.now = w.now.Add(2 * time.Hour)
	w.adds(0, func() { w.refused(w.do(held), 400, 3) })
}

func TestOutsidersVoteIsDeniedAndCountsForNothing(t *testing.T) {
	w := newWorld(t, 2, 2)
	u := w.addUser("outsider", 2)
	a, _ := w.propose("k", 0)
	for _, c := range []struct{ path, typ string }{{approvePath, approveType}, {rejectPath, rejectType}} {
		body := w.body(c.typ, fingerprintOf(a))
		w.adds(1, func() { w.refused(w.send(c.path, body, u), 403, 7) })
		w.adds(0, func() { w.refused(w.send(c.path, body, u), 403, 7) })
	}
	if now := w.get(a.ID, 0); len(now.Votes) != 1 || now.Status != consensusNeeded {
		t.Errorf("got %+v", now)
	}
	if other := w.get(a.ID, u); other.CanApprove || other.CanReject {
		t.Error("an outsider is told that it can vote")
	}
}

// Published clients put only a fingerprint and a millisecond into a vote, so
// two users' votes may be the same bytes.
func TestVotesOfTwoUsersMayBeTheSameBytes(t *testing.T) {
	w := newWorld(t, 3, 3)
	u := w.addUser("outsider", 3)
	a, _ := w.propose("k", 0)
	vote := w.body(approveType, fingerprintOf(a))
	w.refused(w.send(approvePath, vote, u), 403, 7)
	w.is(w.activity(w.send(approvePath, vote, 1)), consensusNeeded)
	w.adds(0, func() { w.is(w.activity(w.send(approvePath, vote, 1)), consensusNeeded) })
	b := w.activity(w.send(approvePath, vote, 2))
	w.is(b, completed)
	if len(b.Votes) != 3 || w.countKeys() != 1 {
		t.Errorf("got %+v", b)
	}
	w.adds(0, func() {
		w.is(w.activity(w.send(approvePath, vote, 1)), completed)
		w.refused(w.send(approvePath, vote, u), 403, 7)
	})
	w.enclave.Restart(t)
	w.adds(0, func() { w.is(w.activity(w.send(approvePath, vote, 2)), completed) })
}

func TestVoteOnUnknownActivityIsNotFound(t *testing.T) {
	w := newWorld(t, 2, 2)
	other := newWorld(t, 2, 2)
	theirs, _ := other.propose("k", 0)
	for _, f := range []string{"sha256:" + fmt.Sprintf("%064x", 1), theirs.Fingerprint} {
		for _, c := range []struct{ path, typ string }{{approvePath, approveType}, {rejectPath, rejectType}} {
			w.adds(0, func() {
				r := w.refused(w.send(c.path, w.body(c.typ, map[string]string{"fingerprint": f}), 1), 404, 5)
				if want := "No activity found with fingerprint " + f; r.Message != want {
					t.Errorf("message %q, want %q", r.Message, want)
				}
			})
		}
	}
}

func TestVoteOnAVoteIsNotFound(t *testing.T) {
	w := newWorld(t, 3, 3)
	a, _ := w.propose("k", 0)
	vote := w.body(approveType, fingerprintOf(a))
	w.send(approvePath, vote, 1)
	w.adds(0, func() {
		w.refused(w.send(approvePath, w.body(approveType, map[string]string{"fingerprint": fingerprintHex(vote)}), 2), 404, 5)
	})
}

func TestVotesExpireADayAfterTheFirst(t *testing.T) {
	w := newWorld(t, 2, 2)
	day := 24 * time.Hour
	a, _ := w.propose("in time", 0)
	start := w.now
	w.now = start.Add(day - time.Millisecond)
	w.is(w.approve(a, 1), completed)

	w.now = start.Add(2 * day)
	start = w.now
	b, _ := w.propose("too late", 0)
	w.now = start.Add(day)
	if late := w.get(b.ID, 0); !late.CanApprove {
		t.Error("the submitter cannot renew its vote")
	}
	w.is(w.approve(b, 1), consensusNeeded)
	w.is(w.approve(b, 0), completed)
}

func TestReplayDoesNotRenewAnExpiredVote(t *testing.T) {
	w := newWorld(t, 2, 2)
	body := w.body(createKeysType, keyParams("k"))
	submission := w.stamped(createKeysPath, body, w.keys[0])
	held := w.stamped(createKeysPath, body, w.keys[1]) // stamped, and held back by the host
	a := w.activity(w.do(submission))
	w.now = w.now.Add(25 * time.Hour)
	w.is(w.approve(a, 1), consensusNeeded)
	w.adds(0, func() {
		w.is(w.activity(w.do(submission)), consensusNeeded)
		w.refused(w.do(held), 400, 3)
	})
	if w.countKeys() != 0 {
		t.Error("a replayed stamp completed a quorum")
	}
}

func TestHeldBackCopyIsNoVoteAfterAnHour(t *testing.T) {
	w := newWorld(t, 2, 2)
	body := w.body(createKeysType, keyParams("k"))
	held := w.stamped(createKeysPath, body, w.keys[1])
	a := w.activity(w.send(createKeysPath, body, 0))
	w.now = w.now.Add(time.Hour)
	w.adds(0, func() { w.refused(w.do(held), 400, 3) })
	w.is(w.approve(a, 1), completed)
}

func TestVotesOfRemovedRootUsersAreDropped(t *testing.T) {
	w := newWorld(t, 3, 2)
	a, _ := w.propose("k", 0)
	w.setQuorum(2, []int{1, 2}, 1, 2)
	w.is(w.approve(a, 1), consensusNeeded)
	w.is(w.approve(a, 2), completed)
}

func TestRaisedThresholdCountsForPendingActivities(t *testing.T) {
	w := newWorld(t, 3, 2)
	a, _ := w.propose("k", 0)
	w.setQuorum(3, []int{0, 1, 2}, 1, 2)
	w.is(w.approve(a, 1), consensusNeeded)
	w.is(w.approve(a, 2), completed)
}

func TestFormerRootUserCannotVote(t *testing.T) {
	w := newWorld(t, 3, 2)
	a, _ := w.propose("k", 0)
	w.setQuorum(2, []int{0, 1}, 0, 1)
	w.adds(1, func() { w.refused(w.send(rejectPath, w.body(rejectType, fingerprintOf(a)), 2), 403, 7) })
	w.is(w.approve(a, 1), completed)
}

func TestQuorumThatCannotBeMetIsRefused(t *testing.T) {
	w := newWorld(t, 2, 1)
	u := w.addUser("outsider", 1)
	a, b, outsider := w.users[0].UserID, w.users[1].UserID, w.users[u].UserID
	keyless := w.submit("create_users", "ACTIVITY_TYPE_CREATE_USERS_V3", map[string]any{"users": []any{map[string]any{"userName": "no keys"}}}, 0)
	var r struct{ UserIDs []string }
	if err := json.Unmarshal(keyless.Result["createUsersResult"], &r); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		threshold int
		users     []string
		status    int
		code      int
	}{
		"threshold 0":        {0, []string{a}, 400, 3},
		"negative":           {-1, []string{a}, 400, 3},
		"above the number":   {3, []string{a, b}, 400, 3},
		"empty":              {1, []string{}, 400, 3},
		"twice the same":     {2, []string{a, a}, 400, 3},
		"unknown user":       {1, []string{"00000000-0000-8000-8000-000000000000"}, 404, 5},
		"not an id":          {1, []string{"me"}, 400, 3},
		"users without keys": {2, []string{outsider, r.UserIDs[0]}, 400, 3},
	} {
		t.Run(name, func(t *testing.T) {
			w.adds(0, func() {
				w.refused(w.send("/public/v1/submit/update_root_quorum", w.body("ACTIVITY_TYPE_UPDATE_ROOT_QUORUM",
					map[string]any{"threshold": c.threshold, "userIds": c.users}), 0), c.status, c.code)
			})
		})
	}
	done := w.submit("update_root_quorum", "ACTIVITY_TYPE_UPDATE_ROOT_QUORUM", map[string]any{"threshold": 1, "userIds": []string{a}}, 0)
	if string(done.Result["updateRootQuorumResult"]) != "{}" {
		t.Errorf("result %v", done.Result)
	}
}

func TestFailureAtApprovalIsRecorded(t *testing.T) {
	w := newWorld(t, 2, 2)
	first, _ := w.propose("same", 0)
	second, body := w.propose("same", 1)
	w.is(w.approve(first, 1), completed)
	var a activity
	w.adds(1, func() { a = w.approve(second, 0) })
	w.is(a, failed)
	if a.Failure == nil || a.Failure.Code != 3 || a.CanApprove || a.CanReject {
		t.Errorf("got %+v", a)
	}
	w.adds(0, func() {
		w.is(w.activity(w.send(createKeysPath, body, 0)), failed)
		w.refused(w.send(approvePath, w.body(approveType, fingerprintOf(second)), 0), 400, 3)
	})
	if w.countKeys() != 1 {
		t.Error("a failed activity made a key")
	}
}

func TestActivityThatFailsItsCheckAtApprovalStoresNoShares(t *testing.T) {
	w := newWorld(t, 2, 2)
	first, _ := w.propose("same", 0)
	second, _ := w.propose("same", 1)
	w.is(w.approve(first, 1), completed)
	blobs := len(w.host.Blobs)
	w.is(w.approve(second, 0), failed)
	if len(w.host.Blobs) != blobs {
		t.Error("shares were stored for a key that cannot be")
	}
}

// A meddler is a host on which something happens while it is asked for blobs.
type meddler struct {
	*enclavetest.Host
	during func()
}

func (m *meddler) GetBlobs(ctx context.Context, names [][]byte) ([][]byte, error) {
	if f := m.during; f != nil {
		m.during = nil
		f()
	}
	return m.Host.GetBlobs(ctx, names)
}

func TestQuorumRaisedDuringAnExportStopsItsRelease(t *testing.T) {
	host := &meddler{}
	w := newWorldWith(t, 3, 2, func(w *world, o *enclavetest.Options) {
		host.Host = w.host
		o.Host = host
	})
	created, _ := w.propose("k", 0)
	kid := keyIDs(t, w.approve(created, 1))[0]
	target, err := bundle.NewTarget(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	pending := w.submit("export_private_key", "ACTIVITY_TYPE_EXPORT_PRIVATE_KEY", map[string]string{
		"privateKeyId": kid, "targetPublicKey": hex.EncodeToString(target.PublicKey().Bytes()),
	}, 0)
	w.is(pending, consensusNeeded)
	w.enclave.Restart(t) // no share in memory: the export asks the host

	host.during = func() { w.setQuorum(3, []int{0, 1, 2}, 0, 1) }
	w.is(w.approve(pending, 1), consensusNeeded)
	if host.during != nil {
		t.Fatal("nothing happened during the execution")
	}
	w.is(w.approve(pending, 2), completed)
}

func keyIDs(t *testing.T, a activity) (ids []string) {
	t.Helper()
	var r struct {
		PrivateKeys []struct{ PrivateKeyID string }
	}
	if err := json.Unmarshal(a.Result["createPrivateKeysResultV2"], &r); err != nil {
		t.Fatal(err)
	}
	for _, k := range r.PrivateKeys {
		ids = append(ids, k.PrivateKeyID)
	}
	return ids
}

func fingerprintHex(body []byte) string {
	sum := sha256.Sum256(body)
	return "sha256:" + hex.EncodeToString(sum[:])
}
