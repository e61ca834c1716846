package main

import (
	"encoding/hex"
	"fmt"
	"net/http"

	"github.com/sallyport/sallyport/host/client"
)

// voteRows are votes that must not count, or count once.
var voteRows = []row{
	{id: "H1", what: "one user approves twice, and resends the submission: still one voice", run: oneVoice, writes: true},
	{id: "H1b", what: "one user approves with two keys", run: twoKeysOneVoice, writes: true},
	{id: "H2", what: "approval of one activity replayed with the other's fingerprint by the host", run: repointedApproval, writes: true},
	{id: "H2b", what: "approval of an activity that does not exist, of another organization's", run: strangeApproval, writes: true},
	{id: "H2c", what: "fingerprint in capitals, without its prefix, cut", run: badFingerprints},
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
	if _, err := t.addKey(client.CurveP256, second.PublicHex(), ""); err != nil {
		return "", err
	}
	var out object
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
