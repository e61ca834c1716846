package main

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// httpPathRows are paths and methods that name nothing, or something else than
// the body.
var httpPathRows = []row{
	{id: "B5", what: "path says sign, type says export, and the reverse", run: wrongPath},
	{id: "B6", what: "traversal, encoded slashes, doubled slashes inside, other case", run: traversal},
	{id: "B6b", what: "method override by header", run: override},
	{id: "B6c", what: "every other method", run: methods},
	{id: "B6d", what: "the node API of an appliance whose manifest does not open it", run: closedNodeAPI},
}

func wrongPath(w *world) (string, error) {
	if _, err := w.main.stamped(invalid, exportPath, w.main.signBody(), "does not belong to"); err != nil {
		return "", err
	}
	body := w.main.body(typeExport, object{"privateKeyId": w.main.keyID, "targetPublicKey": "04"})
	return w.main.stamped(invalid, signPath, body, "does not belong to")
}

func traversal(w *world) (string, error) {
	body := w.main.signBody()
	stamp := mustStamp(body, w.main.key())
	return each([]string{
		"/public/v1/submit/../submit/sign_raw_payload", "/public/v1/submit/%2e%2e/query/whoami", "/public/v1/submit%2fsign_raw_payload",
		"/public//v1/submit/sign_raw_payload", "///public/v1/submit/sign_raw_payload", "/PUBLIC/v1/submit/sign_raw_payload",
		"/public/v1/submit/sign_raw_payload/", "/public/v1/submit/sign_raw_payload%00", "/public/v1/submit/", "/public/v1/submit/nothing",
		"/public/v1/query/sign_raw_payload", "/public/v1/submit/./sign_raw_payload", "/", "/administration", "/debug/pprof/", "/metrics",
		"/public/v1/submit/Sign_Raw_Payload", "/sallyport/v1/organizations/x", "/public/v1/submit/sign_raw_payload;x=1",
	}, func(path string) (string, error) {
		r, err := w.withStamp(path, body, stamp)
		seen, err := notFound.judge(r, err)
		if err != nil {
			return "", fmt.Errorf("%s: %w", path, err)
		}
		return seen, nil
	})
}

// closedNodeAPI asks with all that a caller could have.
func closedNodeAPI(w *world) (string, error) {
	return each([]string{
		"GET /admin/create-user?name=x", "GET /admin/list-users", "GET /identity-pubkey", "POST /create-room",
		"GET /ecdsa/create", "POST /ecdsa/sign", "POST /ecdsa/export/full", "POST /ed25519/export/full",
	}, func(call string) (string, error) {
		method, path, _ := strings.Cut(call, " ")
		var body []byte
		if method == http.MethodPost {
			body = []byte("{}")
		}
		r, err := w.http.Do(method, path, body, "Authorization", strings.Repeat("ab", 32))
		if err != nil {
			return "", err
		}
		seen := fmt.Sprintf("%s: %d %s", call, r.Status, r.Body)
		if r.Status != http.StatusNotFound || !strings.Contains(seen, `"err_type":"not_found"`) {
			return "", errors.New(seen)
		}
		return seen, nil
	})
}

func override(w *world) (string, error) {
	return each([]string{"X-Http-Method-Override", "X-Method-Override", "X-Http-Method"}, func(h string) (string, error) {
		r, err := w.http.Do("GET", signPath, nil, h, "POST", "X-Stamp", "x")
		return noMethod.judge(r, err)
	})
}

func methods(w *world) (string, error) {
	return each([]string{"GET", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND", "post"}, func(m string) (string, error) {
		r, err := w.http.Do(m, signPath, nil)
		return noMethod.judge(r, err)
	})
}
