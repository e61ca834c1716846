package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"sync"

	"github.com/sallyport/sallyport/host/client"
	"github.com/sallyport/sallyport/tests/appliance"
)

// effectRows are activities that must have one effect, or none.
var effectRows = []row{
	{id: "H8", what: "one key name in two bodies at the same moment: one key", run: sameName, writes: true},
	{id: "H9", what: "approval after a rejection, rejection after the execution", run: lateVotes, writes: true},
	{id: "H10", what: "user who is no root user: create, sign, export, approve, change the quorum", run: outsider, writes: true},
	{id: "H13", what: "result of an activity that still waits", run: waitingResult, writes: true},
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
		{"delete_api_keys", typeDeleteKeys, object{"userId": id, "apiKeyIds": []string{}}},
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
