package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"

	"github.com/sallyport/sallyport/host/client"
	"github.com/sallyport/sallyport/tests/appliance"
)

// quorumRows are block H as far as there is no policy language: consensus of
// the root quorum.
var quorumRows = []row{
	{id: "H1", what: "one user approves twice, and resends the submission: still one voice", run: oneVoice, writes: true},
	{id: "H1b", what: "one user approves with two keys", run: twoKeysOneVoice, writes: true},
	{id: "H2", what: "approval of one activity replayed with the other's fingerprint by the host", run: repointedApproval, writes: true},
	{id: "H2b", what: "approval of an activity that does not exist, of another organization's", run: strangeApproval, writes: true},
	{id: "H2c", what: "fingerprint in capitals, without its prefix, cut", run: badFingerprints},
	{id: "H3", what: "approver removed between the vote and the execution", run: removedApprover, writes: true},
	{id: "H4", what: "quorum raised while an activity waits", run: raisedQuorum, writes: true},
	{id: "H5", what: "threshold 0, negative, beyond the members, 2^63; members none, twice, unknown", run: badQuorums},
	{id: "H6", what: "the last key of the last root user deleted by itself", run: lastKey},
	{id: "H6b", what: "quorum of users without keys", run: keylessQuorum, writes: true},
	{id: "H8", what: "one key name in two bodies at the same moment: one key", run: sameName, writes: true},
	{id: "H9", what: "approval after a rejection, rejection after the execution", run: lateVotes, writes: true},
	{id: "H10", what: "user who is no root user: create, sign, export, approve, change the quorum", run: outsider, writes: true},
	{id: "H13", what: "result of an activity that still waits", run: waitingResult, writes: true},
}

const (
	createPath  = appliance.Submit + "create_private_keys"
	approvePath = appliance.Submit + "approve_activity"
	rejectPath  = appliance.Submit + "reject_activity"
	quorumPath  = appliance.Submit + "update_root_quorum"
	typeApprove = "ACTIVITY_TYPE_APPROVE_ACTIVITY"
	typeReject  = "ACTIVITY_TYPE_REJECT_ACTIVITY"
	typeQuorum  = "ACTIVITY_TYPE_UPDATE_ROOT_QUORUM"
	typeUsers   = "ACTIVITY_TYPE_CREATE_USERS_V3"

	completed = "ACTIVITY_STATUS_COMPLETED"
	waiting   = "ACTIVITY_STATUS_CONSENSUS_NEEDED"
	rejected  = "ACTIVITY_STATUS_REJECTED"
)

// post sends a body by a member and wants a status.
func (t *team) post(by int, path string, body []byte, want string) (*activity, error) {
	r, err := t.w.http.Post(path, body, t.keys[by])
	if err != nil {
		return nil, err
	}
	a, err := activityOf(r)
	if err != nil {
		return nil, err
	}
	if a.Status != want {
		return nil, fmt.Errorf("the activity is %s, want %s", a.Status, want)
	}
	if a.Status != completed && len(a.Result) != 0 {
		return nil, errors.New("the activity is not completed and has a result")
	}
	return a, nil
}

// pending has the first user submit a key creation that has to wait.
func (t *team) pending() ([]byte, *activity, error) {
	body := t.body(typeCreate, keyParameters("CURVE_P256"))
	a, err := t.post(0, createPath, body, waiting)
	return body, a, err
}

func (t *team) approve(fingerprint string) []byte {
	return t.body(typeApprove, object{"fingerprint": fingerprint})
}

func oneVoice(w *world) (string, error) {
	body, a, err := w.board.pending()
	if err != nil {
		return "", err
	}
	for range 3 {
		if _, err := w.board.post(0, createPath, body, waiting); err != nil {
			return "", fmt.Errorf("the body again: %w", err)
		}
		r, err := w.http.Post(approvePath, w.board.approve(a.Fingerprint), w.board.keys[0])
		if err != nil {
			return "", err
		}
		if r.Status == http.StatusOK {
			if got, err := activityOf(r); err != nil || got.Status != waiting || len(got.Votes) != 1 {
				return "", fmt.Errorf("a second approval: %s, %w", r.Body, err)
			}
		}
	}
	if _, err := w.board.post(1, approvePath, w.board.approve(a.Fingerprint), completed); err != nil {
		return "", fmt.Errorf("another user's approval: %w", err)
	}
	return "waited for another user", nil
}

func twoKeysOneVoice(w *world) (string, error) {
	t, err := w.found(2, 1)
	if err != nil {
		return "", err
	}
	second, err := client.NewAPIKey()
	if err != nil {
		return "", err
	}
	var out object
	if err := t.done("create_api_keys", typeKeys, t.register(client.CurveP256, second.PublicHex(), ""), "createApiKeysResult", &out); err != nil {
		return "", err
	}
	if err := t.done("update_root_quorum", typeQuorum, object{"threshold": 2, "userIds": []string{t.users[0].UserID, t.users[1].UserID}}, "updateRootQuorumResult", &out); err != nil {
		return "", err
	}
	body, a, err := t.pending()
	if err != nil {
		return "", err
	}
	t.keys = append(t.keys, second)
	if _, err := t.post(2, createPath, body, waiting); err != nil {
		return "", fmt.Errorf("the same body by the second key: %w", err)
	}
	r, err := w.http.Post(approvePath, t.approve(a.Fingerprint), second)
	if err != nil {
		return "", err
	}
	if got, err := activityOf(r); err == nil && got.Status != waiting {
		return "", fmt.Errorf("approved by the second key it is %s", got.Status)
	}
	return "waits for another user", nil
}

// repointedApproval: the host has an approval of one activity and wants it to
// count for another.
func repointedApproval(w *world) (string, error) {
	_, first, err := w.board.pending()
	if err != nil {
		return "", err
	}
	_, second, err := w.board.pending()
	if err != nil {
		return "", err
	}
	body := w.board.approve(first.Fingerprint)
	stamp := mustStamp(body, w.board.keys[1])
	r, err := w.withStamp(approvePath, replaced(body, first.Fingerprint, second.Fingerprint), stamp)
	if _, err := unauthorized.judge(r, err, "could not verify"); err != nil {
		return "", err
	}
	r, err = w.withStamp(rejectPath, body, stamp)
	if _, err := invalid.judge(r, err, "does not belong to"); err != nil {
		return "", err
	}
	if _, err := served(w.withStamp(approvePath, body, stamp)); err != nil {
		return "", err
	}
	var got struct{ Activity activity }
	if err := w.board.query("get_activity", object{"organizationId": w.board.org, "activityId": second.ID}, &got); err != nil {
		return "", err
	}
	if got.Activity.Status != waiting {
		return "", fmt.Errorf("the other activity is %s", got.Activity.Status)
	}
	return "401; it counts for the activity that it names", nil
}

func strangeApproval(w *world) (string, error) {
	_, a, err := w.board.pending()
	if err != nil {
		return "", err
	}
	before, err := w.journalSize()
	if err != nil {
		return "", err
	}
	for _, f := range []string{"sha256:" + hex.EncodeToString(make([]byte, 32)), a.Fingerprint} {
		if _, err := w.main.stamped(notFound, approvePath, w.main.approve(f), "No activity found"); err != nil {
			return "", err
		}
	}
	// Another organization's key over this organization's id.
	r, err := w.http.Post(approvePath, w.board.approve(a.Fingerprint), w.main.key())
	seen, err := unauthorized.judge(r, err)
	if err != nil {
		return "", err
	}
	if after, err := w.journalSize(); err != nil || after != before {
		return "", fmt.Errorf("the journal grew by %d, %w", after-before, err)
	}
	return seen, nil
}

func badFingerprints(w *world) (string, error) {
	good := hex.EncodeToString(make([]byte, 32))
	return each([]string{good, "SHA256:" + good, "sha256:" + good[:62], "sha256:" + good + "00", "sha256:" + good[:63] + "A", "", "sha512:" + good}, func(f string) (string, error) {
		return w.main.stamped(invalid, approvePath, w.main.approve(f), "fingerprint")
	})
}

// changeQuorum makes a change of the quorum that two members of the board approve.
func (t *team) changeQuorum(by, with int, parameters object) error {
	body := t.body(typeQuorum, parameters)
	a, err := t.post(by, quorumPath, body, waiting)
	if err != nil {
		return err
	}
	_, err = t.post(with, approvePath, t.approve(a.Fingerprint), completed)
	return err
}

func removedApprover(w *world) (string, error) {
	t, err := w.found(3, 2)
	if err != nil {
		return "", err
	}
	_, a, err := t.pending()
	if err != nil {
		return "", err
	}
	// Users 1 and 2 remove user 0 from the quorum; its vote counts no more.
	if err := t.changeQuorum(1, 2, object{"threshold": 2, "userIds": []string{t.users[1].UserID, t.users[2].UserID}}); err != nil {
		return "", err
	}
	got, err := t.post(1, approvePath, t.approve(a.Fingerprint), waiting)
	if err != nil {
		return "", fmt.Errorf("one living vote: %w", err)
	}
	if _, err := t.post(2, approvePath, t.approve(a.Fingerprint), completed); err != nil {
		return "", err
	}
	return fmt.Sprintf("with %d votes it still waited", len(got.Votes)), nil
}

func raisedQuorum(w *world) (string, error) {
	t, err := w.found(3, 2)
	if err != nil {
		return "", err
	}
	_, a, err := t.pending()
	if err != nil {
		return "", err
	}
	all := []string{t.users[0].UserID, t.users[1].UserID, t.users[2].UserID}
	if err := t.changeQuorum(0, 1, object{"threshold": 3, "userIds": all}); err != nil {
		return "", err
	}
	if _, err := t.post(1, approvePath, t.approve(a.Fingerprint), waiting); err != nil {
		return "", fmt.Errorf("the old threshold: %w", err)
	}
	if _, err := t.post(2, approvePath, t.approve(a.Fingerprint), completed); err != nil {
		return "", err
	}
	return "it needed the new threshold", nil
}

func badQuorums(w *world) (string, error) {
	me := strconv.Quote(w.main.users[0].UserID)
	// The unknown user is a 404; all else is a 400.
	if _, err := w.main.stamped(notFound, quorumPath, w.main.body(typeQuorum, object{"threshold": 1, "userIds": []string{w.other.users[0].UserID}})); err != nil {
		return "", err
	}
	return each([]string{
		`{"threshold":0,"userIds":[` + me + `]}`, `{"threshold":-1,"userIds":[` + me + `]}`, `{"threshold":2,"userIds":[` + me + `]}`,
		`{"threshold":9223372036854775808,"userIds":[` + me + `]}`, `{"threshold":4294967297,"userIds":[` + me + `]}`, `{"threshold":1,"userIds":[]}`,
		`{"threshold":2,"userIds":[` + me + `,` + me + `]}`, `{"threshold":1,"userIds":null}`, `{"threshold":1.0,"userIds":[` + me + `]}`,
		`{"threshold":"1","userIds":[` + me + `]}`, `{"threshold":1,"userIds":[null]}`, `{"threshold":1,"userIds":["` + w.main.org[:35] + `"]}`, `{"userIds":[` + me + `]}`,
	}, func(parameters string) (string, error) {
		body := replaced(w.main.body(typeQuorum, object{"x": 1}), `{"x":1}`, parameters)
		return w.main.stamped(invalid, quorumPath, body)
	})
}

func lastKey(w *world) (string, error) {
	body := w.main.body("ACTIVITY_TYPE_DELETE_API_KEYS", object{"userId": w.main.users[0].UserID, "apiKeyIds": w.main.users[0].APIKeyIDs})
	return w.main.stamped(invalid, appliance.Submit+"delete_api_keys", body, "root quorum")
}

// addUser makes a user with a key, or with none.
func (t *team) addUser(key *client.APIKey) (string, error) {
	keys := []object{}
	if key != nil {
		keys = append(keys, object{"apiKeyName": "k", "publicKey": key.PublicHex(), "curveType": client.CurveP256})
	}
	var out struct{ UserIDs []string }
	err := t.done("create_users", typeUsers, object{"users": []object{{
		"userName": "user", "apiKeys": keys, "authenticators": []object{}, "oauthProviders": []object{}, "userTags": []string{},
	}}}, "createUsersResult", &out)
	if err != nil || len(out.UserIDs) != 1 {
		return "", fmt.Errorf("creating a user: %w", err)
	}
	return out.UserIDs[0], nil
}

func keylessQuorum(w *world) (string, error) {
	id, err := w.main.addUser(nil)
	if err != nil {
		return "", err
	}
	return w.main.stamped(invalid, quorumPath, w.main.body(typeQuorum, object{"threshold": 1, "userIds": []string{id}}), "API key")
}

func sameName(w *world) (string, error) {
	parameters := keyParameters("CURVE_P256")
	const n = 6
	statuses := make([]int, n)
	var all sync.WaitGroup
	for i := range n {
		body := w.main.body(typeCreate, parameters)
		all.Go(func() {
			if r, err := w.http.Post(createPath, body, w.main.key()); err == nil {
				if a, err := activityOf(r); err == nil && a.Status != completed {
					statuses[i] = 1
				} else {
					statuses[i] = r.Status
				}
			}
		})
	}
	all.Wait()
	made := 0
	for _, s := range statuses {
		switch s {
		case 200:
			made++
		case 400, 1:
		default:
			return "", fmt.Errorf("statuses %v", statuses)
		}
	}
	if made != 1 {
		return "", fmt.Errorf("%d keys of one name: %v", made, statuses)
	}
	return fmt.Sprintf("%d bodies, one key", n), nil
}

func lateVotes(w *world) (string, error) {
	_, a, err := w.board.pending()
	if err != nil {
		return "", err
	}
	if _, err := w.board.post(1, rejectPath, w.board.body(typeReject, object{"fingerprint": a.Fingerprint}), rejected); err != nil {
		return "", err
	}
	before, err := w.journalSize()
	if err != nil {
		return "", err
	}
	r, err := w.http.Post(approvePath, w.board.approve(a.Fingerprint), w.board.keys[2])
	if _, err := invalid.judge(r, err, "takes no more votes"); err != nil {
		return "", err
	}
	body := w.main.signBody()
	done, err := w.main.post(0, signPath, body, completed)
	if err != nil {
		return "", err
	}
	seen, err := w.main.stamped(invalid, rejectPath, w.main.body(typeReject, object{"fingerprint": done.Fingerprint}), "takes no more votes")
	if err != nil {
		return "", err
	}
	if after, err := w.journalSize(); err != nil || after != before+1 {
		return "", fmt.Errorf("%d entries, %w", after-before, err)
	}
	return seen, nil
}

// outsider is refused everything, and what it asked for has no effect.
func outsider(w *world) (string, error) {
	key, err := client.NewAPIKey()
	if err != nil {
		return "", err
	}
	id, err := w.main.addUser(key)
	if err != nil {
		return "", err
	}
	stranger := &team{w: w, org: w.main.org, users: w.main.users, keys: []*client.APIKey{key}, keyID: w.main.keyID}
	target := hex.EncodeToString(w.export.target.PublicKey().Bytes())
	return each([]struct {
		name, typ  string
		parameters object
	}{
		{"create_private_keys", typeCreate, keyParameters("CURVE_P256")},
		{"sign_raw_payload", typeSign, stranger.signParameters()},
		{"export_private_key", typeExport, object{"privateKeyId": w.main.keyID, "targetPublicKey": target}},
		{"update_root_quorum", typeQuorum, object{"threshold": 1, "userIds": []string{id}}},
		{"delete_api_keys", "ACTIVITY_TYPE_DELETE_API_KEYS", object{"userId": id, "apiKeyIds": []string{}}},
	}, func(c struct {
		name, typ  string
		parameters object
	},
	) (string, error) {
		body := stranger.body(c.typ, c.parameters)
		r, err := w.http.Post(appliance.Submit+c.name, body, key)
		if err == nil && r.Status == 400 && c.name == "delete_api_keys" {
			return invalid.judge(r, err) // an empty list is refused before anything
		}
		seen, err := denied.judge(r, err)
		if err != nil {
			return "", fmt.Errorf("%s: %w", c.name, err)
		}
		// Again: the recorded answer.
		r, err = w.http.Post(appliance.Submit+c.name, body, key)
		if _, err := denied.judge(r, err); err != nil {
			return "", err
		}
		return seen, nil
	})
}

func waitingResult(w *world) (string, error) {
	target := hex.EncodeToString(w.export.target.PublicKey().Bytes())
	body := w.board.body(typeCreate, keyParameters("CURVE_SECP256K1"))
	a, err := w.board.post(0, createPath, body, waiting)
	if err != nil {
		return "", err
	}
	if _, err := w.board.post(1, approvePath, w.board.approve(a.Fingerprint), completed); err != nil {
		return "", err
	}
	var keys struct {
		PrivateKeys []struct{ PrivateKeyID string }
	}
	if err := w.board.query("list_private_keys", object{"organizationId": w.board.org}, &keys); err != nil {
		return "", err
	}
	id := keys.PrivateKeys[len(keys.PrivateKeys)-1].PrivateKeyID
	export := w.board.body(typeExport, object{"privateKeyId": id, "targetPublicKey": target})
	// post refuses a result on an activity that is not completed.
	a, err = w.board.post(0, exportPath, export, waiting)
	if err != nil {
		return "", err
	}
	var got struct{ Activity activity }
	if err := w.board.query("get_activity", object{"organizationId": w.board.org, "activityId": a.ID}, &got); err != nil {
		return "", err
	}
	if len(got.Activity.Result) != 0 {
		return "", errors.New("get_activity shows a result")
	}
	return "result {} until the second approval", nil
}
