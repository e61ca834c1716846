package main

import (
	"errors"
	"fmt"
	"slices"
)

// quorumRows are block H as far as there is no policy language: consensus of
// the root quorum.
var quorumRows = slices.Concat(voteRows, memberRows, effectRows)

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
