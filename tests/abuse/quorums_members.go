package main

import (
	"fmt"
	"strconv"
)

// memberRows change the quorum while something waits, or to what no quorum is.
var memberRows = []row{
	{id: "H3", what: "approver removed between the vote and the execution", run: removedApprover, writes: true},
	{id: "H4", what: "quorum raised while an activity waits", run: raisedQuorum, writes: true},
	{id: "H5", what: "threshold 0, negative, beyond the members, 2^63; members none, twice, unknown", run: badQuorums},
	{id: "H6", what: "the last key of the last root user deleted by itself", run: lastKey},
	{id: "H6b", what: "quorum of users without keys", run: keylessQuorum, writes: true},
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
	body := w.main.body(typeDeleteKeys, object{"userId": w.main.users[0].UserID, "apiKeyIds": w.main.users[0].APIKeyIDs})
	return w.main.stamped(invalid, deleteKeysPath, body, "root quorum")
}

func keylessQuorum(w *world) (string, error) {
	id, err := w.main.addUser(nil)
	if err != nil {
		return "", err
	}
	return w.main.stamped(invalid, quorumPath, w.main.body(typeQuorum, object{"threshold": 1, "userIds": []string{id}}), "API key")
}
