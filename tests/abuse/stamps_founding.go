package main

import (
	"github.com/sallyport/sallyport/host/client"
)

// foundingRows are founding bodies that make no organization.
var foundingRows = []row{
	{id: "C14", what: "founding body with a stamp missing, forged, by a stranger, twice", run: badFounding},
	{id: "C15", what: "founding body with no users, quorum 0, quorum beyond them, two users of one key", run: badFoundingBodies},
}

func (w *world) refusedFounding(want refusal, body []byte, keys []*client.APIKey, words ...string) (string, error) {
	request, err := client.NewFoundingRequest(body, keys...)
	if err != nil {
		return "", err
	}
	r, err := w.http.Do("POST", organizations, request)
	return want.judge(r, err, words...)
}

func badFounding(w *world) (string, error) {
	body, keys, err := foundingBody(2, 2, w.app.QuorumPublicKey)
	if err != nil {
		return "", err
	}
	stranger, err := client.NewAPIKey()
	if err != nil {
		return "", err
	}
	good := []string{mustStamp(body, keys[0]), mustStamp(body, keys[1])}
	forged := honest(body, keys[1])
	forged.Signature = honest([]byte("other"), keys[1]).Signature
	return each([][]string{
		{good[0]},
		{},
		{good[0], good[0]},
		{good[0], forged.header()},
		{good[0], mustStamp(body, stranger)},
		{good[0], good[1], mustStamp(body, stranger)},
		{good[0], good[1], good[1]},
		{good[0], "x"},
	}, func(stamps []string) (string, error) {
		r, err := w.http.Do("POST", organizations, toJSON(client.FoundingRequest{FoundingBody: string(body), Stamps: stamps}))
		if err == nil && r.Status == 400 {
			return invalid.judge(r, err)
		}
		return unauthorized.judge(r, err)
	})
}

func badFoundingBodies(w *world) (string, error) {
	body, keys, err := foundingBody(2, 2, w.app.QuorumPublicKey)
	if err != nil {
		return "", err
	}
	return each([][]byte{
		replaced(body, `"rootQuorumThreshold":2`, `"rootQuorumThreshold":0`), replaced(body, `"rootQuorumThreshold":2`, `"rootQuorumThreshold":3`),
		replaced(body, `"rootQuorumThreshold":2`, `"rootQuorumThreshold":-1`), replaced(body, `"rootQuorumThreshold":2`, `"rootQuorumThreshold":18446744073709551618`),
		replaced(body, keys[1].PublicHex(), keys[0].PublicHex()), replaced(body, "SALLYPORT_ORGANIZATION_V1", "SALLYPORT_ORGANIZATION_V0"),
		replaced(body, `"salt":"`, `"salt":"00`), replaced(body, `"type"`, `"extra":1,"type"`), replaced(body, `"apiKeys":[{`, `"apiKeys":[],"x":[{`),
	}, func(b []byte) (string, error) { return w.refusedFounding(invalid, b, keys) })
}
